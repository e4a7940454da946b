"""SIGINT and SIGTERM as something that can be waited for."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A person or the system asked us to stop before the work was done."""


@contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """An event that is set when a person or the system asks this process to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Do the work; if `stop` is set first, cancel it, wait for its end and raise Interrupted."""
    async with asyncio.TaskGroup() as group:
        waiter = group.create_task(stop.wait())
        task = group.create_task(work)
        await asyncio.wait([waiter, task], return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if not task.done():
            task.cancel()
    if task.cancelled():
        raise Interrupted
    return task.result()

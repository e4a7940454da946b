"""Peers that send rubbish, or nothing: they are dropped, and the honest ones are served."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.kit.copying import fetch, numbered, share, snapshot, write

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(60),
    pytest.mark.usefixtures("js_peers"),
]

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

HUGE = b"\xff\xff\xff"
"""The longest length that the three bytes before a message can say: 16 MiB."""


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(os.urandom(1 << 20))
    await writer.drain()


async def huge_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(HUGE + bytes(65536))
        await writer.drain()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept, and close at once."""


async def a_drop_at_a_time(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\x00")
        await writer.drain()
        await asyncio.sleep(0.01)


BEHAVIOURS = [garbage, huge_length, silence, echo, hang_up, a_drop_at_a_time]


class Hostile:
    """A server whose clients all get the same treatment."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._tasks: set[asyncio.Task[None]] = set()
        self.address = ""
        self.visits = 0

    async def __aenter__(self) -> "Hostile":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.visits += 1
        try:
            await self._behaviour(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda b: b.__name__)
async def test_a_fetch_succeeds_beside_a_bad_peer(behaviour: Behaviour, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write(folder / "a.bin", numbered(3 << 20))
    async with share("js", folder, tmp_path / "share") as sharer, Hostile(behaviour) as bad:
        ready = await sharer.wait("ready")
        both = ("--peer", bad.address)
        async with fetch("ours", ready, out, tmp_path / "fetch", *both) as fetcher:
            await fetcher.wait_exit(timeout=30)
        assert bad.visits >= 1
        assert "Traceback" not in fetcher.stderr
    assert snapshot(out) == snapshot(folder)


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda b: b.__name__)
async def test_a_fetch_from_bad_peers_alone_fails_with_one_line(
    behaviour: Behaviour, tmp_path: Path
) -> None:
    async with Hostile(behaviour) as bad:
        ready = {"key": "ab" * 32, "tcp": bad.address}
        waiting = ("--timeout", "3")
        out, data = tmp_path / "out", tmp_path / "data"
        async with fetch("ours", ready, out, data, *waiting) as fetcher:
            last = await fetcher.wait_exit(timeout=20, status=1)
    assert last["event"] == "error"
    assert len(fetcher.stderr.strip().splitlines()) == 1
    assert not out.exists() or snapshot(out) == {}


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda b: b.__name__)
async def test_a_share_goes_on_serving_beside_bad_clients(
    behaviour: Behaviour, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write(folder / "a.bin", numbered(3 << 20))
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        host, _, port = ready["tcp"].rpartition(":")
        clients = []
        for _ in range(20):
            reader, writer = await asyncio.open_connection(host, int(port))
            clients.append((writer, asyncio.ensure_future(behaviour(reader, writer))))
        async with fetch("js", ready, out, tmp_path / "fetch") as fetcher:
            await fetcher.wait_exit(timeout=30)
        for writer, task in clients:
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*(task for _, task in clients), return_exceptions=True)
        assert await sharer.stop() == 0
        assert "Traceback" not in sharer.stderr
    assert snapshot(out) == snapshot(folder)

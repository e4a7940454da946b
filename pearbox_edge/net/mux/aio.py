"""The mux on a MessageStream: reads, calls handlers, sends what they say once a wake-up."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from types import TracebackType
from typing import Self

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.net.stream import MessageStream
from pearbox_edge.wire import Buffer

from .channel import Channel, ChannelHandler
from .machine import MuxMachine, RemoteOpen

RemoteOpenCallback = Callable[[bytes | None], Awaitable[None] | None]
"""Told the id of a channel that the other side opened and nobody has opened here."""


class Mux:
    """Channels over one stream. `run` reads until the end; all else may be called meanwhile.

    What is sent while one arrival is handled leaves in one write, and what is sent at another time
    leaves at the loop's next turn. The mux owns the stream.
    """

    def __init__(self, stream: MessageStream) -> None:
        self.stream = stream
        self.bytes_received = 0
        """Bytes of messages that arrived, framing and encryption not counted."""
        self.bytes_sent = 0
        """Bytes of messages handed to the stream."""
        self._machine = MuxMachine(self._wake)
        self._loop = asyncio.get_running_loop()
        self._callbacks: dict[str, RemoteOpenCallback] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_reading = False
        self._pauses = 0
        self._gate = asyncio.Event()
        self._error: Exception | None = None
        self._ended = False

    # -- channels ---------------------------------------------------------------------------------

    def open(
        self,
        protocol: str,
        id: bytes | None,  # noqa: A002 (the wire's word)
        handler: ChannelHandler,
        *,
        handshake: Buffer = b"",
        unique: bool = True,
    ) -> Channel:
        """Open our end of (protocol, id). Messages may be sent at once.

        `handler.on_open` is called once theirs is open too, never before this returns. Raises
        UsageError if there is one already (unless not `unique`), UnavailableError after the end.
        """
        return self._machine.open(protocol, id, handler, handshake=handshake, unique=unique)

    def is_open(self, protocol: str, id: bytes | None) -> bool:  # noqa: A002 (the wire's word)
        """Whether we have a channel for (protocol, id), opened or asked for."""
        return self._machine.is_open(protocol, id)

    def on_remote_open(self, protocol: str, callback: RemoteOpenCallback | None) -> None:
        """Have `callback(id)` called when they open a channel of `protocol` nobody opened here.

        It may open it; if it has not when it returns (or when what it returns has been awaited),
        the channel is rejected. Reading goes on meanwhile. None takes the callback away.
        """
        protocol = self._machine.canonical(protocol)
        if callback is None:
            self._callbacks.pop(protocol, None)
        else:
            self._callbacks[protocol] = callback

    def alias(self, name: str, protocol: str) -> None:
        """Treat their `name` as our `protocol` (`hypercore` for `hypercore/alpha`)."""
        self._machine.alias(name, protocol)

    # -- running ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the other side ends; then all channels are closed and the stream too.

        Raises PeerError when they broke a rule, UnavailableError when the stream broke; it is
        dropped then, as it is when this is cancelled.
        """
        if self._group is not None:
            raise UsageError("this mux runs already")
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    await self._read()
                finally:
                    for task in self._tasks:
                        task.cancel()
        except BaseException:
            self.abort()
            raise
        if self._error is not None:
            raise self._error
        await self.close()

    async def drain(self) -> None:
        """Send what is queued and wait until more may be; see MessageStream.drain."""
        self._flush()
        await self.stream.drain()

    async def close(self) -> None:
        """Send what is queued, close every channel, end the stream."""
        self._flush()
        self._end()
        await self.stream.close()

    def abort(self) -> None:
        """Drop the stream; every channel is closed."""
        self.stream.abort()
        self._end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    def pause_reading(self) -> None:
        """Take no more from the stream until `resume_reading` was called as often as this.

        What has arrived already is still delivered, up to the end of the current frame.
        """
        self._pauses += 1

    def resume_reading(self) -> None:
        """Take back one `pause_reading`."""
        if self._pauses == 0:
            raise UsageError("reading was not paused")
        self._pauses -= 1
        self._open_gate()

    # -- inside -----------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while not self._ended:
                if self._must_wait():
                    await self._wait_at_gate()
                frames = await self.stream.receive()
                if not frames:
                    return
                await self._take(frames)
        except (PeerError, UnavailableError) as error:
            self._fail(error)

    async def _take(self, frames: list[memoryview]) -> None:
        machine = self._machine
        self._is_reading = True
        try:
            for frame in frames:
                self.bytes_received += len(frame)
                machine.receive(frame)
                for wanted in machine.events():
                    self._decide(wanted)
                machine.deliver()
                if self._must_wait():
                    self._is_reading = False
                    self._flush()
                    await self._wait_at_gate()
                    self._is_reading = True
                if self._ended:
                    return
        finally:
            self._is_reading = False
        self._flush()

    def _must_wait(self) -> bool:
        return (self._pauses > 0 or self._machine.is_congested) and not self._ended

    async def _wait_at_gate(self) -> None:
        while self._must_wait():
            self._gate.clear()
            await self._gate.wait()

    def _open_gate(self) -> None:
        if not self._must_wait():
            self._gate.set()

    def _decide(self, wanted: RemoteOpen) -> None:
        callback = self._callbacks.get(wanted.protocol)
        deciding = None if callback is None else callback(wanted.id)
        if deciding is None or self._group is None:
            self._machine.settle(wanted.protocol, wanted.id)
            return
        task = self._group.create_task(self._decide_later(wanted, deciding))
        self._tasks.add(task)
        task.add_done_callback(partial(self._decided, deciding))

    def _decided(self, deciding: Awaitable[None], task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if isinstance(deciding, Coroutine):
            deciding.close()  # it never began if the task was cancelled early

    async def _decide_later(self, wanted: RemoteOpen, deciding: Awaitable[None]) -> None:
        try:
            await deciding
        except (PeerError, UnavailableError) as error:
            self._fail(error)
        else:
            self._machine.settle(wanted.protocol, wanted.id)
            self._open_gate()

    def _wake(self) -> None:
        """The machine has something to say."""
        if not self._is_reading:
            self._loop.call_soon(self._flush_alone)

    def _flush(self) -> None:
        machine = self._machine
        machine.deliver()
        messages = machine.transmit()
        if messages:
            for message in messages:
                for part in message:
                    self.bytes_sent += len(part)
            self.stream.send(messages)
        self._open_gate()

    def _flush_alone(self) -> None:
        """Flush from the loop itself, where nobody catches what handlers raise."""
        if self._ended or self._is_reading:
            return
        try:
            self._flush()
        except (PeerError, UnavailableError) as error:
            self._fail(error)
        except Exception as error:
            self._fail(error)
            raise

    def _fail(self, error: Exception) -> None:
        """Destroy the stream; `run` raises `error`."""
        if self._error is None and not self._ended:
            self._error = error
        self.abort()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._gate.set()
            self._machine.end()

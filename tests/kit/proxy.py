"""A TCP connection under control: counted, held back after so many bytes, or cut."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

CHUNK = 65536


class Proxy:
    """Passes connections on to `target`; counts what comes back from it.

    `hold_after`: bytes from the target after which nothing more comes through, until `release`.
    `target` may be changed at any time: new connections go there.
    """

    def __init__(self, target: str, *, hold_after: int | None = None) -> None:
        self.target = target
        self.passed = 0
        """Bytes that came from the target and went through."""
        self.held = asyncio.Event()
        """Set once the limit is reached."""
        self._limit = hold_after
        self._released = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.address = ""
        """Where to connect instead of the target."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()

    def release(self) -> None:
        """Let everything through from now on."""
        self._limit = None
        self._released.set()

    async def cut(self) -> None:
        """Break every connection that is open."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        try:
            ways = [
                asyncio.ensure_future(self._pass(reader, far_writer, counted=False)),
                asyncio.ensure_future(self._pass(far_reader, writer, counted=True)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            far_writer.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            if counted:
                if self._limit is not None and self.passed + len(data) > self._limit:
                    self.held.set()
                    await self._released.wait()
                self.passed += len(data)
            writer.write(data)
            await writer.drain()

"""Two ends of a message stream in memory, and stores that replicate over it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from pearbox_edge.crypto import hash_512
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import PearboxError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.stream import Message


class MemoryStream:
    """One end of a stream that never leaves the process. `sent` keeps what was sent, whole."""

    def __init__(self, name: bytes, *, is_initiator: bool) -> None:
        self.is_initiator = is_initiator
        self.handshake_hash = hash_512(name)
        self.remote_public_key = PublicKey(bytes([1 + is_initiator]) * 32)
        self.remote_address = ("127.0.0.1", 1)
        self.other: MemoryStream | None = None
        self.sent: list[bytes] = []
        self._arrived: deque[bytes] = deque()
        self._event = asyncio.Event()
        self._ended = False

    async def receive(self) -> list[memoryview]:
        while not self._arrived:
            if self._ended:
                return []
            self._event.clear()
            await self._event.wait()
        taken = [memoryview(message) for message in self._arrived]
        self._arrived.clear()
        return taken

    def send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            whole = b"".join(message)
            self.sent.append(whole)
            if self.other is not None and not self._ended:
                self.other.feed(whole)

    def feed(self, message: bytes) -> None:
        self._arrived.append(message)
        self._event.set()

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def end(self) -> None:
        self._ended = True
        self._event.set()

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.end()
        if self.other is not None:
            self.other.end()


def stream_pair(name: bytes = b"") -> tuple[MemoryStream, MemoryStream]:
    """Initiator and responder of one stream."""
    one, two = MemoryStream(name, is_initiator=True), MemoryStream(name, is_initiator=False)
    one.other, two.other = two, one
    return one, two


async def settle(turns: int = 60) -> None:
    """Let everything that can happen without time passing happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


def make_store(seed: int, storage: MemoryStorage | None = None) -> Corestore:
    """A store with a known primary key."""
    return Corestore(storage or MemoryStorage(), primary_key=bytes([seed]) * 32)


@asynccontextmanager
async def connected(
    one: Corestore, two: Corestore, name: bytes = b""
) -> AsyncIterator[tuple[MemoryStream, MemoryStream]]:
    """Replicate two stores with each other; PeerErrors of either side are raised at the end."""
    streams = stream_pair(name)
    ends = [
        asyncio.ensure_future(store.replicate(stream))
        for store, stream in zip((one, two), streams, strict=True)
    ]
    try:
        await asyncio.sleep(0)
        yield streams
    finally:
        streams[0].abort()
        results = await asyncio.gather(*ends, return_exceptions=True)
    for result in results:
        if isinstance(result, PearboxError):
            raise result

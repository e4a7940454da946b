"""Two ends of a message stream in memory, and stores that replicate over it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from pearbox_edge.crypto import hash_512
from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.replication import PROTOCOL, capability
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.replication.messages import MessageType
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import PearboxError
from pearbox_edge.ids import CoreKey, PublicKey
from pearbox_edge.net.mux import Channel, Mux
from pearbox_edge.net.stream import Message

BLOCKS = [bytes([i % 251]) * (1 + 37 * i % 400) for i in range(300)]
"""Blocks of many sizes."""


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


async def filled(store: Corestore, blocks: list[bytes], name: str = "db") -> Hypercore:
    """A core of a store with these blocks."""
    core = await store.get(name)
    await core.append(blocks)
    return core


async def copy_of(store: Corestore, core: Hypercore) -> Hypercore:
    """The same core in another store, empty at first."""
    return await store.get(key=core.key)


class SilentPeer:
    """A peer that claims blocks, notes what it is told, and answers as a test says."""

    def __init__(self, answer: Callable[[m.Request], bytes | None], length: int) -> None:
        self.requests: list[m.Request] = []
        self.cancels: list[int] = []
        self.refused: list[m.NoData] = []
        self.refused_twice = asyncio.Event()
        self.said: list[object] = []
        self.channel: Channel
        self.replicating: asyncio.Future[None]
        self._answer = answer
        self._length = length

    def on_open(self, handshake: memoryview) -> None:
        sync = m.Sync(0, self._length, self._length)
        self.channel.send(MessageType.SYNC, m.encode_sync(sync))
        if self._length:
            self.channel.send(MessageType.RANGE, m.encode_range(m.Range(0, self._length)))

    def on_message(self, type: int, body: memoryview) -> None:  # noqa: A002 -- the wire's word
        match type:
            case MessageType.REQUEST:
                request = m.decode_request(body)
                self.requests.append(request)
                answer = self._answer(request)
                if answer is not None:
                    is_data = len(answer) > 4
                    kind = MessageType.DATA if is_data else MessageType.NO_DATA
                    self.channel.send(kind, answer)
            case MessageType.CANCEL:
                self.cancels.append(m.decode_cancel(body))
            case MessageType.NO_DATA:
                self.refused.append(m.decode_no_data(body))
                if len(self.refused) == 2:
                    self.refused_twice.set()
            case MessageType.RANGE:
                self.said.append(m.decode_range(body))
            case MessageType.BITFIELD:
                start, words = m.decode_bitfield(body)
                self.said.append(m.BitfieldMessage(start, bytes(words)))
            case _:
                pass

    def on_close(self) -> None:
        pass


class silent_peer:
    """Connect a SilentPeer to a store for the time of a block."""

    def __init__(
        self,
        store: Corestore,
        key: CoreKey,
        *,
        length: int,
        answer: Callable[[m.Request], bytes | None] = lambda request: None,
    ) -> None:
        self._store = store
        self._key = key
        self._peer = SilentPeer(answer, length)
        self._tasks: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> SilentPeer:
        theirs, ours = stream_pair(b"silent")
        peer = self._peer
        mux = Mux(theirs)
        proof = capability(self._key, theirs.handshake_hash, is_initiator=True)
        entry = await self._store.get(key=self._key)
        peer.channel = mux.open(
            PROTOCOL, entry.discovery_key, peer, handshake=m.encode_handshake(m.Handshake(proof))
        )
        await entry.close()
        peer.replicating = asyncio.ensure_future(self._store.replicate(ours))
        self._tasks = [asyncio.ensure_future(mux.run()), peer.replicating]
        self._stream = theirs
        return peer

    async def __aexit__(self, *_: object) -> None:
        self._stream.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

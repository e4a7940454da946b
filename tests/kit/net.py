"""In-memory pipes: a ByteStream pair and a MessageStream pair with no sockets and no encryption."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable

from pearbox_edge.errors import UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.stream import Message
from pearbox_edge.wire import Buffer

HIGH_WATER = 4 << 20

Cut = Callable[[int], int]
"""How many of the n waiting bytes the next read gets: 1..n."""


def seeded_bytes(seed: int = 0) -> Callable[[int], bytes]:
    """A `random_bytes` that draws the same bytes in every run."""
    return random.Random(seed).randbytes


class _Waiters:
    """Tasks that wait for any change of a pipe."""

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        await future

    def wake(self) -> None:
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)


class MemoryByteStream:
    """One end of an in-memory byte pipe: a ByteStream."""

    def __init__(self, name: str, cut: Cut) -> None:
        self.peer: MemoryByteStream = self
        self.written: list[bytes] = []
        """A copy of every write, in order."""
        self.aborted = False
        self.ended = False
        self._address = (name, 1)
        self._cut = cut
        self._inbox = bytearray()
        self._remote_ended = False
        self._waiters = _Waiters()

    @property
    def remote_address(self) -> tuple[str, int]:
        return self._address

    async def read(self) -> memoryview:
        await asyncio.sleep(0)
        while not self._inbox and not self._remote_ended and not self.aborted and not self.ended:
            await self._waiters.wait()
        if self.aborted:
            raise UnavailableError("the connection broke")
        size = self._cut(len(self._inbox)) if self._inbox else 0
        data = bytearray(self._inbox[:size])
        del self._inbox[:size]
        self.peer._waiters.wake()
        return memoryview(data)

    def write(self, data: Buffer) -> None:
        if self.aborted or self.ended:
            return
        self.written.append(bytes(data))
        self.peer._inbox += data
        self.peer._waiters.wake()

    async def drain(self) -> None:
        await asyncio.sleep(0)
        while len(self.peer._inbox) > HIGH_WATER and not self.aborted:
            await self._waiters.wait()
        if self.aborted:
            raise UnavailableError("the connection broke")

    async def close(self) -> None:
        if not self.aborted and not self.ended:
            self.ended = True
            self.peer._remote_ended = True
        self._waiters.wake()
        self.peer._waiters.wake()

    def abort(self) -> None:
        if self.aborted or (self.ended and self._remote_ended):
            return
        for end in (self, self.peer):
            end.aborted = True
            end._inbox.clear()
            end._waiters.wake()


def byte_pipe(cut: Cut = lambda waiting: waiting) -> tuple[MemoryByteStream, MemoryByteStream]:
    """Two ends of one pipe. `cut` decides how much of what waits each read gets."""
    left, right = MemoryByteStream("right", cut), MemoryByteStream("left", cut)
    left.peer, right.peer = right, left
    return left, right


class MemoryMessageStream:
    """One end of an in-memory pipe of whole messages: a MessageStream."""

    def __init__(self, *, is_initiator: bool, handshake_hash: bytes) -> None:
        self.peer: MemoryMessageStream = self
        self.sent: list[bytes] = []
        """A copy of every message sent, in order."""
        self.aborted = False
        self.ended = False
        self._is_initiator = is_initiator
        self._handshake_hash = handshake_hash
        self._inbox: deque[bytearray] = deque()
        self._waiting = 0
        self._remote_ended = False
        self._waiters = _Waiters()

    @property
    def is_initiator(self) -> bool:
        return self._is_initiator

    @property
    def handshake_hash(self) -> bytes:
        return self._handshake_hash

    @property
    def remote_public_key(self) -> PublicKey:
        return PublicKey(bytes([1 if self._is_initiator else 2]) * 32)

    @property
    def remote_address(self) -> tuple[str, int]:
        return ("memory", 2 if self._is_initiator else 1)

    async def receive(self) -> list[memoryview]:
        await asyncio.sleep(0)
        while not self._inbox and not self._remote_ended and not self.aborted and not self.ended:
            await self._waiters.wait()
        if self.aborted:
            raise UnavailableError("the connection broke")
        arrived = [memoryview(message) for message in self._inbox]
        self._inbox.clear()
        self._waiting = 0
        self.peer._waiters.wake()
        return arrived

    def send(self, messages: Iterable[Message]) -> None:
        if self.aborted or self.ended:
            return
        for message in messages:
            whole = bytearray(b"").join(message)
            self.sent.append(bytes(whole))
            self.peer._inbox.append(whole)
            self.peer._waiting += len(whole)
        self.peer._waiters.wake()

    async def drain(self) -> None:
        await asyncio.sleep(0)
        while self.peer._waiting > HIGH_WATER and not self.aborted:
            await self._waiters.wait()
        if self.aborted:
            raise UnavailableError("the connection broke")

    async def close(self) -> None:
        if not self.aborted and not self.ended:
            self.ended = True
            self.peer._remote_ended = True
        self._waiters.wake()
        self.peer._waiters.wake()

    def abort(self) -> None:
        if self.aborted or (self.ended and self._remote_ended):
            return
        for end in (self, self.peer):
            end.aborted = True
            end._inbox.clear()
            end._waiters.wake()


def message_pipe(
    handshake_hash: bytes = bytes(64),
) -> tuple[MemoryMessageStream, MemoryMessageStream]:
    """The initiator's and the responder's end of one pipe of messages."""
    left = MemoryMessageStream(is_initiator=True, handshake_hash=handshake_hash)
    right = MemoryMessageStream(is_initiator=False, handshake_hash=handshake_hash)
    left.peer, right.peer = right, left
    return left, right

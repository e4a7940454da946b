"""A seeded network in virtual time: lines that lose, delay, reorder, double, and are slow.

wire = Wire(UdxStreamMachine(1, now=0.0), UdxStreamMachine(2, now=0.0), Line(seed=7, loss=0.02))
wire.connect()
wire.left.write(data)
wire.run(lambda: wire.right_got == data)
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pearbox_edge.net.udx import Closed, RemoteEnded, UdxStreamMachine

HEADERS = 28  # IP and UDP, which take their time on the line too


@dataclass
class Line:
    """One direction. Times in seconds, rates in bytes a second, chances from 0 to 1."""

    seed: int = 0
    loss: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0
    """More delay, up to this; order is kept, as in a queue that swells."""
    reorder: float = 0.0
    """Chance to be held back by another `delay`, so that others overtake."""
    duplicate: float = 0.0
    bandwidth: float | None = None
    queue: int = 64 << 10
    """Bytes that wait for the line; what does not fit is lost."""
    mtu: int = 1500
    is_cut: bool = False
    drop: Callable[[bytes], bool] | None = None
    """Says which datagrams are lost, besides those by chance."""
    sent: int = 0
    lost: int = 0
    overflowed: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._waiting: list[tuple[float, int, bytes]] = []
        self._number = 0
        self._free_at = 0.0
        self._last_at = 0.0

    def send(self, datagram: bytes, now: float) -> None:
        """Put a datagram on the line."""
        self.sent += 1
        chance = self._random.random
        if self.is_cut or len(datagram) + HEADERS > self.mtu or chance() < self.loss:
            self.lost += 1
            return
        if self.drop is not None and self.drop(datagram):
            self.lost += 1
            return
        start = now
        if self.bandwidth is not None:
            start = max(now, self._free_at)
            if (start - now) * self.bandwidth > self.queue:
                self.overflowed += 1
                return
            start += (len(datagram) + HEADERS) / self.bandwidth
            self._free_at = start
        at = max(start + self.delay + self.jitter * chance(), self._last_at)
        if chance() < self.reorder:
            self._push(at + self.delay, datagram)
        else:
            self._last_at = at
            self._push(at, datagram)
        if chance() < self.duplicate:
            self._push(at + self.delay * chance(), datagram)

    def next_at(self) -> float | None:
        """When the next datagram arrives."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now: float) -> list[bytes]:
        """What has arrived by now."""
        found = []
        while self._waiting and self._waiting[0][0] <= now:
            found.append(heapq.heappop(self._waiting)[2])
        return found

    def _push(self, at: float, datagram: bytes) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (at, self._number, datagram))


def datagrams_of(parts: list[bytes]) -> list[bytes]:
    """The datagrams of one batch, which has two parts each."""
    return [bytes(parts[i]) + bytes(parts[i + 1]) for i in range(0, len(parts), 2)]


@dataclass
class Wire:
    """Two streams and a line each way; `there` from left to right, `back` the other way."""

    left: UdxStreamMachine
    right: UdxStreamMachine
    there: Line = field(default_factory=Line)
    back: Line = field(default_factory=Line)
    now: float = 0.0
    reads: bool = True
    """Whether the right side reads what arrives."""

    def __post_init__(self) -> None:
        self.left_got = bytearray()
        self.right_got = bytearray()
        self.events: dict[str, list[object]] = {"left": [], "right": []}
        self.flags: Counter[int] = Counter()
        """How many datagrams of each kind the left side sent."""
        self.on_sent: Callable[[bytes, float], None] | None = None
        """Sees every datagram of the left side, and when it left."""

    def connect(self) -> None:
        """Tell each side of the other."""
        self.left.connect(self.right.id, self.now)
        self.right.connect(self.left.id, self.now)

    def run(self, done: Callable[[], bool] = lambda: False, *, seconds: float = 300.0) -> bool:
        """Let time pass until `done`; False when it is not after so many seconds (or ever)."""
        limit = self.now + seconds
        while True:
            self._flush()
            if done():
                return True
            moments = [
                moment
                for moment in (
                    self.there.next_at(),
                    self.back.next_at(),
                    self.left.deadline(),
                    self.right.deadline(),
                )
                if moment is not None
            ]
            if not moments or min(moments) > limit:
                self.now = limit
                return done()
            self.now = max(self.now, min(moments))
            self._deliver(self.right, self.there)
            self._deliver(self.left, self.back)
            for machine in (self.left, self.right):
                deadline = machine.deadline()
                if deadline is not None and deadline <= self.now:
                    machine.expire(self.now)

    def transfer(self, data: bytes, *, seconds: float = 300.0) -> float:
        """Send from left to right, both ending; returns how long it took. Fails if it does not."""
        start = self.now
        self.left.write(data)
        self.left.end()
        self.right.end()
        closed = lambda: self.left.is_closed and self.right.is_closed  # noqa: E731
        assert self.run(closed, seconds=seconds), f"not over after {seconds} s"
        assert self.left.error is None
        assert self.right.error is None
        assert self.right_got == data
        return self.now - start

    def has(self, side: str, kind: type[Closed] | type[RemoteEnded]) -> bool:
        """Whether such an event came."""
        return any(isinstance(event, kind) for event in self.events[side])

    def _flush(self) -> None:
        for machine, line in ((self.left, self.there), (self.right, self.back)):
            for _, parts, size in machine.transmit(self.now):
                datagrams = datagrams_of([bytes(part) for part in parts])
                assert all(len(datagram) == size for datagram in datagrams[:-1])
                assert len(datagrams[-1]) <= size
                for datagram in datagrams:
                    if machine is self.left:
                        self.flags[datagram[2]] += 1
                        if self.on_sent is not None:
                            self.on_sent(datagram, self.now)
                    line.send(datagram, self.now)
        self.left_got += self._read(self.left)
        if self.reads:
            self.right_got += self._read(self.right)
        self.events["left"] += self.left.events()
        self.events["right"] += self.right.events()

    def _read(self, machine: UdxStreamMachine) -> bytes:
        got = bytearray()
        while data := machine.read():
            got += data
        return bytes(got)

    def _deliver(self, machine: UdxStreamMachine, line: Line) -> None:
        arrived = line.due(self.now)
        if arrived:
            machine.receive(
                [(memoryview(bytearray(each)), max(len(each), 1)) for each in arrived], self.now
            )


def make_wire(
    there: Line | None = None, back: Line | None = None, *, first: int = 0, phase: int = 0
) -> Wire:
    """Two connected streams on the given lines."""
    there = there or Line()
    back = back or Line(seed=there.seed + 1, delay=there.delay)
    wire = Wire(
        UdxStreamMachine(1, now=0.0, first=first, phase=phase),
        UdxStreamMachine(2, now=0.0, remote_first=first, phase=phase),
        there,
        back,
    )
    wire.connect()
    return wire

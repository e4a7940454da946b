"""One core's channel on one stream: feeds the peer's machine, absorbs its answers, serves it.

No work is done for a single message: what one arrival brought is handled together in a turn, and
answers and requests in batches by one task each, which ends when there is nothing left.
"""

from functools import partial
from typing import Protocol

from pearbox_edge.data.core import Hypercore, Proof, Refusal, RefusalReason
from pearbox_edge.errors import StorageError

from .capability import capability
from .link import Link
from .messages import (
    PROTOCOL,
    BitfieldMessage,
    Data,
    Handshake,
    MessageType,
    NoData,
    Range,
    Request,
    Want,
    encode_bitfield,
    encode_data,
    encode_handshake,
    encode_no_data,
    encode_range,
)
from .peer import Answer, PeerMachine
from .requests import RequestTable
from .upgrade import OwnHead
from .window import Window

SERVED_BYTES = 2 << 20
"""TUNING: blocks read and queued together before the stream is waited for."""
SERVED_BLOCKS = 64
"""TUNING: requests answered together, however small their blocks are."""
HELD_BYTES = 8 << 20
"""TUNING: answers not looked at yet before the stream is read no further."""
_MAX_MAP = 1 << 21  # SPEC sheet 12: bits in one bitfield message, and the longest want answered


class Owner(Protocol):
    """What a peer needs of its core's replicator."""

    core: Hypercore
    table: RequestTable
    window: Window

    def own_head(self) -> OwnHead:
        """What a sync says of this side."""

    def joined(self, peer: "Peer") -> None:
        """The peer proved that it knows the key."""

    def left(self, peer: "Peer") -> None:
        """The channel has ended."""

    def fill(self, peer: "Peer") -> None:
        """Ask the peer for as much as it may be asked for."""

    def heard(self, peer: "Peer") -> None:
        """The peer told something new about its head or its blocks."""

    async def absorb(self, peer: "Peer", answers: list[Answer]) -> None:
        """Take in what the peer answered; PeerError if any of it is bad."""

    async def claim(self, peer: "Peer", proof: Proof) -> None:
        """Look at what the peer sent and nobody asked for; PeerError if it is a lie."""


class Peer:
    """One peer of one core; the handler of its channel."""

    def __init__(self, owner: Owner, link: Link, number: int) -> None:
        core = owner.core
        self.link = link
        self.machine = PeerMachine(
            number,
            owner.table,
            owner.own_head,
            capability(core.key, link.handshake_hash, is_initiator=not link.is_initiator),
        )
        self.gone = False
        self.was_open = False
        self._owner = owner
        self._core = core
        self._turn_due = False
        self._absorbing = False
        self._claiming = False
        self._serving = False
        self._due = False
        self._checking = False
        self._paused = False
        own = capability(core.key, link.handshake_hash, is_initiator=link.is_initiator)
        self.channel = link.mux.open(
            PROTOCOL, core.discovery_key, self, handshake=encode_handshake(Handshake(own))
        )

    @property
    def number(self) -> int:
        """The peer's number among those of its core."""
        return self.machine.number

    # The channel's events

    def on_open(self, handshake: memoryview) -> None:
        """Both ends are open."""
        self.machine.open(handshake, self.link.now())
        self.was_open = True
        own = self._owner.own_head()
        self.machine.say_head()
        self.machine.announce(0, self._core.contiguous_length, own)
        self._owner.joined(self)
        self.poke()

    def on_message(self, type: int, body: memoryview) -> None:  # noqa: A002 -- the wire's word
        """A message arrived: sort it; the work is done in the next turn."""
        machine = self.machine
        machine.receive(type, body, self.link.now())
        if not self._turn_due:
            self.poke()
        if machine.answer_bytes > HELD_BYTES and not self._paused:
            self._paused = True
            self.link.mux.pause_reading()

    def on_close(self) -> None:
        """The channel has ended."""
        self.gone = True
        self.machine.is_open = False
        self.machine.inbox.clear()
        self._resume()
        self._look_at_claims()  # who saw a conflict shows its head and closes at once
        self._owner.left(self)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.link.mux.resume_reading()

    # Turns

    def poke(self) -> None:
        """Have a turn soon."""
        if not self._turn_due:
            self._turn_due = True
            self.link.soon(self._turn)

    def _turn(self) -> None:
        """Do what the last arrivals (or changes of the core) call for."""
        self._turn_due = False
        machine = self.machine
        self._look_at_claims()
        if self.gone or not machine.is_open:
            return
        if machine.exchange.checking is not None and not self._checking:
            self._checking = True
            self.link.spawn(self._check_upgrade)
        machine.say_head()
        if machine.news:
            machine.news = False
            self._owner.heard(self)
        for name, payload in machine.extensions.take():
            self._core.extensions.deliver(name, payload, self)
        if machine.has_answers and not self._absorbing:
            self._absorbing = True
            self.link.spawn(self._absorb)
        elif not self._absorbing:
            self._owner.fill(self)
        if machine.inbox and not self._serving and not self._core.conflicted:
            self._serving = True
            self.link.spawn(self._serve)
        self.flush()
        is_busy = self._serving or self._absorbing
        if not is_busy and machine.exchange.is_idle(self._owner.own_head()):
            self.channel.close()

    def flush(self) -> None:
        """Send what the machine has to say."""
        send = self.channel.send
        for kind, body in self.machine.transmit():
            send(kind, *body)

    # Work

    async def _check_upgrade(self) -> None:
        exchange = self.machine.exchange
        try:
            while exchange.checking is not None and not self.gone:
                fork, length = exchange.checking
                can_prove = fork == self._core.fork and await self._core.can_upgrade_from(length)
                exchange.checked(fork, length, can_prove=can_prove)
        finally:
            self._checking = False
        self.poke()

    async def _absorb(self) -> None:
        machine = self.machine
        try:
            while machine.has_answers and not self.gone:
                answers = machine.take_answers()
                self.link.heard_at = self.link.now()
                self._resume()
                await self._owner.absorb(self, answers)
                if not self.gone:
                    self._owner.fill(self)
                    self.flush()
        finally:
            self._absorbing = False
        machine.progressed(self.link.now())

    def _look_at_claims(self) -> None:
        if self.machine.claims and not self._claiming:
            self._claiming = True
            self.link.spawn(self._claim)

    async def _claim(self) -> None:
        machine = self.machine
        try:
            while machine.claims:
                claims = machine.take_claims()
                self._resume()
                for proof in claims:
                    await self._owner.claim(self, proof)
        finally:
            self._claiming = False

    def poke_later(self, seconds: float) -> None:
        """Have a turn after a while."""
        if not self._due:
            self._due = True
            self.link.spawn(partial(self._poke_after, seconds))

    async def _poke_after(self, seconds: float) -> None:
        await self.link.sleep(seconds)
        self._due = False
        self.poke()

    def send_extension(self, name: str, payload: bytes) -> None:
        """Send a side message."""
        if self.machine.is_open:
            body = self.machine.extensions.encode(name, payload)
            self.machine.send(MessageType.EXTENSION, *body)
            self.poke()

    async def _serve(self) -> None:
        inbox = self.machine.inbox
        try:
            while inbox and not self.gone and not self._core.conflicted:
                want = inbox.take_want()
                if want is not None:
                    self._answer_want(want)
                else:
                    average = max(self._owner.window.average, 1.0)
                    most = int(min(SERVED_BLOCKS, max(1.0, SERVED_BYTES / average)))
                    await self._answer(inbox.take(most))
                self.flush()
                await self.link.mux.drain()
        finally:
            self._serving = False

    async def _answer(self, requests: list[Request]) -> None:
        try:
            results = await self._core.prove_many([request.want for request in requests])
        except StorageError:
            results = [Refusal(RefusalReason.NOT_AVAILABLE)] * len(requests)
        send = self.machine.send
        traffic = self.link.traffic
        count = size = 0
        for request, result in zip(requests, results, strict=True):
            if isinstance(result, Proof):
                send(MessageType.DATA, *encode_data(Data(request.id, result)))
                if result.block is not None:
                    count += 1
                    size += len(result.block.value)
                continue
            if result.reason is RefusalReason.INVALID_REQUEST:
                self.flush()
                await self.link.sleep(self.machine.inbox.refuse())
            send(MessageType.NO_DATA, encode_no_data(NoData(request.id, result.reason)))
        traffic.blocks_sent += count
        traffic.bytes_sent += size
        self._owner.window.observe(size, count)

    def _answer_want(self, want: Want) -> None:
        own = self._owner.own_head()
        bits = self._core.bitfield
        complete = bits.contiguous
        send = self.machine.send
        end = min(want.start + want.length, own.length)
        if own.complete or end <= complete or (want.any and want.start < complete):
            if complete:
                send(MessageType.RANGE, encode_range(Range(0, complete)))
        elif want.any:
            first = bits.first_set(want.start, end)
            if first < end:
                send(MessageType.RANGE, encode_range(Range(first, 1)))
        elif want.length <= _MAX_MAP and want.start < end and not want.start % 32:
            words = bits.words(want.start, end - want.start)
            send(MessageType.BITFIELD, encode_bitfield(BitfieldMessage(want.start, words)))

    def close(self) -> None:
        """End the channel."""
        self.flush()
        self.channel.close()

    def stalls_at(self) -> float | None:
        """When the peer counts as stalled; None while it owes nothing, or we are the slow ones."""
        if self._absorbing or self._paused:
            return None
        return self.machine.deadline(self._owner.window.average)

"""The other end of one core's channel, as a machine: messages in, messages and things to do out."""

from collections.abc import Callable
from hmac import compare_digest

from pearbox_edge.data.core import Proof
from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer

from .extension import ExtensionStream
from .inbox import Inbox
from .messages import (
    Data,
    MessageType,
    NoData,
    Range,
    decode_bitfield,
    decode_cancel,
    decode_data,
    decode_extension,
    decode_handshake,
    decode_no_data,
    decode_range,
    decode_request,
    decode_sync,
    decode_want,
    encode_range,
    encode_sync,
)
from .promises import Promises
from .remote_bitfield import RemoteBitfield
from .requests import Outstanding, RequestTable
from .scheduler import Source
from .swapping import Pace
from .upgrade import HeadExchange, OwnHead

MAX_UNASKED = 64
"""TUNING: data messages nobody asked for before a peer is dropped; a cancel makes at most one."""
MAX_CLAIMS = 1024
"""TUNING: pushes of one peer that wait to be looked at; reading pauses long before for big ones."""
STALL_SECONDS = 10.0
"""TUNING: a peer that owes answers and sends none for so long is dropped, and others are asked."""
SLOWEST = 64 << 10
"""TUNING: bytes a second at which a peer may still send one large block without being dropped."""

Message = tuple[MessageType, tuple[Buffer, ...]]
Answer = tuple[Outstanding, Proof | NoData]

_REQUEST, _CANCEL, _DATA = int(MessageType.REQUEST), int(MessageType.CANCEL), int(MessageType.DATA)


class PeerMachine:
    """One peer of one core.

        opening --handshake checked--> open --closed by either side--> gone

    What arrives is sorted: answers into `answers`, requests into `inbox`, the rest changes
    `exchange` (heads) and `source` (blocks). `news` tells that there may be more to ask for.
    Pure: `now` is seconds on a monotonic clock.
    """

    def __init__(
        self, number: int, table: RequestTable, own: Callable[[], OwnHead], expected: bytes
    ) -> None:
        self.number = number
        self.is_open = False
        self.exchange = HeadExchange()
        self.source = Source(number, RemoteBitfield())
        self.promises = Promises()
        self.inbox = Inbox()
        self.extensions = ExtensionStream()
        self.pace = Pace()
        self.claims: list[Proof] = []
        """What arrived under number 0: heads and pushes."""
        self.suspect: PeerError | None = None
        """Why the peer is asked nothing more: its data was bad."""
        self.pushed_length = 0
        """The length of ours that pushes have told the peer of."""
        self.answers: list[Answer] = []
        self.answer_bytes = 0
        self._early: dict[int, list[Answer]] = {}
        self.gained: int | None = None
        """The lowest block that the peer came to hold since this was last set to None."""
        self.news = False
        self.refused_upgrade: tuple[int, int] | None = None
        """Fork and length of a head that the peer announced and then would not prove."""
        self.asked_manifest = False
        """Whether the peer was asked for the manifest alone."""
        self._table = table
        self._own = own
        self._expected = expected
        self._unasked = 0
        self._heard_at = 0.0
        self._told_complete = 0
        self._out: list[Message] = []

    def open(self, handshake: Buffer, now: float) -> None:
        """Both ends are open. PeerError if the peer does not know the core's key."""
        if not compare_digest(decode_handshake(handshake).capability, self._expected):
            raise PeerError("the peer does not know the key of the core", code="INVALID_CAPABILITY")
        self.is_open = True
        self._heard_at = now
        self.exchange.sync_due = True

    def receive(self, kind: int, body: memoryview, now: float) -> None:
        """A message arrived. PeerError if it cannot be what it says."""
        if kind == _DATA:
            self._on_answer(decode_data(body), len(body), now)
        elif kind == _REQUEST:
            self.inbox.add(decode_request(body))
        elif kind == _CANCEL:
            self.inbox.cancel(decode_cancel(body))
        else:
            self._receive_rare(kind, body, now)

    def _receive_rare(self, kind: int, body: memoryview, now: float) -> None:
        match kind:
            case MessageType.SYNC:
                self.exchange.hear(decode_sync(body), self._own())
                self.news = True
            case MessageType.NO_DATA:
                self._on_answer(decode_no_data(body), len(body), now)
            case MessageType.WANT:
                self.inbox.add_want(decode_want(body))
            case MessageType.BITFIELD:
                bitfield = decode_bitfield(body)
                self.source.blocks.insert(bitfield.start, bitfield.words)
                self._gain(bitfield.start)
            case MessageType.RANGE:
                self._on_range(decode_range(body))
            case MessageType.EXTENSION:
                self.extensions.receive(decode_extension(body))
            case _:
                # UNWANT: changes are announced anyway. What is not known is ignored.
                pass

    def _on_answer(self, answer: Data | NoData, size: int, now: float) -> None:
        outstanding = self._table.arrive(answer.id, self.number)
        if outstanding is None:
            if isinstance(answer, Data) and answer.id == 0 and self._is_claim(answer.proof):
                self.claims.append(answer.proof)
                self.answer_bytes += size
            elif not self._table.was_cancelled(answer.id):
                self.note_unasked()
            return
        self._heard_at = now
        if isinstance(answer, NoData):
            self.answers.append((outstanding, answer))
            return
        if not outstanding.fits(answer.proof):
            raise PeerError("an answer to something else than was asked", code="INVALID_PROOF")
        self.answers.append((outstanding, answer.proof))
        self.answer_bytes += size

    def _is_claim(self, proof: Proof) -> bool:
        if len(self.claims) >= MAX_CLAIMS:
            return False
        own, way = self._own(), proof.upgrade
        if way is not None and way.start == 0 and proof.fork >= own.fork:
            return True  # perhaps a head that contradicts ours, or a newer fork
        return own.allow_push and own.downloading

    def note_unasked(self) -> None:
        """The peer sent what nobody asked for; PeerError if it did so too often."""
        self._unasked += 1
        if self._unasked > MAX_UNASKED:
            raise PeerError("data that nobody asked for", code="UNASKED_DATA")

    def take_claims(self) -> list[Proof]:
        """What arrived under number 0."""
        claims, self.claims = self.claims, []
        if not self.answers:
            self.answer_bytes = 0
        return claims

    def _on_range(self, blocks: Range) -> None:
        if blocks.drop:
            self.source.blocks.drop(blocks.start, blocks.length)
        else:
            self.source.blocks.add(blocks.start, blocks.length)
            self._gain(blocks.start)
            if self.source.refused:
                self._take_back_refusals(blocks.start, blocks.length)

    def _take_back_refusals(self, start: int, length: int) -> None:
        end = start + length
        self.source.refused = {i for i in self.source.refused if not start <= i < end}

    def _gain(self, start: int) -> None:
        self.gained = start if self.gained is None else min(self.gained, start)
        self.news = True

    @property
    def has_answers(self) -> bool:
        """Whether there are answers that can be looked at."""
        if self.answers:
            return True
        is_waited_for = self._table.is_waited_for
        return any(not is_waited_for(first) for first in self._early)

    def take_answers(self) -> list[Answer]:
        """The answers that arrived and can be looked at, each after the one it relies on.

        An answer whose forerunner is still on its way is kept for later.
        """
        answers, self.answers = self.answers, []
        self.answer_bytes = 0
        is_waited_for = self._table.is_waited_for
        early = self._early
        for first in [first for first in early if not is_waited_for(first)]:
            answers += early.pop(first)
        ready: list[Answer] = []
        seen: set[int] = set()
        for answer in answers:
            first = answer[0].relies_on
            if first and first not in seen and is_waited_for(first):
                early.setdefault(first, []).append(answer)
                continue
            freed = [answer]
            while freed:
                answer = freed.pop()
                ready.append(answer)
                seen.add(answer[0].id)
                if early:
                    freed += early.pop(answer[0].id, ())
        return ready

    def announce(self, start: int, end: int, own: OwnHead) -> None:
        """These blocks are held here now: tell the peer unless it cannot matter to it."""
        if not self.is_open or start >= end:
            return
        if own.complete:
            # Always told, so that the peer knows that there is nothing to ask us to wait for.
            if self._told_complete < own.length:
                self._told_complete = own.length
                self.send(MessageType.RANGE, encode_range(Range(0, own.length)))
            return
        if not self.source.blocks.has_range(start, end):
            self.send(MessageType.RANGE, encode_range(Range(start, end - start)))

    def announce_drop(self, start: int, length: int) -> None:
        """These blocks are held here no longer."""
        if self.is_open and length > 0:
            self._told_complete = min(self._told_complete, start)
            self.send(MessageType.RANGE, encode_range(Range(start, length, drop=True)))

    def say_head(self) -> None:
        """Send the sync that is due, if any."""
        sync = self.exchange.take_sync(self._own()) if self.is_open else None
        if sync is not None:
            self.send(MessageType.SYNC, encode_sync(sync))

    def offers_upgrade(self, own: OwnHead) -> bool:
        """Whether the peer can be asked for a longer head of our fork now."""
        return self.exchange.offers_upgrade(own) and not self._refused_head()

    def offers_reorg(self, own: OwnHead) -> bool:
        """Whether the peer can be asked for a head of a higher fork now."""
        return self.exchange.offers_reorg(own) and not self._refused_head()

    def may_bring_news(self, own: OwnHead) -> bool:
        """Whether a newer head may still come from this peer."""
        return self.exchange.may_bring_news(own) and not self._refused_head()

    def _refused_head(self) -> bool:
        remote = self.exchange.remote
        return remote is not None and self.refused_upgrade == (remote.fork, remote.length)

    def send(self, kind: MessageType, *body: Buffer) -> None:
        """Queue a message."""
        self._out.append((kind, body))

    def transmit(self) -> list[Message]:
        """The messages to send now."""
        out, self._out = self._out, []
        return out

    def deadline(self, average: float) -> float | None:
        """When the peer counts as stalled unless an answer comes; None if it owes none.

        average: bytes of a block.
        """
        if not self._table.awaited(self.number):
            return None
        return self._heard_at + STALL_SECONDS + average / SLOWEST

    def expect(self, now: float) -> None:
        """Requests are about to leave: if nothing was owed before, the peer's time begins now."""
        if not self._table.awaited(self.number):
            self._heard_at = now
            self.pace.begin(now)

    def progressed(self, now: float) -> None:
        """The stream brought answers for somebody: this peer's may just be queued behind them."""
        self._heard_at = max(self._heard_at, now)

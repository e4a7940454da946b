"""What to ask which peer of a core, and what came of it: the part of a replicator without waiting.

wish --fill--> request under way --answer--> absorbed: held, wish come true
  ^                  |
  +---- refused, lost, stale, cancelled
"""

from functools import partial

from pearbox_edge.data.core import (
    Accepted,
    BlockRequest,
    Hypercore,
    Proof,
    ProofRequest,
    UpgradeRequest,
)
from pearbox_edge.errors import PeerError, StorageError

from .claims import Claims
from .connection import Peer
from .forking import Forking
from .messages import MessageType, NoData, Request, Want, encode_cancel, encode_request, encode_want
from .peer import Answer
from .ranges import Wishes
from .requests import Outstanding, RequestTable, is_bare
from .scheduler import WANT_SPAN, choose, unknown_spans
from .swapping import RECHECK, Pace, swaps
from .upgrade import OwnHead
from .window import Window

REMOTE_CONTIGUOUS = "core/remote-contiguous"
"""The user data that keeps the fork and `remote_contiguous_length`."""
SAVE_SECONDS = 1.0
"""TUNING: how long news of what peers hold wait for more, before they are written."""
_REFUSED_KEPT = 4096  # TUNING: refused blocks remembered of one peer


class Asker:
    """The wishes of one core's readers, its peers, and the requests under way to them."""

    def __init__(self, core: Hypercore) -> None:
        self.core = core
        self.table = RequestTable()
        self.wishes = Wishes()
        self.window = Window(core.head.byte_length, core.length)
        self.downloading = False
        """Whether somebody holds the core open here and may ask for something."""
        self.closed = False
        self.allow_push = False
        """Whether blocks that were not asked for are taken."""
        self.remote_contiguous_length = _stored_contiguous(core)
        """The longest beginning of the core, in its fork, that any peer ever held."""
        self._saving = False
        self.forking = Forking(self)
        self.claims = Claims(self)
        self._peers: dict[int, Peer] = {}

    def own_head(self) -> OwnHead:
        """What a sync says of this side."""
        core = self.core
        return OwnHead(
            core.fork,
            core.length,
            core.manifest is not None and not core.is_compat,
            self.downloading or bool(self.wishes) or bool(self.table),
            core.contiguous_length >= core.length,
            self.allow_push,
        )

    def changed(self) -> None:
        """Something changed that an update or a seek may wait for."""

    def poke_all(self) -> None:
        """Have every peer look for something to do."""
        for peer in self._peers.values():
            peer.poke()

    def heard(self, peer: Peer) -> None:
        """The peer told something new about its head or its blocks."""
        machine = peer.machine
        if machine.gained is not None:
            self.wishes.rewind(machine.gained, peer.number)
            machine.gained = None
        blocks = machine.source.blocks
        if blocks.contiguous > self.remote_contiguous_length:
            self._note_contiguous(peer, blocks.contiguous)
        self.changed()

    def _note_contiguous(self, peer: Peer, length: int) -> None:
        """A peer holds more than any before: kept at rest, for it may be gone tomorrow."""
        core, remote = self.core, peer.machine.exchange.remote
        if remote is None or remote.fork != core.fork:
            return
        length = min(length, core.length)
        if length > self.remote_contiguous_length:
            self.remote_contiguous_length = length
            if not self._saving:
                self._saving = True
                peer.link.spawn(partial(self._save_contiguous, peer))

    async def _save_contiguous(self, peer: Peer) -> None:
        core = self.core
        try:
            await peer.link.sleep(SAVE_SECONDS)
            value = b"%d %d" % (core.fork, self.remote_contiguous_length)
            if not core.closed and core.failure is None and not core.conflicted:
                await core.set_user_data(REMOTE_CONTIGUOUS, value)
        finally:
            self._saving = False

    def forget_contiguous(self, length: int) -> None:
        """The core was cut: nobody holds more than that of what it is now."""
        self.remote_contiguous_length = min(self.remote_contiguous_length, length)

    # Asking

    def fill(self, peer: Peer) -> None:
        """Ask the peer for as much as it may be asked for."""
        machine, core = peer.machine, self.core
        if self.closed or core.conflicted or not machine.is_open or machine.suspect is not None:
            return
        if core.failure is not None:
            self.wishes.fail(core.failure)
            return
        own = self.own_head()
        source = machine.source
        has_last = own.length > 0 and source.blocks.has(own.length - 1)
        source.servable = machine.exchange.servable_length(own, has_last=has_last)
        self._ask_head(peer, own)
        if not self.wishes or not source.servable:
            return
        for start in unknown_spans(source, self.wishes, own.length, core.bitfield):
            machine.send(MessageType.WANT, encode_want(Want(start, WANT_SPAN)))
        owed = self.table.count(peer.number)
        room = machine.pace.room(self.window.size) - owed
        picks = choose(source, room, self.wishes, self.table, core.bitfield)
        if not picks and not owed and self.table.blocks:
            # Everything left is on its way from others: perhaps they are slower.
            picks = swaps(source, machine.pace, self._pace_of, self.table, peer.link.now(), room)
            peer.poke_later(RECHECK)
        if not picks:
            return
        try:
            self._ask_blocks(peer, picks)
        except StorageError as error:
            self.wishes.fail(error)

    def _pace_of(self, number: int) -> Pace | None:
        peer = self._peers.get(number)
        return peer.machine.pace if peer is not None else None

    def _ask_head(self, peer: Peer, own: OwnHead) -> None:
        machine, remote = peer.machine, peer.machine.exchange.remote
        if self.table.upgrade is not None or self.forking.peer is not None or remote is None:
            return
        manifest = self.core.manifest is None and remote.has_manifest
        if machine.offers_reorg(own):
            way = UpgradeRequest(0, remote.length)
            self.ask(peer, ProofRequest(remote.fork, upgrade=way, manifest=manifest))
        elif machine.offers_upgrade(own):
            way = UpgradeRequest(own.length, remote.length - own.length)
            self.ask(peer, ProofRequest(own.fork, upgrade=way, manifest=manifest))
        elif manifest and remote.length == 0 and own.length == 0 and not machine.asked_manifest:
            machine.asked_manifest = True
            self.ask(peer, ProofRequest(own.fork, manifest=True))

    def ask(self, peer: Peer, want: ProofRequest) -> Outstanding:
        """Ask a peer for anything but a block."""
        now = peer.link.now()
        peer.machine.expect(now)
        outstanding = self.table.add(peer.number, want)
        peer.machine.send(MessageType.REQUEST, encode_request(Request(outstanding.id, want)))
        return outstanding

    def _ask_blocks(self, peer: Peer, picks: list[int]) -> None:
        fork = self.core.fork
        missing_nodes = self.core.missing_nodes_sync
        promises = peer.machine.promises
        wants_block = self.wishes.wants_block
        peer.machine.expect(peer.link.now())
        cold: list[Outstanding] = []
        for index in picks:
            outstanding = self.table.add_block(peer.number, index, fork)
            urgent = wants_block(index)
            steps = None if urgent else promises.near(index)
            if steps is None:
                steps = missing_nodes(index)
            if steps is None:
                cold.append(outstanding)
            else:
                self._send_block(peer, outstanding, index, steps, urgent=urgent)
        if cold:
            peer.link.spawn(partial(self._ask_cold, peer, cold))

    async def _ask_cold(self, peer: Peer, cold: list[Outstanding]) -> None:
        """Ask for blocks whose tree nodes are not in memory."""
        core = self.core
        await core.warm([one.block for one in cold if one.block is not None])
        for one in cold:
            if one.block is None or not self.table.is_open(one):
                continue
            steps = await core.missing_nodes(one.block)
            if not self.table.is_open(one):
                continue
            if one.want.fork == core.fork:
                urgent = self.wishes.wants_block(one.block)
                self._send_block(peer, one, one.block, steps, urgent=urgent)
            else:
                self._finish(peer, one)
                self._lost(one)
        peer.flush()

    def _send_block(
        self, peer: Peer, outstanding: Outstanding, index: int, steps: int, *, urgent: bool
    ) -> None:
        less = peer.machine.promises.shorten(outstanding, index, steps, alone=urgent)
        outstanding.want = ProofRequest(outstanding.want.fork, BlockRequest(index, less))
        request = Request(outstanding.id, outstanding.want, 1 if urgent else 0)
        peer.machine.send(MessageType.REQUEST, encode_request(request))

    # Answers

    async def absorb(self, peer: Peer, answers: list[Answer]) -> None:
        """Take in what the peer answered; PeerError if any of it is bad."""
        asked: list[Outstanding] = []
        proofs: list[Proof] = []
        fork = self.core.fork
        for outstanding, answer in answers:
            if isinstance(answer, NoData):
                self._refused(peer, outstanding)
            elif outstanding.taker is not None:
                self._finish(peer, outstanding)
                outstanding.taker(None if is_bare(answer) else answer)
            elif answer.fork > fork and answer.upgrade is not None:
                self._finish(peer, outstanding)
                self.forking.start(peer, answer)
            elif self._is_stale(outstanding, fork):
                self._finish(peer, outstanding)
                self._lost(outstanding)
            else:
                asked.append(outstanding)
                proofs.append(Proof(fork, manifest=answer.manifest) if is_bare(answer) else answer)
        if not proofs:
            return
        try:
            results = await self.core.accept_many(proofs)
        except StorageError as error:
            self.fail(error)
            for outstanding in asked:
                self._finish(peer, outstanding)
                self._lost(outstanding)
            return
        self._took(peer, asked, proofs, results, fork)

    def _is_stale(self, outstanding: Outstanding, fork: int) -> bool:
        """Whether an answer is to what the core was, not to what it is now."""
        want = outstanding.want
        if want.fork != fork:
            return want.fork < fork or want.upgrade is None
        way = want.upgrade
        return way is not None and way.start != self.core.length

    def _took(
        self,
        peer: Peer,
        asked: list[Outstanding],
        proofs: list[Proof],
        results: list[Accepted | PeerError],
        fork: int,
    ) -> None:
        bad: PeerError | None = None
        arrived: list[int] = []
        size = 0
        under_way = self.table.blocks
        for outstanding, proof, result in zip(asked, proofs, results, strict=True):
            self._finish(peer, outstanding)
            if isinstance(result, PeerError):
                self._lost(outstanding)
                # What was right for the core as it was a moment ago is no lie.
                is_late = result.code == "INVALID_OPERATION" and self._is_stale(outstanding, fork)
                if self.core.fork == fork and not outstanding.excused and not is_late:
                    bad = bad or result
                continue
            block = proof.block
            if block is not None:
                arrived.append(block.index)
                size += len(block.value)
                if block.index in under_way:
                    self.cancel(self.table.of_block(block.index))
            elif proof.upgrade is None and outstanding.want.upgrade is not None:
                self._note_refusal(
                    peer, outstanding
                )  # the manifest alone: it cannot prove the rest
            if outstanding.on_end is not None:
                outstanding.on_end(True)
        if arrived:
            peer.machine.source.refusals = 0
            peer.machine.pace.answered(len(arrived), peer.link.now())
            traffic = peer.link.traffic
            traffic.blocks_received += len(arrived)
            traffic.bytes_received += size
            self.window.observe(size, len(arrived))
            self.wishes.arrived(self.core.bitfield, arrived)
        if bad is not None and not self.claims.suspect(peer, bad):
            raise bad

    def fail(self, error: StorageError) -> None:
        """Nothing more can be kept: tell the readers, serve on."""
        self.wishes.fail(error)

    async def claim(self, peer: Peer, proof: Proof) -> None:
        """Look at what the peer sent and nobody asked for; PeerError if it is a lie."""
        await self.claims.take(peer, proof)

    def took_push(self, peer: Peer, proof: Proof) -> None:
        """A pushed block was good and is held."""
        block = proof.block
        if block is None:
            return
        if block.index in self.table.blocks:
            self.cancel(self.table.of_block(block.index))
        peer.link.traffic.blocks_received += 1
        peer.link.traffic.bytes_received += len(block.value)
        self.wishes.arrived(self.core.bitfield, [block.index])

    def _finish(self, peer: Peer, outstanding: Outstanding) -> None:
        self.table.finish(outstanding)
        if outstanding.promised:
            peer.machine.promises.settle(outstanding)

    def _lost(self, outstanding: Outstanding) -> None:
        """A request brought nothing: its block may be asked for again."""
        self.table.excuse(outstanding)
        if outstanding.block is not None:
            self.wishes.rewind(outstanding.block)
        if outstanding.on_end is not None:
            outstanding.on_end(False)
        if outstanding.taker is not None:
            outstanding.taker(None)

    def _refused(self, peer: Peer, outstanding: Outstanding) -> None:
        self._finish(peer, outstanding)
        self._note_refusal(peer, outstanding)
        self._lost(outstanding)
        self.changed()
        self.poke_all()

    def _note_refusal(self, peer: Peer, outstanding: Outstanding) -> None:
        """The peer has not what it was asked for: do not ask it for that again."""
        machine = peer.machine
        remote = machine.exchange.remote
        if remote is not None and outstanding.want.fork == self.core.fork == remote.fork:
            machine.source.refusals += 1
            if outstanding.block is not None and len(machine.source.refused) < _REFUSED_KEPT:
                machine.source.refused.add(outstanding.block)
        way = outstanding.want.upgrade
        if way is not None:
            # The head that was asked for, which may not be what the peer has by now.
            machine.refused_upgrade = (outstanding.want.fork, way.start + way.length)

    def drop(self, peer: Peer) -> None:
        """A peer is gone: what it was asked for may be asked elsewhere."""
        self._peers.pop(peer.number, None)
        self.forking.drop(peer)
        for outstanding in self.table.drop_peer(peer.number):
            self._lost(outstanding)
        self.wishes.forget_peer(peer.number)
        # Its last answers may have been taken in without anybody being told.
        self.wishes.check(self.core.bitfield)

    def cancel(self, requests: list[Outstanding]) -> None:
        """These answers matter no longer: say so to who owes them."""
        for outstanding in requests:
            is_due = not outstanding.arrived
            self.table.cancel(outstanding)
            peer = self._peers.get(outstanding.peer)
            if peer is None:
                continue
            peer.machine.promises.settle(outstanding)
            if is_due:
                peer.machine.send(MessageType.CANCEL, encode_cancel(outstanding.id))
            peer.poke()


def _stored_contiguous(core: Hypercore) -> int:
    fork, _, length = core.user_data.get(REMOTE_CONTIGUOUS, b"").partition(b" ")
    if not (fork.isdigit() and length.isdigit()) or int(fork) != core.fork:
        return 0
    return min(int(length), core.length)

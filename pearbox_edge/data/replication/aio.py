"""The shells: one stream that carries many cores, and one core's replicator over many streams."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress

from pearbox_edge.data.core import (
    Accepted,
    BlockRequest,
    Hypercore,
    Proof,
    ProofRequest,
    UpgradeRequest,
)
from pearbox_edge.errors import PearboxError, PeerError, StorageError, UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.logs import short
from pearbox_edge.net.mux import Mux

from .connection import Peer
from .link import Traffic
from .messages import MessageType, NoData, Request, Want, encode_cancel, encode_request, encode_want
from .peer import Answer
from .ranges import Wish, Wishes
from .requests import Outstanding, RequestTable
from .scheduler import WANT_SPAN, choose, unknown_spans
from .upgrade import OwnHead
from .window import Window

logger = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
"""TUNING: how often a stream's peers are looked at for a stall."""
QUIET_SECONDS = 10.0
"""TUNING: an update that sees nothing happen for so long ends; no honest peer thinks longer."""
RETRY_SECONDS = 5.0
"""TUNING: a stream that rejected a core is not asked for it again any sooner."""
_SEEK_STEPS = 128  # TUNING: a seek narrows by one level at least; no tree is deeper than 52
_REFUSED_KEPT = 4096  # TUNING: refused blocks remembered of one peer; past that it is not asked


class StreamLink:
    """One stream to one other machine: its mux, its tasks and what went over it.

    `run` lives as long as the stream and leaves nothing behind.
    """

    def __init__(self, mux: Mux) -> None:
        self.mux = mux
        self.traffic = Traffic()
        self.heard_at = 0.0
        self.closed = False
        self.peers: list[Peer] = []
        """The channels of all cores on this stream."""
        self._loop = asyncio.get_running_loop()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: Exception | None = None

    @property
    def is_initiator(self) -> bool:
        """Whether this side dialled."""
        return self.mux.stream.is_initiator

    @property
    def handshake_hash(self) -> bytes:
        """64 bytes that name the stream."""
        return self.mux.stream.handshake_hash

    @property
    def remote_public_key(self) -> PublicKey:
        """Who is at the other end."""
        return self.mux.stream.remote_public_key

    @property
    def remote_address(self) -> tuple[str, int]:
        """Host and port of the other end."""
        return self.mux.stream.remote_address

    async def run(self) -> None:
        """Carry the stream until it ends. PeerError if the peer broke a rule or stalled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.spawn(self._watch())
                try:
                    await self.mux.run()
                except UnavailableError as error:
                    logger.debug("stream to %s ended: %s", short(self.remote_public_key), error)
                except PeerError as error:
                    self._error = self._error or error
                finally:
                    self.closed = True
                    for task in self._tasks:
                        task.cancel()
        finally:
            self.closed = True
            self._group = None
        if self._error is not None:
            raise self._error

    async def close(self) -> None:
        """Send what is queued and end the stream; `run` returns then."""
        await self.mux.close()

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run something until it ends or the stream does; a PeerError destroys the stream."""
        if self._group is None or self.closed:
            work.close()
            return
        task = self._group.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except UnavailableError as error:
            logger.debug("work for %s ended: %s", short(self.remote_public_key), error)
        except PeerError as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Destroy the stream; `run` raises `error`."""
        if self._error is None and not self.closed:
            self._error = error
        self.mux.abort()

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the loop's next turn."""
        self._loop.call_soon(call)

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self.now()
            for peer in self.peers:
                peer.machine.progressed(self.heard_at)
                deadline = peer.stalls_at()
                if deadline is not None and now >= deadline:
                    raise PeerError("no answer to what was asked", code="REQUEST_TIMEOUT")


class Replicator:
    """Replicates one core with all its peers: serves them, and fetches for the core's readers.

    Sets itself as the core's fetcher. One for each open core; `attach` it to every stream.
    """

    def __init__(self, core: Hypercore) -> None:
        self.core = core
        self.table = RequestTable()
        self.window = Window(core.head.byte_length, core.length)
        self.downloading = False
        self.finding = 0
        """Searches for peers under way: an update waits for them while there is no peer."""
        self.closed = False
        self._wishes = Wishes()
        self._peers: dict[int, Peer] = {}
        self._links: dict[StreamLink, Peer | None] = {}
        self._rejected: dict[StreamLink, float] = {}
        self._next_number = 1
        self._waiters: set[asyncio.Future[None]] = set()
        self._known_length = core.length
        self._loop = asyncio.get_running_loop()
        core.fetcher = self
        core.add_listener(self)

    # What others see

    @property
    def peers(self) -> list[Peer]:
        """Those that proved they know the key."""
        return [peer for peer in self._peers.values() if peer.machine.is_open]

    @property
    def is_idle(self) -> bool:
        """Whether nobody reads here and no stream has a channel."""
        return not self._wishes and not self._peers

    def own_head(self) -> OwnHead:
        """What a sync says of this side."""
        core = self.core
        return OwnHead(
            core.fork,
            core.length,
            core.manifest is not None and not core.is_compat,
            self.downloading or bool(self._wishes) or bool(self.table),
            core.contiguous_length >= core.length,
        )

    # Streams

    def attach(self, link: StreamLink, *, open_channel: bool = True) -> None:
        """Replicate over a stream, from now until it ends."""
        if self.closed or link.closed:
            return
        self._links.setdefault(link, None)
        if open_channel:
            self._open(link)

    def detach(self, link: StreamLink) -> None:
        """The stream has ended."""
        peer = self._links.pop(link, None)
        self._rejected.pop(link, None)
        if peer is not None:
            peer.close()
        self._notify()

    def _open(self, link: StreamLink) -> None:
        if self._links.get(link) is not None or link.closed or self.core.conflicted:
            return
        number = self._next_number
        self._next_number += 1
        try:
            peer = Peer(self, link, number)
        except UnavailableError:
            return  # the stream is ending, or too many channels are open on it
        self._links[link] = self._peers[number] = peer
        link.peers.append(peer)

    def _reopen(self) -> None:
        """Somebody wants something: open channels where idle ones were closed."""
        now = self._loop.time()
        for link, peer in self._links.items():
            if peer is None and now >= self._rejected.get(link, 0.0):
                self._open(link)

    def joined(self, peer: Peer) -> None:
        """The peer proved that it knows the key."""
        logger.debug("core %s: peer %s", short(self.core.key), short(peer.link.remote_public_key))
        self._rejected.pop(self._link_of(peer), None)
        self._notify()

    def _link_of(self, peer: Peer) -> StreamLink:
        link = peer.link
        assert isinstance(link, StreamLink)  # noqa: S101 -- made in _open
        return link

    def left(self, peer: Peer) -> None:
        """A channel has ended: what was asked there is asked elsewhere."""
        link = self._link_of(peer)
        self._peers.pop(peer.number, None)
        with suppress(ValueError):
            link.peers.remove(peer)
        if link in self._links:
            self._links[link] = None
            if not peer.was_open:
                self._rejected[link] = self._loop.time() + RETRY_SECONDS
        for outstanding in self.table.drop_peer(peer.number):
            self._lost(outstanding)
        self._wishes.forget_peer(peer.number)
        self._wishes.check(self.core.bitfield)
        self._notify()
        self._poke_all()
        remote = peer.machine.exchange.remote
        if self.downloading and remote is not None and not remote.downloading:
            # It took us for idle while we were not: talk again.
            self._loop.call_soon(self._open_again, link)

    def _open_again(self, link: StreamLink) -> None:
        if link in self._links and not self.closed:
            self._open(link)

    def heard(self, peer: Peer) -> None:
        """The peer told something new about its head or its blocks."""
        machine = peer.machine
        if machine.gained is not None:
            self._wishes.rewind(machine.gained, peer.number)
            machine.gained = None
        self._notify()

    def _poke_all(self) -> None:
        for peer in self._peers.values():
            peer.poke()

    def _notify(self) -> None:
        """Something changed that an update or a seek may wait for."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _change(self) -> bool:
        """Wait until something changes; False if nothing does for QUIET_SECONDS."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)
        return True

    # Asking

    def fill(self, peer: Peer) -> None:
        """Ask the peer for as much as it may be asked for."""
        machine, core = peer.machine, self.core
        if self.closed or core.failure is not None or core.conflicted or not machine.is_open:
            return
        own = self.own_head()
        source = machine.source
        source.servable = machine.exchange.servable_length(own)
        self._ask_head(peer, own)
        if not self._wishes or not source.servable:
            return
        for start in unknown_spans(source, self._wishes, own.length, core.bitfield):
            machine.send(MessageType.WANT, encode_want(Want(start, WANT_SPAN)))
        room = self.window.size - self.table.count(peer.number)
        picks = choose(source, room, self._wishes, self.table, core.bitfield)
        if picks:
            self._ask_blocks(peer, picks)

    def _ask_head(self, peer: Peer, own: OwnHead) -> None:
        machine, remote = peer.machine, peer.machine.exchange.remote
        if self.table.upgrade is not None or remote is None:
            return
        manifest = self.core.manifest is None and remote.has_manifest
        if machine.offers_reorg(own):
            way = UpgradeRequest(0, remote.length)
            self._ask(peer, ProofRequest(remote.fork, upgrade=way, manifest=manifest))
        elif machine.offers_upgrade(own):
            way = UpgradeRequest(own.length, remote.length - own.length)
            self._ask(peer, ProofRequest(own.fork, upgrade=way, manifest=manifest))
        elif manifest and remote.length == 0 and own.length == 0 and not machine.asked_manifest:
            machine.asked_manifest = True
            self._ask(peer, ProofRequest(own.fork, manifest=True))

    def _ask(self, peer: Peer, want: ProofRequest) -> Outstanding:
        now = self._loop.time()
        peer.machine.expect(now)
        outstanding = self.table.add(peer.number, want, now)
        peer.machine.send(MessageType.REQUEST, encode_request(Request(outstanding.id, want)))
        return outstanding

    def _ask_blocks(self, peer: Peer, picks: list[int]) -> None:
        now = self._loop.time()
        fork = self.core.fork
        missing_nodes = self.core.missing_nodes_sync
        peer.machine.expect(now)
        cold: list[Outstanding] = []
        for index in picks:
            steps = missing_nodes(index)
            outstanding = self.table.add_block(peer.number, index, fork, now)
            if steps is None:
                cold.append(outstanding)
            else:
                self._send_block(peer, outstanding, index, steps)
        if cold:
            peer.link.spawn(self._ask_cold(peer, cold))

    async def _ask_cold(self, peer: Peer, cold: list[Outstanding]) -> None:
        """Ask for blocks whose tree nodes are not in memory."""
        core = self.core
        await core.warm([one.block for one in cold if one.block is not None])
        for one in cold:
            if one.block is None or not self.table.is_open(one):
                continue
            steps = await core.missing_nodes(one.block)
            if self.table.is_open(one) and one.want.fork == core.fork:
                self._send_block(peer, one, one.block, steps)
        peer.flush()

    def _send_block(self, peer: Peer, outstanding: Outstanding, index: int, steps: int) -> None:
        urgent = self._wishes.wants_block(index)
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
            elif self._is_stale(outstanding, fork):
                self._finish(peer, outstanding)
                self._lost(outstanding)
            else:
                asked.append(outstanding)
                proofs.append(answer)
        if not proofs:
            return
        try:
            results = await self.core.accept_many(proofs)
        except StorageError as error:
            # Nothing more can be kept: tell the readers, serve on.
            logger.error("core %s: %s", short(self.core.key), error)  # noqa: TRY400 -- no traceback
            self._wishes.fail(error)
            for outstanding in asked:
                self._finish(peer, outstanding)
                self._lost(outstanding)
            return
        self._took(peer, asked, proofs, results, fork)

    def _is_stale(self, outstanding: Outstanding, fork: int) -> bool:
        want = outstanding.want
        if want.fork < fork:
            return True
        way = want.upgrade
        return way is not None and want.fork == fork and way.start != self.core.length

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
        table_blocks = self.table.blocks
        for outstanding, proof, result in zip(asked, proofs, results, strict=True):
            self._finish(peer, outstanding)
            if isinstance(result, PeerError):
                self._lost(outstanding)
                if self.core.fork == fork and not outstanding.excused:
                    bad = bad or result
                continue
            block = proof.block
            if block is not None:
                arrived.append(block.index)
                size += len(block.value)
                if block.index in table_blocks:
                    self._cancel_all(self.table.of_block(block.index))
            if outstanding.on_end is not None:
                outstanding.on_end(True)
        if arrived:
            peer.machine.source.refusals = 0
            traffic = peer.link.traffic
            traffic.blocks_received += len(arrived)
            traffic.bytes_received += size
            self.window.observe(size, len(arrived))
            self._wishes.arrived(self.core.bitfield, arrived)
        if bad is not None:
            raise bad

    def _finish(self, peer: Peer, outstanding: Outstanding) -> None:
        self.table.finish(outstanding)
        if outstanding.promised:
            peer.machine.promises.settle(outstanding)

    def _lost(self, outstanding: Outstanding) -> None:
        """A request brought nothing: its block may be asked for again."""
        self.table.excuse(outstanding)
        if outstanding.block is not None:
            self._wishes.rewind(outstanding.block)
        if outstanding.on_end is not None:
            outstanding.on_end(False)

    def _refused(self, peer: Peer, outstanding: Outstanding) -> None:
        self._finish(peer, outstanding)
        machine = peer.machine
        remote = machine.exchange.remote
        if remote is not None and outstanding.want.fork == self.core.fork == remote.fork:
            machine.source.refusals += 1
            if outstanding.block is not None and len(machine.source.refused) < _REFUSED_KEPT:
                machine.source.refused.add(outstanding.block)
        if outstanding.want.upgrade is not None and remote is not None:
            machine.refused_upgrade = (remote.fork, remote.length)
        self._lost(outstanding)
        self._notify()
        self._poke_all()

    def _cancel_all(self, requests: list[Outstanding]) -> None:
        for outstanding in requests:
            is_due = not outstanding.arrived
            self.table.cancel(outstanding)
            peer = self._peers.get(outstanding.peer)
            if peer is not None:
                peer.machine.promises.settle(outstanding)
                if is_due:
                    peer.machine.send(MessageType.CANCEL, encode_cancel(outstanding.id))
                peer.poke()

    # The core's events

    def on_head(self) -> None:
        """The core's length or manifest changed."""
        self._known_length = self.core.length
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.exchange.own_changed(own)
            peer.poke()
        self._notify()

    def on_blocks(self, start: int, count: int) -> None:
        """Blocks came to be held, durably: tell the peers."""
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.announce(start, start + count, own)
            peer.poke()
        if self._wishes:
            self._wishes.check(self.core.bitfield)

    def on_clear(self, start: int, count: int) -> None:
        """Blocks are held no longer."""
        self._wishes.lost_blocks()
        for peer in self._peers.values():
            peer.machine.announce_drop(start, count)
            peer.poke()

    def on_truncate(self, length: int, fork: int) -> None:
        """All past `length` is gone, and the fork is another."""
        gone = self._known_length - length
        self._known_length = self.core.length
        self._wishes.lost_blocks()
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.announce_drop(length, gone)
            peer.machine.exchange.own_changed(own)
            peer.poke()
        logger.info("core %s: now fork %d, cut to %d", short(self.core.key), fork, length)
        self._notify()

    def on_conflict(self) -> None:
        """The core is frozen: nobody is served or asked any more."""
        self._wishes.fail(UnavailableError("the core was signed twice", code="CONFLICT"))
        for peer in list(self._peers.values()):
            peer.close()

    # The core's readers

    def set_downloading(self, downloading: bool) -> None:
        """Whether somebody may ask for something: peers then keep the channel open."""
        if downloading == self.downloading:
            return
        self.downloading = downloading
        if downloading:
            self._reopen()
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.exchange.own_changed(own)
            peer.poke()

    def set_finding(self, searches: int) -> None:
        """How many searches for peers are under way."""
        self.finding = searches
        self._notify()

    async def fetch(self, index: int) -> None:
        """Return once block `index` is held."""
        await self._await_wish(index, index + 1, urgent=True)

    async def fetch_range(self, start: int, end: int) -> None:
        """Return once all blocks from `start` up to `end` (not included) are held."""
        await self._await_wish(start, end, urgent=False)

    async def _await_wish(self, start: int, end: int, *, urgent: bool) -> None:
        core = self.core
        while not core.bitfield.has_range(start, end):
            if self.closed:
                raise UnavailableError("the core is closed", code="SESSION_CLOSED")
            if core.failure is not None:
                raise core.failure
            done: asyncio.Future[None] = self._loop.create_future()
            wish = self._wishes.add(start, end, _resolver(done), urgent=urgent)
            self._reopen()
            self._poke_all()
            try:
                await done
            finally:
                if not done.done() or done.cancelled():
                    self._wishes.remove(wish)
                    self._cancel_unwanted(wish)

    def _cancel_unwanted(self, wish: Wish) -> None:
        """A reader gave up: so do the requests that were only for it."""
        self._cancel_all(
            [
                outstanding
                for outstanding in self.table
                if outstanding.block is not None
                and wish.start <= outstanding.block < wish.end
                and not self._wishes.covers(outstanding.block)
            ]
        )

    async def update(self) -> bool:
        """Take the newest head that connected peers can prove; whether the core changed.

        Returns as soon as no connected peer can bring anything newer. Waits for channels that are
        being opened, and for searches under way (`finding`) while there is no peer at all.
        """
        before = self.core.head
        self._reopen()
        self._poke_all()
        while self.core.head == before:
            if self.closed or not self._expects_news():
                return False
            searching = self.finding > 0
            if not await self._change() and not searching:
                return False
        return True

    def _expects_news(self) -> bool:
        if self.finding and not any(p.machine.exchange.remote for p in self._peers.values()):
            return True
        if self.table.upgrade is not None:
            return True
        own = self.own_head()
        return any(peer.machine.may_bring_news(own) for peer in self._peers.values())

    async def seek(self, byte_offset: int) -> None:
        """Return once the block of a plain byte is known."""
        for _ in range(_SEEK_STEPS):
            want = await self.core.seek_request(byte_offset)
            if want is None:
                return
            await self._ask_somebody(want)
        raise UnavailableError(f"peers do not tell where byte {byte_offset} is")

    async def _ask_somebody(self, want: ProofRequest) -> None:
        """Have some peer answer a request well."""
        tried: set[int] = set()
        while want.fork == self.core.fork:
            if self.closed:
                raise UnavailableError("the core is closed", code="SESSION_CLOSED")
            own = self.own_head()
            able = [
                peer
                for peer in self.peers
                if peer.number not in tried and peer.machine.exchange.servable_length(own)
            ]
            if not able:
                self._reopen()
                await self._change()
                continue
            peer = min(able, key=lambda peer: self.table.count(peer.number))
            tried.add(peer.number)
            done: asyncio.Future[bool] = self._loop.create_future()
            outstanding = self._ask(peer, want)
            outstanding.on_end = _answerer(done)
            peer.poke()
            try:
                if await done:
                    return
            finally:
                if not done.done() or done.cancelled():
                    self._cancel_all([outstanding])

    def close(self) -> None:
        """End all channels; readers get UnavailableError."""
        if self.closed:
            return
        self.closed = True
        self.core.remove_listener(self)
        if self.core.fetcher is self:
            self.core.fetcher = None
        self._wishes.fail(UnavailableError("the core is closed", code="SESSION_CLOSED"))
        for peer in list(self._peers.values()):
            peer.close()
        self._links.clear()
        self._rejected.clear()
        self._notify()


def _resolver(done: "asyncio.Future[None]") -> Callable[[PearboxError | None], None]:
    def resolve(error: PearboxError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    return resolve


def _answerer(done: "asyncio.Future[bool]") -> Callable[[bool], None]:
    def answer(good: bool) -> None:
        if not done.done():
            done.set_result(good)

    return answer

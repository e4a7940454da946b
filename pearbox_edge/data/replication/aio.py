"""The shells: one stream that carries many cores, and one core's replicator over many streams."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pearbox_edge.data.core import Hypercore, ProofRequest
from pearbox_edge.errors import PearboxError, PeerError, StorageError, UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.logs import short
from pearbox_edge.net.mux import Mux

from .asking import Asker
from .connection import Peer
from .link import Traffic, Work
from .ranges import Wish

logger = logging.getLogger(__name__)

WATCH_SECONDS = 2.0
"""TUNING: how often a stream's peers are looked at for a stall."""
QUIET_SECONDS = 10.0
"""TUNING: an update that sees nothing happen for so long ends; no honest peer thinks longer."""
RETRY_SECONDS = 5.0
"""TUNING: a stream that rejected a core is not asked for it again any sooner."""
_SEEK_STEPS = 128  # TUNING: a seek narrows by one level at least; no tree is deeper than 52


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
                self.spawn(self._watch)
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

    def spawn(self, work: Work) -> None:
        """Run something until it ends or the stream does; a PeerError destroys the stream."""
        if self._group is None or self.closed:
            return
        task = self._group.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Work) -> None:
        try:
            await work()
        except UnavailableError as error:
            logger.debug("work for %s ended: %s", short(self.remote_public_key), error)
        except StorageError as error:
            # The disk's trouble is not the peer's: what else is on the stream goes on.
            logger.warning("work for %s ended: %s", short(self.remote_public_key), error)
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
            self.expire(self.now())

    def expire(self, now: float) -> None:
        """Look whether any peer has stalled: PeerError then."""
        for peer in self.peers:
            peer.machine.progressed(self.heard_at)
            deadline = peer.stalls_at()
            if deadline is not None and now >= deadline:
                raise PeerError("no answer to what was asked", code="REQUEST_TIMEOUT")


class Replicator(Asker):
    """Replicates one core with all its peers: serves them, and fetches for the core's readers.

    Sets itself as the core's fetcher. One for each open core; `attach` it to every stream.
    """

    def __init__(self, core: Hypercore) -> None:
        super().__init__(core)
        self._finding = 0
        self._links: dict[StreamLink, Peer | None] = {}
        self._rejected: dict[StreamLink, float] = {}
        self._next_number = 1
        self._waiters: set[asyncio.Future[None]] = set()
        self._known_length = core.length
        self._loop = asyncio.get_running_loop()
        core.fetcher = self
        core.extensions.outlet = self._send_extension
        core.add_listener(self)

    # What others see

    @property
    def peers(self) -> list[Peer]:
        """Those that proved they know the key."""
        return [peer for peer in self._peers.values() if peer.machine.is_open]

    @property
    def is_idle(self) -> bool:
        """Whether nobody reads here and no stream has a channel."""
        return not self.wishes and not self._peers

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
        self.changed()

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
        self.changed()

    def _link_of(self, peer: Peer) -> StreamLink:
        link = peer.link
        assert isinstance(link, StreamLink)  # noqa: S101 -- made in _open
        return link

    def left(self, peer: Peer) -> None:
        """A channel has ended: what was asked there is asked elsewhere."""
        link = self._link_of(peer)
        with suppress(ValueError):
            link.peers.remove(peer)
        if link in self._links:
            self._links[link] = None
            if not peer.was_open:
                self._rejected[link] = self._loop.time() + RETRY_SECONDS
        self.drop(peer)
        self.changed()
        self.poke_all()
        remote = peer.machine.exchange.remote
        if self.downloading and remote is not None and not remote.downloading:
            # It took us for idle while we were not: talk again.
            self._loop.call_soon(self._open_again, link)

    def _open_again(self, link: StreamLink) -> None:
        if link in self._links and not self.closed:
            self._open(link)

    def changed(self) -> None:
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

    # The core's events

    def on_head(self) -> None:
        """The core's length or manifest changed."""
        self._known_length = self.core.length
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.exchange.own_changed(own)
            peer.poke()
        self.changed()

    def on_blocks(self, start: int, count: int) -> None:
        """Blocks came to be held, durably: tell the peers."""
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.announce(start, start + count, own)
            peer.poke()
        if self.wishes:
            self.wishes.check(self.core.bitfield)

    def on_clear(self, start: int, count: int) -> None:
        """Blocks are held no longer."""
        self.wishes.lost_blocks()
        for peer in self._peers.values():
            peer.machine.announce_drop(start, count)
            peer.poke()

    def on_truncate(self, length: int, fork: int) -> None:
        """All past `length` is gone, and the fork is another."""
        gone = self._known_length - length
        self._known_length = self.core.length
        self.forget_contiguous(length)
        self.wishes.lost_blocks()
        own = self.own_head()
        for peer in self._peers.values():
            peer.machine.announce_drop(length, gone)
            peer.machine.exchange.own_changed(own)
            peer.poke()
        logger.info("core %s: now fork %d, cut to %d", short(self.core.key), fork, length)
        self.changed()

    def on_conflict(self) -> None:
        """The core is frozen: tell everybody, and neither serve nor ask any more."""
        self.wishes.fail(self.core.conflict())
        for peer in list(self._peers.values()):
            peer.link.spawn(partial(self.claims.show_head, peer))
        self.changed()

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

    def set_allow_push(self, allow: bool) -> None:
        """Whether blocks that were not asked for are taken; peers are told."""
        if allow != self.allow_push:
            self.allow_push = allow
            self.on_head()

    async def push(self, index: int) -> int:
        """Send a held block to all peers that take what they did not ask for; to how many."""
        sent = [await self.claims.push(peer, index) for peer in self.peers]
        return sum(sent)

    def _send_extension(self, name: str, payload: bytes, to: object | None) -> None:
        for peer in self.peers:
            if to is None or peer is to:
                peer.send_extension(name, payload)

    def set_finding(self, searches: int) -> None:
        """How many searches for peers are under way."""
        self._finding = searches
        self.changed()

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
            if core.conflicted:
                raise core.conflict()
            if core.failure is not None:
                raise core.failure
            done: asyncio.Future[None] = self._loop.create_future()
            wish = self.wishes.add(start, end, _resolver(done), urgent=urgent)
            self._reopen()
            self.poke_all()
            try:
                await done
            finally:
                if not done.done() or done.cancelled():
                    self.wishes.remove(wish)
                    self._cancel_unwanted(wish)

    def _cancel_unwanted(self, wish: Wish) -> None:
        """A reader gave up: so do the requests that were only for it."""
        self.cancel(
            [
                outstanding
                for outstanding in self.table
                if outstanding.block is not None
                and wish.start <= outstanding.block < wish.end
                and not self.wishes.covers(outstanding.block)
            ]
        )

    async def update(self) -> bool:
        """Take the newest head that connected peers can prove; whether the core changed.

        Returns as soon as no connected peer can bring anything newer. Waits for channels that are
        being opened; and while peers are being searched for, until there is one, or for anything
        at all as long as the core is empty here. UnavailableError (CONFLICT) if it is frozen.
        """
        before = self.core.head
        self._reopen()
        self.poke_all()
        await asyncio.sleep(0)  # a caller that asks in a loop must not stop everything else
        while self.core.head == before:
            if self.core.conflicted:
                raise self.core.conflict()
            if self.closed or not self._expects_news():
                return False
            searching = self._finding > 0
            if not await self._change() and not searching:
                return False
        return True

    def _expects_news(self) -> bool:
        if self._finding and (
            self.core.length == 0
            or not any(peer.machine.exchange.remote for peer in self._peers.values())
        ):
            return True
        if self.table.upgrade is not None or self.forking.peer is not None:
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
            outstanding = self.ask(peer, want)
            outstanding.on_end = _answerer(done)
            peer.poke()
            try:
                if await done:
                    return
            finally:
                if not done.done() or done.cancelled():
                    self.cancel([outstanding])

    def close(self) -> None:
        """End all channels; readers get UnavailableError."""
        if self.closed:
            return
        self.closed = True
        self.core.remove_listener(self)
        if self.core.fetcher is self:
            self.core.fetcher = None
        self.core.extensions.outlet = None
        self.wishes.fail(UnavailableError("the core is closed", code="SESSION_CLOSED"))
        for peer in list(self._peers.values()):
            peer.close()
        self._links.clear()
        self._rejected.clear()
        self.changed()


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

"""Announce and browse on whatever network there is, through every change of it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pearbox_edge.errors import UnavailableError, UsageError

from .interfaces import OwnAddress, choose, read_interfaces
from .link import Link, MdnsLink
from .peers import MAX_PORT, LanPeer, PeerTable, candidates
from .records import (
    Topic,
    TopicInfos,
    announcement,
    check_label,
    goodbye,
    look,
    query,
    random_name,
    topic_infos,
)
from .schedule import Repeats, announcements, queries

log = logging.getLogger(__name__)

MAX_LABELS = 1024  # TUNING of each kind: far more drives than one box seeds
# TUNING a replugged cable or a new lease is noticed within this; reading takes half a millisecond.
NETWORK_CHECK = 1.0
OPEN_RETRY = 5.0  # TUNING port 5353 may be held by a program that does not share it
# TUNING a busy LAN is full of chatter: heard records are looked at together, at most this often.
SETTLE = 0.03
# SPEC RFC 6762, 10.2: a replaced record is to go one second later; the cache itself sweeps at 10 s.
FLUSH = 1.2
# TUNING multicast over Wi-Fi gets lost: a goodbye is said twice, this far apart.
GOODBYE_GAP = 0.1
ASLEEP = 2.0  # TUNING seconds the machine must have been suspended for its network to be doubted
QUERY_JITTER = 0.1  # SPEC RFC 6762, 5.2: the first query waits 20 to 120 ms


@dataclass(frozen=True, slots=True)
class LanOptions:
    """`interfaces`: names of the cards to use; empty for every LAN card there is at the time."""

    interfaces: tuple[str, ...] = ()


NetworkReader = Callable[[], Sequence[OwnAddress]]
LinkOpener = Callable[[Sequence[OwnAddress], Callable[[], None]], Awaitable[Link]]


class Browse:
    """A search for the peers of one label, for as long as it is not closed."""

    def __init__(
        self,
        label: str,
        on_found: Callable[[LanPeer], None],
        on_lost: Callable[[LanPeer], None] | None,
        on_close: Callable[["Browse"], None],
    ) -> None:
        self.label = label
        self.closed = False
        self.table = PeerTable()
        self.repeats: Repeats = queries()
        self.first = True
        self._on_found = on_found
        self._on_lost = on_lost
        self._on_close = on_close

    def close(self) -> None:
        """Search no more; no callback comes after this."""
        if not self.closed:
            self.closed = True
            self._on_close(self)

    def restart(self, at: float) -> None:
        """Ask again from the beginning."""
        self.first = True
        self.repeats.start(at)

    def report(self, seen: dict[str, tuple[LanPeer, ...]], now: float) -> None:
        """Take in who is seen now, and call back for what changed: the lost first."""
        change = self.table.update(seen, now)
        for peer in change.lost:
            if self._on_lost is not None and not self.closed:
                self._on_lost(peer)
        for peer in change.found:
            if not self.closed:
                self._on_found(peer)


class _Announced:
    """A topic, the records it has on the network of the moment, and when to say them again."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.infos: TopicInfos | None = None
        self.repeats: Repeats = announcements()


class LanDiscovery:
    """Be found under labels, and find others, on the LAN; used with `async with`.

    No network at the start is no error, nor one that goes, comes or changes: it goes on by itself.
    An exception that a callback raises ends the `async with` block: it is a bug of ours.
    """

    def __init__(
        self,
        options: LanOptions,
        random_bytes: Callable[[int], bytes],
        *,
        read_network: NetworkReader | None = None,
        open_link: LinkOpener = MdnsLink.open,
    ) -> None:
        self._read_network = read_network or (lambda: choose(read_interfaces(), options.interfaces))
        self._open_link = open_link
        self._random_bytes = random_bytes
        self._host = f"{random_name(random_bytes)}.local."
        self._announced: dict[str, _Announced] = {}
        self._browses: list[Browse] = []
        self._own: tuple[OwnAddress, ...] = ()
        self._link: Link | None = None
        self._tasks = asyncio.TaskGroup()
        self._runner: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._heard = False
        self._look_again: float | None = None
        self._next_check = 0.0
        self._next_open = 0.0
        self._slept = 0.0
        self._failing = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._slept = _time_asleep()
        await self._follow_network(time.monotonic())
        self._runner = self._tasks.create_task(self._run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.cancel()
        try:
            # Only a cancellation is the group's business: any other exception of the block is
            # passed on as it is, not wrapped in a group.
            if isinstance(exc, asyncio.CancelledError):
                await self._tasks.__aexit__(exc_type, exc, traceback)
            else:
                await self._tasks.__aexit__(None, None, None)
        finally:
            await self._leave()

    async def announce(self, label: str, port: int) -> None:
        """Say that whoever seeks this label can connect to `port` here.

        label: z32 of a discovery key. The same label again replaces its port.
        Raises UsageError for a bad label or port, UnavailableError beyond `MAX_LABELS`.
        """
        check_label(label)
        if not 0 < port <= MAX_PORT:
            raise UsageError(f"a TCP port is 1 to {MAX_PORT}, not {port}")
        self._check_running()
        before = self._announced.get(label)
        if before is not None:
            if before.topic.port == port:
                return
            await self.withdraw(label)
        if len(self._announced) >= MAX_LABELS:
            raise UnavailableError(f"the LAN is told about {MAX_LABELS} topics at most")
        entry = _Announced(Topic(label, random_name(self._random_bytes), port))
        self._announced[label] = entry
        self._serve(entry, time.monotonic())
        self._wake.set()

    async def withdraw(self, label: str) -> None:
        """Take an announcement back, and tell everybody; nothing happens if there is none."""
        entry = self._announced.pop(label, None)
        if entry is None or entry.infos is None or self._link is None:
            return
        infos = entry.infos
        self._link.stop_serving(infos)
        self._link.send(goodbye([infos], with_addresses=not self._announced))
        await asyncio.sleep(GOODBYE_GAP)
        if self._link is not None:
            self._link.send(goodbye([infos], with_addresses=not self._announced))

    def browse(
        self,
        label: str,
        on_found: Callable[[LanPeer], None],
        on_lost: Callable[[LanPeer], None] | None = None,
    ) -> Browse:
        """Call back for each place where a peer of this label can be dialled, until closed.

        A peer with several addresses is reported once for each, best first, in one go. Our own
        announcement is not reported. Raises UsageError, or UnavailableError beyond `MAX_LABELS`.
        """
        check_label(label)
        self._check_running()
        if len(self._browses) >= MAX_LABELS:
            raise UnavailableError(f"the LAN is searched for {MAX_LABELS} topics at most")
        browse = Browse(label, on_found, on_lost, self._browses.remove)
        browse.restart(time.monotonic() + self._jitter())
        self._browses.append(browse)
        self._on_heard()  # what was heard for another search of this label counts for this one
        return browse

    def _check_running(self) -> None:
        if self._runner is None:
            raise UsageError("LAN discovery is used inside its `async with` block")

    def _jitter(self) -> float:
        return 0.02 + QUERY_JITTER * int.from_bytes(self._random_bytes(2), "big") / 0x10000

    def _on_heard(self) -> None:
        self._heard = True
        self._wake.set()

    async def _run(self) -> None:
        while True:
            now = time.monotonic()
            if now >= self._next_check:
                await self._follow_network(now)
            self._speak(now)
            if self._heard or (self._look_again is not None and now >= self._look_again):
                self._report(now)
            await asyncio.sleep(SETTLE)
            try:
                async with asyncio.timeout(max(0.0, self._deadline() - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    def _deadline(self) -> float:
        due = [self._next_check]
        if self._look_again is not None:
            due.append(self._look_again)
        if self._link is not None:
            repeats = [entry.repeats for entry in self._announced.values()]
            repeats += [browse.repeats for browse in self._browses]
            due += [at for at in (each.deadline() for each in repeats) if at is not None]
        return min(due)

    async def _follow_network(self, now: float) -> None:
        """Open the sockets anew if the machine's addresses are not what they were."""
        self._next_check = now + NETWORK_CHECK
        own = tuple(self._read_network())
        slept = _time_asleep()
        awoke = slept - self._slept > ASLEEP
        self._slept = slept
        changed = awoke or frozenset(own) != frozenset(self._own)
        if not changed and (self._link is not None or not own or now < self._next_open):
            return
        if changed:
            log.info("the LAN is now %s", ", ".join(str(a.ip) for a in own) or "gone")
        self._own = own
        await self._drop_link()
        for browse in self._browses:
            browse.table.doubt(now)
        self._look_again = now
        if not own:
            return
        try:
            self._link = await self._open_link(own, self._on_heard)
        except (OSError, RuntimeError, UnavailableError) as error:
            # The address may be gone again, or another program keeps port 5353 to itself.
            self._next_open = now + OPEN_RETRY
            level = logging.DEBUG if self._failing else logging.WARNING
            log.log(level, "cannot be found on the LAN for now: %s", error)
            self._failing = True
            return
        self._failing = False
        for entry in self._announced.values():
            self._serve(entry, now)
        for browse in self._browses:
            browse.restart(now + self._jitter())

    def _serve(self, entry: _Announced, now: float) -> None:
        if self._link is None:
            return
        entry.infos = topic_infos(entry.topic, self._host, self._own)
        self._link.serve(entry.infos)
        entry.repeats.start(now)

    async def _drop_link(self) -> None:
        link, self._link = self._link, None
        for entry in self._announced.values():
            entry.infos = None
        if link is not None:
            try:
                await link.close()
            except TimeoutError:
                log.warning("the LAN's sockets did not close in time")

    def _speak(self, now: float) -> None:
        """Send the announcements and queries that are due, in as few packets as can be."""
        if self._link is None:
            return
        due = [entry for entry in self._announced.values() if entry.repeats.take(now)]
        infos = [entry.infos for entry in due if entry.infos is not None]
        if infos:
            self._link.send(announcement(infos))
        asking = [browse for browse in self._browses if browse.repeats.take(now)]
        for unicast in (True, False):
            labels = dict.fromkeys(each.label for each in asking if each.first == unicast)
            views = [(label, look(self._link.cache, label, now)) for label in labels]
            if views:
                self._link.send(query(views, now, unicast=unicast))
        for browse in asking:
            browse.first = False

    def _report(self, now: float) -> None:
        """Look at what was heard, and tell each search what changed."""
        hosts: set[str] = set()
        views: dict[str, dict[str, tuple[LanPeer, ...]]] = {}
        for browse in self._browses:
            if self._link is None or browse.label in views:
                continue
            view = look(self._link.cache, browse.label, now)
            hosts |= view.hosts
            views[browse.label] = {
                instance: candidates(service, self._own)
                for instance, service in view.services.items()
                if service.host != self._host  # what we announce ourselves is heard as well
            }
        if self._link is not None:
            self._link.hosts = hosts
        self._look_again = now + FLUSH if self._heard else None
        self._heard = False
        for browse in tuple(self._browses):
            browse.report(views.get(browse.label, {}), now)
        doubts = [browse.table.deadline() for browse in self._browses]
        due = [at for at in (*doubts, self._look_again) if at is not None]
        self._look_again = min(due, default=None)

    async def _leave(self) -> None:
        """Say goodbye for all that was announced, and close."""
        infos = [entry.infos for entry in self._announced.values() if entry.infos is not None]
        self._announced.clear()
        self._browses.clear()
        link = self._link
        if link is None:
            return
        try:
            if infos:
                for each in infos:
                    link.stop_serving(each)
                link.send(goodbye(infos, with_addresses=True))
                await asyncio.sleep(GOODBYE_GAP)
                link.send(goodbye(infos, with_addresses=True))
        finally:
            await self._drop_link()


def _time_asleep() -> float:
    """Seconds the machine was suspended since it started, give or take: only differences count."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()

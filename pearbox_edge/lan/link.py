"""The sockets: python-zeroconf opened on a fixed set of addresses, and closed when they change."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from zeroconf import IPVersion, NotRunningException, RecordUpdate, RecordUpdateListener, Zeroconf
from zeroconf._cache import DNSCache
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf.asyncio import AsyncZeroconf

from pearbox_edge.errors import UnavailableError

from .interfaces import OwnAddress, multicast_choice
from .records import SERVICE_TYPE, TYPE_A, TYPE_AAAA, TopicInfos, TopicRegistry

CLOSE_TIMEOUT = 2.0  # TUNING closing sockets takes a turn or two of the loop


class Link(Protocol):
    """What discovery needs of the network while its addresses stay as they are."""

    cache: DNSCache
    hosts: set[str]

    def serve(self, infos: TopicInfos) -> None:
        """Answer questions about a topic."""

    def stop_serving(self, infos: TopicInfos) -> None:
        """Answer no more questions about it."""

    def send(self, out: DNSOutgoing) -> None:
        """Multicast a packet, or several if it is long, through every card."""

    async def close(self) -> None:
        """Close the sockets; says no goodbye."""


class _Watch(RecordUpdateListener):
    """Says that something relevant was heard; what it was is read from the cache."""

    def __init__(self, link: "MdnsLink", on_heard: Callable[[], None]) -> None:
        self._link = link
        self._on_heard = on_heard

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        """Pick out what concerns our service type or a host we follow."""
        for update in records:
            record = update.new
            key = record.name.lower()
            if key.endswith(SERVICE_TYPE) or (
                record.type in (TYPE_A, TYPE_AAAA) and key in self._link.hosts
            ):
                self._on_heard()
                return


class MdnsLink:
    """Multicast DNS on some addresses. `hosts`: names whose address records matter to us."""

    def __init__(self, zeroconf: AsyncZeroconf, on_heard: Callable[[], None]) -> None:
        self.hosts: set[str] = set()
        self._outer = zeroconf
        self._zeroconf = zeroconf.zeroconf
        self.cache = self._zeroconf.cache
        # Before the sockets' listeners exist, which keep both of these for good.
        self._registry = TopicRegistry()
        self._zeroconf.registry = self._registry
        self._zeroconf.query_handler = type(self._zeroconf.query_handler)(self._zeroconf)
        self._zeroconf.async_add_listener(_Watch(self, on_heard), None)

    @classmethod
    async def open(
        cls, addresses: Sequence[OwnAddress], on_heard: Callable[[], None]
    ) -> "MdnsLink":
        """Open the multicast sockets.

        Raises OSError or RuntimeError when an address just went, UnavailableError after a while.
        """
        families = {address.ip.version for address in addresses}
        match sorted(families):
            case [4]:
                version = IPVersion.V4Only
            case [6]:
                version = IPVersion.V6Only
            case _:
                version = IPVersion.All
        outer = AsyncZeroconf(interfaces=multicast_choice(addresses), ip_version=version)
        link = cls(outer, on_heard)
        try:
            await link._zeroconf.async_wait_for_start()
        except NotRunningException as error:
            await link.close()
            raise UnavailableError("the multicast sockets did not open in time") from error
        except BaseException:
            await link.close()
            raise
        return link

    def serve(self, infos: TopicInfos) -> None:
        """Answer questions about a topic."""
        self._registry.add_topic(infos)

    def stop_serving(self, infos: TopicInfos) -> None:
        """Answer no more questions about it."""
        self._registry.remove_topic(infos)

    def send(self, out: DNSOutgoing) -> None:
        """Multicast a packet, or several if it is long, through every card."""
        self._zeroconf.async_send(out)

    async def close(self) -> None:
        """Close the sockets; says no goodbye."""
        for infos in self._registry.async_get_service_infos():
            self._registry.async_remove(infos)
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await self._outer.async_close()

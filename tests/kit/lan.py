"""A LAN without a network: packets of the real library go from one link to the others by hand."""

import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from zeroconf._cache import DNSCache
from zeroconf._dns import DNSRecord
from zeroconf._protocol.incoming import DNSIncoming
from zeroconf._protocol.outgoing import DNSOutgoing

from pearbox_edge.lan.interfaces import OwnAddress
from pearbox_edge.lan.records import TopicInfos

CABLE = OwnAddress("eth0", 2, ip_address("192.168.1.5"), 24)


def records_of(out: DNSOutgoing) -> list[DNSRecord]:
    """What a packet says, read back from its bytes."""
    return [record for packet in out.packets() for record in DNSIncoming(packet).answers()]


def take_in(cache: DNSCache, packet: bytes, now: float) -> None:
    """Put a packet's records in the cache, heard at `now` seconds; a goodbye takes them out."""
    for record in DNSIncoming(packet, now=now * 1000).answers():
        if record.ttl:
            cache.async_add_records([record])
        elif cache.get(record) is not None:
            cache.async_remove_records([record])


class FakeLink:
    """Stands in for the sockets: keeps what is sent, hears what the test says."""

    def __init__(self, own: Sequence[OwnAddress], on_heard: Callable[[], None]) -> None:
        self.own = tuple(own)
        self.cache = DNSCache()
        self.hosts: set[str] = set()
        self.served: list[TopicInfos] = []
        self.sent: list[DNSOutgoing] = []
        self.closed = False
        self._on_heard = on_heard

    def serve(self, infos: TopicInfos) -> None:
        """Remember what is answered for."""
        self.served.append(infos)

    def stop_serving(self, infos: TopicInfos) -> None:
        """Forget it."""
        self.served.remove(infos)

    def send(self, out: DNSOutgoing) -> None:
        """Keep the packet."""
        assert not self.closed
        self.sent.append(out)

    async def close(self) -> None:
        """Be closed."""
        self.closed = True

    def hear(self, out: DNSOutgoing) -> None:
        """A packet comes in."""
        for packet in out.packets():
            take_in(self.cache, packet, time.monotonic())
        self._on_heard()

    def answers(self) -> list[DNSOutgoing]:
        """What was sent that says something: announcements and goodbyes."""
        return [out for out in self.sent if out.is_response()]

    def queries(self) -> list[DNSOutgoing]:
        """What was sent that asks something."""
        return [out for out in self.sent if out.is_query()]

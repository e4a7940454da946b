"""Who is out there for one label, told as changes, and where to dial each of them first.

Pure. What is read from the network here was written by strangers: every table has a cap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from .interfaces import OwnAddress

# TUNING a family has a handful; a flood of made-up peers must not become a flood of dials. Those
# who came first stay: a newcomer cannot push out a peer that works.
MAX_PEERS_PER_LABEL = 64
# TUNING cable and Wi-Fi, two IPv4 and three IPv6 addresses at most for an ordinary machine.
MAX_CANDIDATES = 8
# TUNING after the network changed a known peer has this long to be heard again; a peer that stays
# reachable must not be reported as lost because our own cable was replugged.
GRACE = 10.0

MAX_PORT = 65535  # SPEC 16 bits


@dataclass(frozen=True, slots=True)
class LanPeer:
    """One place to dial, and whose it is. `host` is an address, IPv6 link-local with its scope.

    A peer with several addresses is several of these with the same `instance`, best first.
    """

    host: str
    port: int
    instance: str


@dataclass(frozen=True, slots=True)
class HostAddress:
    """An address a peer says it has; `scope` is the index of the card it was heard on, or 0."""

    ip: IPv4Address | IPv6Address
    scope: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """What the network says now about one instance."""

    instance: str
    host: str
    port: int
    addresses: tuple[HostAddress, ...]


def candidates(service: Service, own: Iterable[OwnAddress]) -> tuple[LanPeer, ...]:
    """Give the places to dial for a service, best first; none if nothing it says can be dialled.

    Order: IPv4 on a network we are on, other IPv4, IPv4 link-local, IPv6, IPv6 link-local; what we
    have ourselves comes last (two machines may both have a bridge 172.17.0.1).
    """
    if not 0 < service.port <= MAX_PORT:
        return ()
    ours = tuple(own)
    names = {address.index: address.interface for address in ours}
    ranked: dict[str, tuple[bool, int]] = {}
    for address in service.addresses:
        host = _host(address, names)
        if host is not None and _dialable(address.ip, ours):
            ranked.setdefault(host, _rank(address.ip, ours))
    hosts = sorted(ranked, key=lambda host: (ranked[host], host))
    return tuple(LanPeer(host, service.port, service.instance) for host in hosts[:MAX_CANDIDATES])


def _host(address: HostAddress, names: Mapping[int, str]) -> str | None:
    if isinstance(address.ip, IPv6Address) and address.ip.is_link_local:
        # Heard over IPv4 only, a link-local address does not say which card leads to it.
        name = names.get(address.scope)
        return None if name is None else f"{address.ip}%{name}"
    return str(address.ip)


def _dialable(ip: IPv4Address | IPv6Address, own: tuple[OwnAddress, ...]) -> bool:
    if ip.is_multicast or ip.is_unspecified:
        return False
    if ip.is_reserved if isinstance(ip, IPv4Address) else ip.ipv4_mapped is not None:
        return False
    if ip.is_loopback:
        # A stranger that names 127.0.0.1 would have us connect to ourselves.
        return all(address.ip.is_loopback for address in own)
    # And one that names a host far away would have us knock there in its place.
    return ip.is_private or ip.is_link_local or any(ip in address.network for address in own)


def _rank(ip: IPv4Address | IPv6Address, own: tuple[OwnAddress, ...]) -> tuple[bool, int]:
    is_own = any(address.ip == ip for address in own)
    if isinstance(ip, IPv6Address):
        return is_own, 4 if ip.is_link_local else 3
    if ip.is_link_local:
        return is_own, 2
    return is_own, 0 if any(ip in address.network for address in own) else 1


@dataclass(frozen=True, slots=True)
class Change:
    """Places that can be dialled now and could not before, and the other way round."""

    found: tuple[LanPeer, ...] = ()
    lost: tuple[LanPeer, ...] = ()


@dataclass(slots=True)
class PeerTable:
    """Remember who was reported for one label, and turn what is seen now into what changed."""

    _known: dict[str, tuple[LanPeer, ...]] = field(default_factory=dict)
    _confirmed: set[str] = field(default_factory=set)
    _keep_until: float = 0.0

    def update(self, seen: Mapping[str, tuple[LanPeer, ...]], now: float) -> Change:
        """Take in everybody seen now, by instance; `now` is seconds on a monotonic clock."""
        found: list[LanPeer] = []
        lost: list[LanPeer] = []
        for instance in tuple(self._known):
            doubtful = instance not in self._confirmed and now < self._keep_until
            if not seen.get(instance) and not doubtful:
                lost += self._known.pop(instance)
                self._confirmed.discard(instance)
        for instance, peers in seen.items():
            before = self._known.get(instance, ())
            if not peers or (not before and len(self._known) >= MAX_PEERS_PER_LABEL):
                continue
            self._known[instance] = peers
            self._confirmed.add(instance)
            found += (peer for peer in peers if peer not in before)
            lost += (peer for peer in before if peer not in peers)
        return Change(tuple(found), tuple(lost))

    def doubt(self, now: float) -> None:
        """The network under us changed: keep who we know for `GRACE`, until heard again."""
        self._confirmed.clear()
        self._keep_until = now + GRACE

    def deadline(self) -> float | None:
        """When `update` should run even if nothing is heard: the end of a doubt."""
        return self._keep_until if self._known.keys() - self._confirmed else None

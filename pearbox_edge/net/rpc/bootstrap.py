"""The nodes to begin with: `HOST:PORT` or `IP@HOST:PORT`, and the names in them."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from pearbox_edge.errors import UsageError
from pearbox_edge.wire import Address

_KNOWN_FOR = 300.0  # TUNING seconds a resolved name is believed
_UNKNOWN_FOR = 10.0  # TUNING seconds until a name that nobody knew is asked for again


@dataclass(frozen=True, slots=True)
class BootstrapNode:
    """An entry of the list: an address to try at once, a name to resolve if it does not answer."""

    ip: str | None
    name: str | None
    port: int


def parse_bootstrap(entry: str) -> BootstrapNode:
    """Read `10.0.0.1:49737`, `node.example:49737` or `10.0.0.1@node.example:49737`.

    Raises UsageError for anything else. Format: npm dht-rpc 6.27.0.
    """
    where, colon, port = entry.rpartition(":")
    if not colon or not where or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"{entry!r} is no bootstrap node: HOST:PORT is needed")
    ip, at, name = where.rpartition("@")
    if at:
        if not ip or not name or not _is_ipv4(ip):
            raise UsageError(f"{entry!r} is no bootstrap node: IP@HOST:PORT is needed")
        return BootstrapNode(ip, name, int(port))
    if _is_ipv4(where):
        return BootstrapNode(where, None, int(port))
    return BootstrapNode(None, where, int(port))


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


Offer = Callable[[Address | None], None]


class Bootstrap:
    """Addresses of the bootstrap nodes, now or once somebody has resolved their names."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self.nodes = [parse_bootstrap(entry) for entry in entries]
        self._known: dict[str, tuple[str | None, float]] = {}
        self._waiting: dict[str, list[tuple[int, Offer]]] = {}
        self._wanted: list[str] = []

    def __len__(self) -> int:
        return len(self.nodes)

    def addresses(self) -> list[Address]:
        """Those whose address is known by now."""
        found = []
        for node in self.nodes:
            host = node.ip or self._known.get(node.name or "", (None, 0.0))[0]
            if host is not None:
                found.append(Address(host, node.port))
        return found

    def node_at(self, address: Address) -> BootstrapNode | None:
        """The entry that suggests this address."""
        found = (n for n in self.nodes if n.ip == address.host and n.port == address.port)
        return next(found, None)

    def resolve(self, node: BootstrapNode, now: float, offer: Offer) -> bool:
        """Have `offer` called with the address behind the node's name (None: nobody knows it).

        True if it will be called later, False if it has been or there is no name.
        """
        name = node.name
        if name is None:
            return False
        known = self._known.get(name)
        if known is not None and now < known[1]:
            offer(None if known[0] is None else Address(known[0], node.port))
            return False
        if name not in self._waiting:
            self._waiting[name] = []
            self._wanted.append(name)
        self._waiting[name].append((node.port, offer))
        return True

    def wanted(self) -> list[str]:
        """Drain the names that somebody has to resolve and report to `resolved`."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def resolved(self, name: str, host: str | None, now: float) -> None:
        """The address of a name was found, or not (None)."""
        if host is not None and not _is_ipv4(host):
            host = None
        keep = _KNOWN_FOR if host is not None else _UNKNOWN_FOR
        self._known[name] = (host, now + keep)
        for port, offer in self._waiting.pop(name, []):
            offer(None if host is None else Address(host, port))

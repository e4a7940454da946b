"""Kinds of IPv4 addresses, and which of several is most likely on our own network."""

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from pearbox_edge.wire import Address

_PRIVATE = tuple(  # SPEC npm bogon 1.3.0
    IPv4Network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
    )
)
_RESERVED = tuple(  # SPEC npm bogon 1.3.0
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)


def is_private(host: str) -> bool:
    """Whether an address means something within a home or a provider's network alone."""
    return _is_in(host, _PRIVATE)


def is_reserved(host: str) -> bool:
    """Whether nobody can have this address."""
    return _is_in(host, _RESERVED)


def is_bogon(host: str) -> bool:
    """Whether an address cannot be reached over the internet."""
    return is_private(host) or is_reserved(host)


def is_dialable(address: Address) -> bool:
    """Whether one machine can be sent to there: a liar would have us shout at a whole network."""
    first = address.host.partition(".")[0]
    return 0 < address.port <= 0xFFFF and first.isdigit() and 0 < int(first) < 224


def best_match(mine: Sequence[str], theirs: Sequence[Address]) -> Address | None:
    """Of their addresses the one that shares most leading octets with one of ours, if any does.

    Format: npm hyperdht 6.34.0. Vectors: 05-hyperdht.json, matches.
    """
    best, shared = None, 0
    for host in mine:
        octets = host.split(".")
        for address in theirs:
            count = 0
            for own, other in zip(octets[:3], address.host.split("."), strict=False):
                if own != other:
                    break
                count += 1
            if count > shared:
                best, shared = address, count
    return best


def _is_in(host: str, networks: tuple[IPv4Network, ...]) -> bool:
    try:
        address = IPv4Address(host)
    except AddressValueError:
        return False
    return any(address in network for network in networks)

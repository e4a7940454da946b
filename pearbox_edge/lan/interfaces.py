"""Which of the machine's addresses multicast goes through right now.

`choose` is pure; `read_interfaces` asks the kernel, so that a host with no default route, or with
link-local addresses only, is as good as any other. It takes about half a millisecond: cheap enough
to ask every second, and that notices a new lease, a replugged cable and a new card all the same.
"""

import fcntl
import socket
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import ifaddr

# SPEC linux/if.h and linux/sockios.h
SIOCGIFFLAGS = 0x8913
IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_POINTOPOINT = 0x10
IFF_RUNNING = 0x40
IFF_MULTICAST = 0x1000
IFNAMSIZ = 16


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address of this machine, and the interface that has it."""

    interface: str
    index: int
    ip: IPv4Address | IPv6Address
    prefix: int

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """What can be reached through it without a route."""
        return ip_network((self.ip, self.prefix), strict=False)


@dataclass(frozen=True, slots=True)
class Interface:
    """A network card as the kernel tells it; `flags` are the IFF_ bits."""

    name: str
    flags: int
    addresses: tuple[OwnAddress, ...]


def choose(interfaces: Sequence[Interface], wanted: Sequence[str] = ()) -> tuple[OwnAddress, ...]:
    """Give the addresses to use: of the cards named in `wanted`, else of every real LAN card.

    A card counts while it is up and its cable is in. Tunnels are left out: what is announced on the
    LAN is nobody's business at the other end of a VPN. With no LAN at all the loopback remains,
    so that programs on one machine still find each other.
    """
    live = [card for card in interfaces if card.flags & IFF_UP and card.flags & IFF_RUNNING]
    if wanted:
        chosen = [card for card in live if card.name in wanted]
    else:
        chosen = [card for card in live if _is_lan(card)]
        if not any(card.addresses for card in chosen):
            chosen = [card for card in live if card.flags & IFF_LOOPBACK]
    return tuple(address for card in chosen for address in _usable(card))


def _is_lan(card: Interface) -> bool:
    kind = card.flags & (IFF_LOOPBACK | IFF_POINTOPOINT | IFF_MULTICAST)
    return kind == IFF_MULTICAST


def _usable(card: Interface) -> tuple[OwnAddress, ...]:
    if card.flags & IFF_LOOPBACK:
        # Multicast over ::1 does not arrive on Linux.
        return tuple(a for a in card.addresses if isinstance(a.ip, IPv4Address))
    return card.addresses


def multicast_choice(addresses: Sequence[OwnAddress]) -> list[str | int]:
    """Name the cards the way zeroconf wants them: one IPv4 address each, and IPv6 by index."""
    first_v4: dict[str, str] = {}
    with_v6: dict[int, None] = {}
    for address in addresses:
        if isinstance(address.ip, IPv4Address):
            first_v4.setdefault(address.interface, str(address.ip))
        else:
            with_v6[address.index] = None
    return [*first_v4.values(), *with_v6]


def read_interfaces() -> tuple[Interface, ...]:
    """Ask the kernel for all cards and their addresses that can be used already."""
    found: dict[str, list[OwnAddress]] = {}
    for adapter in ifaddr.get_adapters():
        name = adapter.name.partition(":")[0]  # an alias of old, eth0:1, is its card's
        try:
            index = socket.if_nametoindex(name)
        except OSError:
            continue  # it went away while we looked
        addresses = found.setdefault(name, [])
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = OwnAddress(name, index, ip_address(text), ip.network_prefix)
            if isinstance(address.ip, IPv6Address) and not _is_ready(address):
                break  # multicast takes a card's first IPv6 address: wait until that is ready
            addresses.append(address)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asker:
        return tuple(
            Interface(name, _flags(asker, name), tuple(addresses))
            for name, addresses in found.items()
        )


def _is_ready(address: OwnAddress) -> bool:
    """A new IPv6 address cannot be bound for the second or two of duplicate detection."""
    with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind((str(address.ip), 0, 0, address.index))
        except OSError:
            return False
    return True


def _flags(asker: socket.socket, name: str) -> int:
    request = struct.pack(f"{IFNAMSIZ}s240x", name.encode())
    try:
        reply = fcntl.ioctl(asker, SIOCGIFFLAGS, request)
    except OSError:
        return 0
    flags: int = struct.unpack_from("H", reply, IFNAMSIZ)[0]
    return flags

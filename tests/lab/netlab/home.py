"""One household of a Wan: router(s), the network behind them and the peers on it."""

import os
import socket
import struct
import time
from collections.abc import Callable

from .errors import NetlabError
from .host import Host
from .link import Link
from .segment import Segment

PUBLIC_PREFIX = 16
"""Bits of the lab's internet, 44.128.0.0/16: neither private nor reserved in any list that peers
consult, so that they treat its addresses as public. It exists inside the namespaces only."""

_NETLINK_NETFILTER = 12  # SPEC Linux netlink.h


class Home:
    """A household; `uplink` is its line to the provider: impair or cut it there."""

    def __init__(
        self, name: str, nat: str, rules: dict[Host, str], next_public: Callable[[int], str]
    ) -> None:
        self.name, self.nat = name, nat
        self.hosts: list[Host] = []
        self.router: Host | None = None
        self.carrier: Host | None = None
        self.segment: Segment | None = None
        self._rules = rules
        self._next_public = next_public

    def __repr__(self) -> str:
        return f"<Home {self.name} {self.nat} {self.public_address}>"

    @property
    def edge(self) -> Host:
        """The host that holds the public address."""
        return self.carrier or self.router or self.hosts[0]

    @property
    def uplink(self) -> Link:
        """The household's line to its provider."""
        return (self.router or self.hosts[0]).links[0]

    @property
    def links(self) -> list[Link]:
        """The cables that a partition has to cut to part this household from others."""
        return [*self.edge.links, self.uplink]

    @property
    def public_address(self) -> str:
        """Where its packets come from, seen from outside."""
        return self.edge.address

    def flush_nat(self) -> None:
        """Every router on the way forgets its mappings and connections."""
        for router in filter(None, (self.router, self.carrier)):
            router.nft(self._rules[router])
            with router.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
                # ctnetlink "delete" without a tuple empties the connection table.
                header = struct.pack("=IHHII", 20, (1 << 8) | 2, 0x5, 1, 0)
                sock.send(header + struct.pack("=BBH", 2, 0, 0))
                code = struct.unpack_from("=i", sock.recv(4096), 16)[0]
                if code:
                    raise NetlabError(f"flushing conntrack: {os.strerror(-code)}")

    def reboot_router(self, seconds: float = 2.0) -> None:
        """Router restart: line and home network dead for a while, all mappings gone."""
        links = (self.router or self.hosts[0]).links
        for link in links:
            link.cut()
        self.flush_nat()
        time.sleep(seconds)
        for link in links:
            link.restore()

    def change_public_address(self, address: str | None = None) -> str:
        """The provider hands out another public address; old mappings die. Returns the new one."""
        edge = self.edge
        address = address or self._next_public(90)
        device = edge.links[0].device
        edge.ip(
            f"addr flush dev {device} scope global",
            f"addr add {address}/{PUBLIC_PREFIX} brd + dev {device}",
        )
        edge.address = address
        self.flush_nat()
        return address

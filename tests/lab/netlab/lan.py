"""Hosts on one switch, no internet."""

import contextlib
import ipaddress
from collections.abc import Sequence
from typing import Literal

from .host import Host
from .lab import Card, Lab
from .segment import HasLinks, Segment

GATEWAY = "gw"


class Lan(Lab):
    """A local network alone: without `gateway` there is no default route, and never any DNS.

    hosts: names. ipv4: "private" (one subnet), "linklocal" (169.254/16, as without a DHCP server)
    or "none". ipv6: link-local addresses. gateway: adds a host "gw" at .1 that everyone uses as
    default route and that leads nowhere.
    """

    segment: Segment

    def __init__(
        self,
        hosts: Sequence[str] = ("h1", "h2", "h3"),
        *,
        ipv4: Literal["private", "linklocal", "none"] = "private",
        ipv6: bool = True,
        subnet: str = "192.168.50.0/24",
        gateway: bool = False,
    ) -> None:
        super().__init__()
        self._names = list(hosts)
        self._ipv4, self._ipv6, self._with_gateway = ipv4, ipv6, gateway
        self._subnet = ipaddress.IPv4Network(subnet)

    @property
    def _gateway(self) -> str | None:
        return str(self._subnet[1]) if self._with_gateway else None

    def _build(self) -> None:
        self.segment = self.add_segment("lan")
        names = [*self._names, *([GATEWAY] if self._with_gateway else [])]
        self._plug([self._card(host) for host in self._new_hosts(names, ipv6=self._ipv6)])

    def add(self, name: str) -> Host:
        """Plug one more host in: it arrives while the others run."""
        (host,) = self._new_hosts([name], ipv6=self._ipv6)
        self._plug([self._card(host)])
        return host

    def partition(self, *groups: Sequence[HasLinks]) -> contextlib.AbstractContextManager[None]:
        """No frame crosses between the groups inside the block."""
        return self.segment.partition(*groups)

    def _card(self, host: Host) -> Card:
        number = self.hosts.index(host)
        address: str | None
        if self._ipv4 == "none":
            address = None
        elif self._ipv4 == "linklocal":
            address = f"169.254.{100 + number // 200}.{10 + number % 200}/16"
        elif self._with_gateway and host.name == GATEWAY:
            return Card(host, self.segment, "eth0", f"{self._gateway}/{self._subnet.prefixlen}")
        else:
            address = f"{self._subnet[10 + number]}/{self._subnet.prefixlen}"
        return Card(host, self.segment, "eth0", address, self._gateway)

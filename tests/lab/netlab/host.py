"""One computer of a lab: its namespaces, its network cards, and how it fails."""

import contextlib
import ipaddress
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

from .errors import NetlabError
from .link import Link
from .namespace import Namespace, Word


class Host(Namespace):
    """A computer with network cards; the first one is its main one."""

    links: list[Link]
    address: str
    """IPv4 address of the first card; empty if it has none."""
    gateway: str | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.links = []
        self.address = ""
        self.gateway = None
        self._alive = True

    @property
    def link(self) -> Link:
        """The cable of the first card."""
        return self.links[0]

    @property
    def ipv6(self) -> str | None:
        """IPv6 link-local address of the first card, with its scope ("fe80::1%eth0")."""
        return self.link_local_ipv6(self.link.device)

    def popen(self, args: Sequence[Word], **kwargs: Any) -> subprocess.Popen[Any]:
        """subprocess.Popen in here, unless the host is switched off."""
        if not self._alive:
            raise NetlabError(f"host {self.name} is switched off")
        return super().popen(args, **kwargs)

    def set_address(self, address: str, gateway: str | None = None) -> None:
        """Give the first card another IPv4 address ("192.168.1.77/24"), as a new lease would."""
        iface = ipaddress.ip_interface(address)
        device = self.link.device
        lines = [f"addr flush dev {device} scope global"]
        if self.address and ipaddress.ip_address(self.address).is_link_local:
            lines.append(f"addr flush dev {device} scope link to 169.254.0.0/16")
        scope = " scope link" if iface.ip.is_link_local else ""
        lines.append(f"addr add {iface} dev {device}{scope}")
        gateway = gateway or self.gateway
        if gateway:
            lines.append(f"route replace default via {gateway}")
        self.ip(*lines)
        self.gateway = gateway
        self.address = self.link.address = str(iface.ip)

    # -- failures -----------------------------------------------------------------------------

    def kill(self) -> None:
        """Power failure: the network goes silent at once and every process is SIGKILLed."""
        if self._alive:
            self._alive = False
            for link in self.links:
                link.cut()
            self.kill_programs()

    def start(self) -> None:
        """Power is back: cables work again. The programs have to be started anew."""
        if not self._alive:
            self._alive = True
            for link in self.links:
                link.restore()

    def freeze(self) -> None:
        """Hang: stop every process while the kernel keeps answering ARP and ping."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen host go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(OSError):
                os.kill(pid, number)

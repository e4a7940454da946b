"""The life of a lab: hosts and switches are built, plugged together, and all given back."""

import atexit
import contextlib
import ipaddress
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .check import require
from .children import REPOSITORY, TMP_PREFIX, child
from .errors import NetlabError
from .host import Host
from .kernel import await_files, kill_all
from .link import Link
from .namespace import Namespace
from .segment import Segment


@dataclass(frozen=True, slots=True)
class Card:
    """One network card to be: where it is plugged in and its address ("10.0.0.1/24")."""

    host: Host
    segment: Segment
    device: str
    address: str | None = None
    gateway: str | None = None


class Lab:
    """What Lan and Wan have in common. Interfaces exist only inside the lab's own namespaces.

    Switches live in one more namespace, the closet, so nothing is added to the machine's network,
    any number of labs run side by side, and the kernel frees all when the owner dies.
    """

    needs: tuple[str, ...] = ("namespaces", "veth", "bridge", "partition")
    _closet: Namespace

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self.segments: list[Segment] = []
        self._numbers = itertools.count(1)
        self._opened = False
        self._spaces: list[Namespace] = []

    def _build(self) -> None:
        raise NotImplementedError

    def open(self) -> Self:
        """Build the lab. `with` does this; call close() yourself otherwise.

        Raises LabUnavailable with the reason where it cannot be built.
        """
        if self._opened:
            return self
        require(*self.needs)
        self._opened = True
        self._owner = os.getpid()
        self._tmp = Path(tempfile.mkdtemp(prefix=TMP_PREFIX))
        self._janitor = subprocess.Popen(
            child("janitor"),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._tell_janitor(f"tmp {self._tmp}")
        atexit.register(self.close)
        try:
            self._closet = Namespace("closet", self._tmp, self._tell_janitor, ipv6=False)
            self._spaces.append(self._closet)
            self._closet.wait_ready()
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Kill everything that runs in the lab and give all of it back to the kernel."""
        if not self._opened or os.getpid() != self._owner:
            return
        self._opened = False
        atexit.unregister(self.close)
        networks = {space.network for space in self._spaces if space.network}
        if networks:
            kill_all(networks, {space.pid for space in self._spaces} | {os.getpid()})
        for space in self._spaces:
            space.close()
        shutil.rmtree(self._tmp, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._tell_janitor("done")
        assert self._janitor.stdin is not None
        with contextlib.suppress(OSError):
            self._janitor.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._janitor.wait(timeout=5)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    def add_segment(self, name: str) -> Segment:
        """One more switch, for hosts with two network cards."""
        segment = Segment(name, self._closet, lambda: next(self._numbers))
        self.segments.append(segment)
        return segment

    def plug(self, host: Host, segment: Segment, device: str, address: str | None = None) -> Link:
        """Give a running host one more card: plug(box, lan.segment, "wlan0", "192.168.50.9/24")."""
        self._plug([Card(host, segment, device, address)])
        return host.links[-1]

    def _tell_janitor(self, line: str) -> None:
        assert self._janitor.stdin is not None
        self._janitor.stdin.write(f"{line}\n".encode())
        self._janitor.stdin.flush()

    def _new_hosts(self, names: Iterable[str], *, ipv6: bool) -> list[Host]:
        hosts: list[Host] = []
        for name in names:
            if any(host.name == name for host in self.hosts):
                raise NetlabError(f"two hosts named {name}")
            host = Host(name, self._tmp, self._tell_janitor, ipv6=ipv6)
            self._spaces.append(host)
            self.hosts.append(host)
            hosts.append(host)
        for host in hosts:
            host.wait_ready()
        return hosts

    def _plug(self, cards: Iterable[Card]) -> None:
        batch: list[str] = []
        per_host: dict[Host, list[str]] = {}
        links: list[Link] = []
        for card in cards:
            host, device = card.host, card.device
            link = card.segment.new_link(host, device)
            links.append(link)
            batch += [
                f"link add {link.plug} type veth peer name {device} netns {host.pid}",
                f"link set {link.plug} master {card.segment.bridge} up",
            ]
            lines = per_host.setdefault(host, [])
            lines.append(f"link set {device} gso_max_segs 1 up")  # no frame above the MTU
            if card.address:
                iface = ipaddress.ip_interface(card.address)
                link.address = str(iface.ip)
                scope = " scope link" if iface.ip.is_link_local else " brd +"
                lines.append(f"addr add {card.address} dev {device}{scope}")
                host.address = host.address or link.address
            if card.gateway:
                lines.append(f"route add default via {card.gateway}")
                host.gateway = card.gateway
        self._closet.ip(*batch)
        for host, lines in per_host.items():
            host.ip(*lines)
        await_files({path: word for link in links for path, word in link.up_files().items()}, "lab")

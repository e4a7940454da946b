"""A switch: one broadcast domain."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from .errors import NetlabError
from .host import Host
from .link import Link
from .namespace import Namespace


class HasLinks(Protocol):
    """Whatever is plugged in somewhere: a Host, or a Home with all behind it."""

    @property
    def links(self) -> list[Link]:
        """Its cables."""
        ...


class Segment:
    """One switch that floods multicast."""

    def __init__(self, name: str, closet: Namespace, next_number: Callable[[], int]) -> None:
        self.name = name
        self.links: list[Link] = []
        self._closet = closet
        self._next_number = next_number
        self._number = next_number()
        self.bridge = f"b{self._number}"
        self._groups: list[list[Link]] = []
        self._rendered = False  # has the closet a table for this switch yet?
        closet.ip(
            f"link add {self.bridge} type bridge mcast_snooping 0 forward_delay 0",
            f"link set {self.bridge} up",
        )

    def new_link(self, host: Host, device: str) -> Link:
        """A cable from a new card of the host to this switch; nothing is configured yet."""
        link = Link(
            host,
            device,
            closet=self._closet,
            bridge=self.bridge,
            number=self._next_number(),
            port_changed=self._render,
        )
        host.links.append(link)
        self.links.append(link)
        return link

    @contextlib.contextmanager
    def partition(self, *groups: Sequence[HasLinks]) -> Iterator[None]:
        """No frame crosses between the groups inside the block. Others see everybody."""
        self.split(*groups)
        try:
            yield
        finally:
            self.heal()

    def split(self, *groups: Sequence[HasLinks]) -> None:
        """No frame crosses between the groups until `heal`."""
        self._groups = [[link for m in group for link in self._links_of(m)] for group in groups]
        self._render()

    def heal(self) -> None:
        """Everybody sees everybody again."""
        self._groups = []
        self._render()

    def _links_of(self, member: HasLinks) -> list[Link]:
        links = [link for link in member.links if link in self.links]
        if not links:
            raise NetlabError(f"{member!r} is not on segment {self.name}")
        return links

    def _render(self) -> None:
        table = f"part{self._number}"
        text = f"table bridge {table}\ndelete table bridge {table}\n"
        pairs = [
            (a.port, b.port)
            for one, two in itertools.permutations(self._groups, 2)
            for a in one
            for b in two
        ]
        if pairs:
            drops = "".join(f"    iifname {a} oifname {b} drop\n" for a, b in pairs)
            text += (
                f"table bridge {table} {{\n  chain f {{\n"
                f"    type filter hook forward priority 0;\n{drops}  }}\n}}\n"
            )
        elif not self._rendered:
            return
        self._rendered = True
        self._closet.nft(text)

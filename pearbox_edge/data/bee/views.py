"""Reading a bee as of one version. Loading blocks is the shell's; this is what a caller sees."""

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol, TypeVar

from pearbox_edge.errors import InputError

from .cursor import KeyRange
from .diff import DiffWalk
from .lookup import find
from .messages import Node
from .ranges import RangeWalk
from .source import NodeCache, Walk

T = TypeVar("T")

FIRST_PAGE = 16
PAGE = 512
"""TUNING: entries read at once while iterating: few at first, for many stop early, then doubled."""

EVERYTHING = KeyRange()
SEPARATOR = b"\0"  # SPEC sheet 13: between a sub's name and the rest of a key


class BeeEntry(NamedTuple):
    """A key and its value; `seq` is the block that holds them."""

    seq: int
    key: bytes
    value: bytes | None


class BeeChange(NamedTuple):
    """One key that differs between two versions: as it is here and there (None: not at all)."""

    left: BeeEntry | None
    right: BeeEntry | None


class BeeOperation(NamedTuple):
    """One step of the history: `key` was set in block `seq`, or deleted."""

    seq: int
    key: bytes
    value: bytes | None
    deleted: bool


class Pin(Protocol):
    """One version, held fast: raises UnavailableError (SNAPSHOT_NOT_AVAILABLE) once it is gone."""

    @property
    def version(self) -> int:
        """Core length that the view stops at."""
        ...

    def check(self) -> None:
        """Raise if a truncation took the version away."""
        ...


class Blocks(Protocol):
    """Where blocks come from; the shell fills this in."""

    nodes: NodeCache

    async def run(self, walk: Walk[T], pin: Pin, *, wait: bool, timeout: float | None) -> T:
        """Drive an algorithm, loading what it asks for."""
        ...

    async def load_run(self, start: int, end: int, pin: Pin, *, last: bool) -> list[Node]:
        """The first of the blocks from `start` up to `end`, or the `last` ones; at least one.

        As many as fit in memory well, in block order.
        """
        ...


class BeeView:
    """A bee as of `version`, read only; keys carry `prefix` in the core and go without it here.

    Errors of every method: PeerError if the core's writer broke the format, UnavailableError if
    blocks are missing that nobody can send, or (SNAPSHOT_NOT_AVAILABLE) if the version was
    truncated away.
    """

    def __init__(self, blocks: Blocks, pin: Pin, prefix: bytes = b"") -> None:
        self._blocks = blocks
        self._pin = pin
        self._prefix = prefix

    @property
    def version(self) -> int:
        """Core length this view stops at, at least 1."""
        return self._pin.version

    @property
    def prefix(self) -> bytes:
        """What all keys of this view begin with in the core."""
        return self._prefix

    def sub(self, name: bytes, separator: bytes = SEPARATOR) -> "BeeView":
        """The part of the view whose keys begin with a name and the separator."""
        return BeeView(self._blocks, self._pin, self._prefix + name + separator)

    async def get(
        self, key: bytes, *, wait: bool = True, timeout: float | None = None
    ) -> BeeEntry | None:
        """The entry of a key, or None. Without `wait`, only from blocks held here."""
        walk = find(self._blocks.nodes, self.version, self._prefix + key)
        node = await self._blocks.run(walk, self._pin, wait=wait, timeout=timeout)
        return None if node is None else self._entry(node)

    async def page(
        self, bounds: KeyRange = EVERYTHING, *, limit: int = PAGE, reverse: bool = False
    ) -> list[BeeEntry]:
        """The first `limit` entries of a range, in key order or in reverse."""
        return [entry async for entry in self.range(bounds, reverse=reverse, limit=limit)]

    async def peek(
        self, bounds: KeyRange = EVERYTHING, *, reverse: bool = False
    ) -> BeeEntry | None:
        """The first entry of a range, or None."""
        return next(iter(await self.page(bounds, limit=1, reverse=reverse)), None)

    async def range(
        self,
        bounds: KeyRange = EVERYTHING,
        *,
        reverse: bool = False,
        limit: int | None = None,
        wait: bool = True,
    ) -> AsyncIterator[BeeEntry]:
        """Iterate over a range of keys in order (or in reverse), at most `limit`."""
        whole = bounds.within(self._prefix)
        walk = RangeWalk(self._blocks.nodes, self.version, whole, reverse=reverse)
        grown = FIRST_PAGE
        while not walk.ended and limit != 0:
            size = grown if limit is None else min(PAGE, limit)
            grown = min(PAGE, 2 * grown)
            nodes = await self._blocks.run(walk.page(size), self._pin, wait=wait, timeout=None)
            if limit is not None:
                limit -= len(nodes)
            for node in nodes:
                yield self._entry(node)

    async def diff(
        self, other: "BeeView", bounds: KeyRange = EVERYTHING, *, limit: int | None = None
    ) -> AsyncIterator[BeeChange]:
        """Iterate over the keys that differ, in order: left as of here, right as of `other`."""
        if other._blocks is not self._blocks:  # noqa: SLF001 -- of our own kind
            raise InputError("only versions of one bee can be compared")
        walk = DiffWalk(
            self._blocks.nodes, self.version, other.version, bounds.within(self._prefix)
        )
        both = _BothPins(self._pin, other._pin)  # noqa: SLF001
        while not walk.ended and limit != 0:
            size = PAGE if limit is None else min(PAGE, limit)
            changes = await self._blocks.run(walk.page(size), both, wait=True, timeout=None)
            if limit is not None:
                limit -= len(changes)
            for left, right in changes:
                yield BeeChange(
                    None if left is None else self._entry(left),
                    None if right is None else self._entry(right),
                )

    async def history(
        self, start: int = 1, end: int | None = None, *, reverse: bool = False
    ) -> AsyncIterator[BeeOperation]:
        """Iterate over the operations in blocks `start` up to `end` (the version), as made."""
        end = self.version if end is None else min(end, self.version)
        start = max(start, 1)
        while start < end:
            low, high = (
                (max(start, end - PAGE), end) if reverse else (start, min(end, start + PAGE))
            )
            nodes = await self._blocks.load_run(low, high, self._pin, last=reverse)
            for node in reversed(nodes) if reverse else nodes:
                if node.key.startswith(self._prefix):
                    yield BeeOperation(*self._entry(node), node.is_deletion())
            start, end = (start, end - len(nodes)) if reverse else (start + len(nodes), end)

    def _entry(self, node: Node) -> BeeEntry:
        return BeeEntry(node.seq, node.key[len(self._prefix) :], node.value)


class _BothPins:
    """Two versions held fast together."""

    def __init__(self, one: Pin, other: Pin) -> None:
        self._pins = (one, other)
        self.version = max(one.version, other.version)

    def check(self) -> None:
        """Raise if a truncation took either version away."""
        for pin in self._pins:
            pin.check()

"""What readers of a core wait for: single blocks, and ranges that are fetched from their start."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from pearbox_edge.errors import PearboxError

Done = Callable[[PearboxError | None], None]
"""Called once when a wish has come true, or with the error that ended it."""


class HeldBlocks(Protocol):
    """Which blocks are held here already: the part of a core's bitfield that is needed."""

    def has(self, index: int) -> bool:
        """Whether block `index` is held."""

    def first_unset(self, start: int, end: int | None = None) -> int:
        """The first block from `start` on that is not held; at most `end`."""


class Wish:
    """The blocks from `start` up to `end` (not included); `done` is called once, when all are held.

    `front`: nothing before it is missing. `urgent`: a reader waits for this very block.
    """

    __slots__ = ("cursors", "done", "end", "front", "start", "urgent")

    def __init__(self, start: int, end: int, done: Done, *, urgent: bool) -> None:
        self.start = start
        self.end = end
        self.front = start
        self.done = done
        self.urgent = urgent
        self.cursors: dict[int, int] = {}
        """Per peer: nothing before it can be asked of that peer now."""


class Wishes:
    """All that readers wait for, oldest first. Order is the order of asking."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[Wish]] = {}
        self._ranges: dict[Wish, None] = {}

    def __len__(self) -> int:
        return len(self._blocks) + len(self._ranges)

    def add(self, start: int, end: int, done: Done, *, urgent: bool = False) -> Wish:
        """Wait for blocks; an urgent wish is one block that goes before all ranges."""
        wish = Wish(start, end, done, urgent=urgent)
        if urgent:
            self._blocks.setdefault(start, []).append(wish)
        else:
            self._ranges[wish] = None
        return wish

    def remove(self, wish: Wish) -> None:
        """The reader waits no longer."""
        if not wish.urgent:
            self._ranges.pop(wish, None)
            return
        waiting = self._blocks.get(wish.start)
        if waiting is not None and wish in waiting:
            waiting.remove(wish)
            if not waiting:
                del self._blocks[wish.start]

    def blocks(self) -> Iterable[int]:
        """The single blocks that readers wait for."""
        return self._blocks

    def wants_block(self, index: int) -> bool:
        """Whether a reader waits for this very block."""
        return index in self._blocks

    def ranges(self) -> Iterator[Wish]:
        """The ranges that readers wait for."""
        return iter(self._ranges)

    def covers(self, index: int) -> bool:
        """Whether anybody still waits for a block."""
        return index in self._blocks or any(w.start <= index < w.end for w in self._ranges)

    def arrived(self, held: HeldBlocks, blocks: Iterable[int]) -> None:
        """These blocks are held now: tell who waited for them."""
        low = high = -1
        for index in blocks:
            waiting = self._blocks.pop(index, None)
            if waiting is not None:
                for wish in waiting:
                    wish.done(None)
            if low < 0 or index < low:
                low = index
            high = max(high, index)
        if low >= 0 and self._ranges:
            self._settle(held, low, high)

    def check(self, held: HeldBlocks) -> None:
        """Tell everybody whose blocks are held, whatever happened meanwhile."""
        self.arrived(held, [index for index in self._blocks if held.has(index)])
        self._settle(held, -1, -1)

    def _settle(self, held: HeldBlocks, low: int, high: int) -> None:
        finished = []
        for wish in self._ranges:
            if low >= 0 and not (low <= wish.front <= high):
                continue  # the first missing one is still missing
            wish.front = held.first_unset(wish.front, wish.end)
            if wish.front >= wish.end:
                finished.append(wish)
        for wish in finished:
            del self._ranges[wish]
            wish.done(None)

    def rewind(self, index: int = 0, peer: int | None = None) -> None:
        """A block may be asked for again (or a peer for more): look at everything from there."""
        for wish in self._ranges:
            cursors = wish.cursors
            for one in cursors if peer is None else (peer,):
                if cursors.get(one, 0) > index:
                    cursors[one] = index

    def lost_blocks(self) -> None:
        """Blocks went away here: ranges look again from their start."""
        for wish in self._ranges:
            wish.front = wish.start
            wish.cursors.clear()

    def forget_peer(self, peer: int) -> None:
        """A peer is gone."""
        for wish in self._ranges:
            wish.cursors.pop(peer, None)

    def fail(self, error: PearboxError) -> None:
        """Nobody can be helped any more: tell everybody why."""
        wishes = [wish for waiting in self._blocks.values() for wish in waiting]
        wishes += self._ranges
        self._blocks.clear()
        self._ranges.clear()
        for wish in wishes:
            wish.done(error)

"""What changed between two versions, reading only tree nodes that differ."""

from typing import NamedTuple

from .cursor import KEY, Cursor, KeyRange
from .messages import Node
from .ranges import MAX_PAGE_SIZE
from .source import NodeCache, Walk


class NodeChange(NamedTuple):
    """One key that differs: its block in the one version and in the other, None where it is not."""

    left: Node | None
    right: Node | None


class DiffWalk:
    """The keys whose blocks differ between version `left` and version `right`, in key order."""

    def __init__(self, nodes: NodeCache, left: int, right: int, bounds: KeyRange) -> None:
        self._left = Cursor(nodes, left, bounds)
        self._right = Cursor(nodes, right, bounds)
        self._opened = False
        self.ended = False

    def page(self, limit: int) -> Walk[list[NodeChange]]:
        """The next changes, at most `limit` and MAX_PAGE_SIZE (but one); `ended` tells the end."""
        left, right = self._left, self._right
        if not self._opened:
            yield from left.seek()
            yield from right.seek()
            self._opened = True
        found: list[NodeChange] = []
        size = 0
        while len(found) < limit and size < MAX_PAGE_SIZE:
            here, there = left.peek(), right.peek()
            if here is None and there is None:
                self.ended = True
                break
            if here is not None and here == there:
                if here.offset != KEY:
                    left.skip()
                    right.skip()
                    continue
                node = yield from left.load(here)
                left.pass_key(node.key)
                right.pass_key(node.key)
                continue
            # Of two tree nodes the newer one is opened: an old one never holds a newer one.
            if here is not None and here.offset != KEY:
                newer = there is None or there.offset == KEY or here.seq >= there.seq
                if newer:
                    yield from left.enter(here)
                    continue
            if there is not None and there.offset != KEY:
                yield from right.enter(there)
                continue
            change = yield from self._compare()
            if change.left is not None or change.right is not None:
                found.append(change)
                size += sum(node.memory for node in change if node is not None)
        return found

    def _compare(self) -> Walk[NodeChange]:
        """Give the lower of the two keys that come next, or both if they are the same."""
        here, there = self._left.peek(), self._right.peek()
        mine = (yield from self._left.load(here)) if here is not None else None
        theirs = (yield from self._right.load(there)) if there is not None else None
        if mine is not None and (theirs is None or mine.key <= theirs.key):
            taken = mine if self._left.pass_key(mine.key) else None
        else:
            taken = None
        if theirs is not None and (mine is None or theirs.key <= mine.key):
            other = theirs if self._right.pass_key(theirs.key) else None
        else:
            other = None
        return NodeChange(taken, other)

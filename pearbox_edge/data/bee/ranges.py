"""The blocks of a range of keys, a page at a time."""

from .cursor import KEY, MAX_AHEAD, Cursor, KeyRange
from .messages import Node
from .source import NodeCache, Walk

MAX_PAGE_SIZE = 4 << 20
"""TUNING: bytes of blocks in one page; a stranger's values may be of 15 MiB each."""


class RangeWalk:
    """The newest blocks of a range of keys as of a version, in key order or in reverse."""

    def __init__(
        self, nodes: NodeCache, version: int, bounds: KeyRange, *, reverse: bool = False
    ) -> None:
        self._cursor = Cursor(nodes, version, bounds, reverse=reverse)
        self._opened = False
        self.ended = False

    def page(self, limit: int) -> Walk[list[Node]]:
        """The next blocks, at most `limit` and MAX_PAGE_SIZE (but one); `ended` tells the end."""
        cursor = self._cursor
        cursor.ahead_limit = min(MAX_AHEAD, 2 * limit + 16)
        if not self._opened:
            yield from cursor.seek()
            self._opened = True
        found: list[Node] = []
        size = 0
        while len(found) < limit and size < MAX_PAGE_SIZE:
            step = cursor.peek()
            if step is None:
                self.ended = True
                break
            if step.offset == KEY:
                node = yield from cursor.take(step)
                if node is not None:
                    found.append(node)
                    size += node.memory
            else:
                yield from cursor.enter(step)
        return found

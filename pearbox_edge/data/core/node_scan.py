"""Tree nodes in the order of their numbers, and which families of them do not fit. Pure.

In that order a parent comes between its children, so only one family a depth is incomplete at any
time, however long the core is.
"""

from collections.abc import Iterable

from pearbox_edge.data.storage import TreeNode

from .flat_tree import parent, right_span, sibling
from .merkle_tree import parent_of

_KEPT = 1024  # TUNING: nodes whose family is incomplete; a sound core needs 2 for each depth


class NodeScan:
    """Feed it all nodes of a tree of `length` blocks by number; `suspects` are parents.

    A parent is a suspect if one of its children is held, and not all three are, or the two do not
    give the one. `beyond` are nodes that no tree of this length has.
    """

    def __init__(self, length: int) -> None:
        self._end = 2 * length
        self._waiting: dict[int, TreeNode] = {}
        self.suspects: set[int] = set()
        self.beyond: list[int] = []

    def feed(self, nodes: Iterable[TreeNode]) -> None:
        """The next nodes."""
        waiting = self._waiting
        for node in nodes:
            index = node.index
            if right_span(index) >= self._end:
                self.beyond.append(index)
                continue
            up = parent(index)
            if up < index and right_span(up) < self._end:
                above, left = waiting.get(up), waiting.pop(sibling(index), None)
                if above is None or left is None or not fits(above, left, node):
                    self.suspects.add(up)
            if index & 1 or up > index:  # a right leaf is nobody's parent and was checked just now
                waiting[index] = node
            if len(waiting) > _KEPT:
                self._leave([i for i in waiting if right_span(parent(i)) <= index])

    def finish(self) -> None:
        """That was all."""
        self._leave(list(self._waiting))

    def _leave(self, indices: list[int]) -> None:
        """These are past; a left child that is still here misses its sibling."""
        for index in indices:
            del self._waiting[index]
            up = parent(index)
            if up > index and right_span(up) < self._end:
                self.suspects.add(up)


def fits(above: TreeNode, left: TreeNode, right: TreeNode) -> bool:
    """Whether two siblings give their parent, size and hash."""
    return parent_of(left, right) == above

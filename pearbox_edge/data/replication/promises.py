"""Asking for short paths: tree nodes that earlier answers of the same peer will have brought.

Of many neighbouring blocks under way at once each alone would have to bring its whole path. A peer
that answers in order brings the nodes above block 0 before block 1 comes, so block 1 needs none.
"""

from .requests import Outstanding


class Promises:
    """The nodes that the answers under way from one peer will bring.

    `trusted` ends when an answer came out of order: from then on every request stands alone.
    """

    __slots__ = ("_nodes", "trusted")

    def __init__(self) -> None:
        self._nodes: dict[int, int] = {}
        self.trusted = True

    def shorten(self, outstanding: Outstanding, block: int, steps: int, *, alone: bool) -> int:
        """How many steps to ask for when `steps` reach a stored node; notes what the answer brings.

        `alone`: the request must not count on others (it may overtake them).
        """
        if not self.trusted:
            return steps
        nodes = self._nodes
        promised = outstanding.promised
        node = 2 * block
        for step in range(steps):
            if node in nodes and not alone:
                outstanding.counted_on = True
                steps = step
                break
            reach = ~node & (node + 1)
            promised += (node, node ^ (reach << 1))
            node = (node | reach) & ~(reach << 1)
        for node in promised:
            nodes[node] = nodes.get(node, 0) + 1
        return steps

    def settle(self, outstanding: Outstanding) -> None:
        """An answer came, or never will."""
        nodes = self._nodes
        for node in outstanding.promised:
            left = nodes.get(node, 0) - 1
            if left > 0:
                nodes[node] = left
            else:
                nodes.pop(node, None)
        outstanding.promised = []

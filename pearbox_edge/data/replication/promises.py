"""Asking for short paths: tree nodes that earlier answers of the same peer will have brought.

Of many neighbouring blocks under way at once each alone would have to bring its whole path. But the
answer for block 0 brings the node above block 1, so block 1 needs none. An answer that comes before
the one it relies on waits for it.
"""

from .requests import Outstanding

_NEAR = 4  # TUNING: of neighbouring blocks all but one in 16 have a promised node this near


class Promises:
    """The nodes that the answers under way from one peer will bring, and which one brings each."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: dict[int, int] = {}

    def near(self, block: int) -> int | None:
        """Steps up from a block to a promised node, if that is near; saves a look at the tree."""
        nodes = self._nodes
        node = 2 * block
        for step in range(_NEAR):
            if node in nodes:
                return step
            reach = ~node & (node + 1)
            node = (node | reach) & ~(reach << 1)
        return None

    def shorten(self, outstanding: Outstanding, block: int, steps: int, *, alone: bool) -> int:
        """How many steps to ask for when `steps` reach a stored or promised node.

        Notes what the answer relies on and what it will bring. `alone`: it must rely on nothing,
        because it may overtake the others and should not have to wait for them.
        """
        nodes = self._nodes
        promised = outstanding.promised
        node = 2 * block
        for step in range(steps + 1):
            if not alone and node in nodes:
                outstanding.relies_on = nodes[node]
                steps = step
                break
            if step == steps:
                break
            reach = ~node & (node + 1)
            promised += (node, node ^ (reach << 1))
            node = (node | reach) & ~(reach << 1)
        for node in promised:
            nodes.setdefault(node, outstanding.id)
        return steps

    def settle(self, outstanding: Outstanding) -> None:
        """An answer came, or never will."""
        nodes = self._nodes
        for node in outstanding.promised:
            if nodes.get(node) == outstanding.id:
                del nodes[node]
        outstanding.promised = []

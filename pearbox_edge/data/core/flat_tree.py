"""Numbering of a binary tree laid out flat: leaves even, parents between their children (sheet 10).

Plain integer facts, no tree needed. Node numbers stay below 2^53 because lengths do (MAX_LENGTH).
"""

MAX_LENGTH = 1 << 51
"""SPEC: codecs carry integers up to 2^53 - 1; node numbers reach twice the length."""


def depth(node: int) -> int:
    """How far above the leaves a node sits: 0 for a leaf."""
    return (~node & (node + 1)).bit_length() - 1


def offset(node: int) -> int:
    """Position among the nodes of its depth, from the left."""
    return node >> (depth(node) + 1)


def index(at_depth: int, at_offset: int) -> int:
    """Number of the node at a depth and a position there."""
    return ((1 + 2 * at_offset) << at_depth) - 1


def parent(node: int) -> int:
    """The node above."""
    bit = ~node & (node + 1)
    return (node | bit) & ~(bit << 1)


def sibling(node: int) -> int:
    """The other child of the same parent."""
    return node ^ ((~node & (node + 1)) << 1)


def left_child(node: int) -> int:
    """The child with the smaller number; -1 for a leaf."""
    bit = ~node & (node + 1)
    return node - (bit >> 1) if bit > 1 else -1


def right_child(node: int) -> int:
    """The child with the larger number; -1 for a leaf."""
    bit = ~node & (node + 1)
    return node + (bit >> 1) if bit > 1 else -1


def left_span(node: int) -> int:
    """The first leaf below a node (as a node number)."""
    return node - (~node & (node + 1)) + 1


def right_span(node: int) -> int:
    """The last leaf below a node (as a node number)."""
    return node + (~node & (node + 1)) - 1


def count_leaves(node: int) -> int:
    """How many leaves lie below a node; a leaf counts itself."""
    return ~node & (node + 1)


def contains(node: int, other: int) -> bool:
    """Whether `other` is `node` or lies below it."""
    reach = (~node & (node + 1)) - 1
    return node - reach <= other <= node + reach


def full_roots(length: int) -> list[int]:
    """Roots of a tree of `length` blocks, left to right."""
    roots = []
    start = 0
    while length:
        factor = 1 << (length.bit_length() - 1)
        roots.append(start + factor - 1)
        start += 2 * factor
        length -= factor
    return roots


def growth(from_length: int, to_length: int) -> list[int]:
    """The nodes that turn a tree of `from_length` blocks into one of `to_length`, in order.

    Appended one after the other as roots they give exactly the roots of the longer tree.
    """
    if from_length == 0:
        return full_roots(to_length)
    last = 2 * from_length - 2
    grown = []
    climbed = False
    for root in full_roots(to_length):
        if right_span(root) <= last:
            continue
        if climbed or left_span(root) > last:
            grown.append(root)
            continue
        climbed = True
        node = last
        while node != root:
            other = sibling(node)
            if other > last:
                grown.append(other)
            node = parent(node)
    return grown


def subtree_root(node: int, steps: int) -> int:
    """The node `steps` parents above `node`."""
    level = depth(node)
    return index(level + steps, offset(node) >> steps)


def max_missing_nodes(node: int, length: int) -> int:
    """Most steps up that a proof of `node` can need when only the roots at `length` are known.

    0 for a node at or past `length`: the upgrade covers it.
    """
    head = 2 * length
    steps = 0
    while node < head:
        node = parent(node)
        if right_span(node) >= head:
            return steps
        steps += 1
    return 0

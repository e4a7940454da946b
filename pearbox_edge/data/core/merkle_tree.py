"""The Merkle tree of a core: growing it, and finding bytes in it (sheet 10).

Nodes come from a `NodeSource`; a source may raise ColdPagesError to be asked again later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pearbox_edge.crypto import leaf_hash, parent_hash, tree_hash
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer

from .flat_tree import (
    MAX_LENGTH,
    contains,
    count_leaves,
    full_roots,
    left_child,
    left_span,
    parent,
    right_child,
    right_span,
    sibling,
)

NodeSource = Callable[[int], TreeNode | None]

MAX_BYTE_LENGTH = 1 << 43
"""TUNING: 8 TiB. A larger claim is refused: no home box stores it, and ext4 files end at 16 TiB."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree as it is held: its head's numbers, its roots and where its nodes are found."""

    length: int
    fork: int
    roots: tuple[TreeNode, ...]
    node: NodeSource

    @property
    def byte_length(self) -> int:
        """Stored bytes of all blocks."""
        return sum(root.size for root in self.roots)


def leaf(index: int, block: Buffer) -> TreeNode:
    """The node of block `index`."""
    return TreeNode(2 * index, len(block), leaf_hash(block))


def parent_of(one: TreeNode, other: TreeNode) -> TreeNode:
    """The node above two siblings, given in either order."""
    if one.index > other.index:
        one, other = other, one
    size = one.size + other.size
    return TreeNode((one.index + other.index) >> 1, size, parent_hash(size, one.hash, other.hash))


def hash_of(roots: Sequence[TreeNode]) -> bytes:
    """The tree hash over all roots, left to right."""
    return tree_hash(roots)


class GrowingTree:
    """A copy of a tree's roots that grows to the right, and every node made on the way."""

    def __init__(self, length: int = 0, roots: Sequence[TreeNode] = ()) -> None:
        self.length = length
        self.roots = list(roots)
        self.nodes: list[TreeNode] = []

    @property
    def byte_length(self) -> int:
        """Stored bytes of all blocks."""
        return sum(root.size for root in self.roots)

    def append(self, node: TreeNode) -> None:
        """Put a node at the right end and merge siblings. The node must start at the end.

        PeerError if it does not start there or the tree gets longer than any tree can be.
        """
        leaves = count_leaves(node.index)
        if left_span(node.index) != 2 * self.length:
            raise PeerError(f"node {node.index} is not next", code="INVALID_PROOF")
        self.length += leaves
        if self.length > MAX_LENGTH:
            raise PeerError("a tree longer than any can be", code="INVALID_PROOF")
        self.nodes.append(node)
        roots = self.roots
        while roots and roots[-1].index == sibling(node.index):
            node = parent_of(roots.pop(), node)
            self.nodes.append(node)
        roots.append(node)

    def append_block(self, block: Buffer) -> None:
        """Put one more block at the end."""
        self.append(leaf(self.length, block))

    def hash(self) -> bytes:
        """The tree hash as it is now."""
        return tree_hash(self.roots)


def byte_offset(tree: Tree, index: int) -> int | None:
    """Stored bytes before block `index`; None if a node on the way is not held."""
    if index >= tree.length:
        return tree.byte_length if index == tree.length else None
    node = 2 * index
    before = 0
    for root in tree.roots:
        if right_span(root.index) < node:
            before += root.size
            continue
        while node != root.index:
            other = sibling(node)
            if other < node:
                found = tree.node(other)
                if found is None:
                    return None
                before += found.size
            node = parent(node)
        return before
    return None


class Found(NamedTuple):
    """Where a byte lies: below `node` (a leaf if it is known exactly), `rest` bytes into it."""

    node: int
    rest: int


def seek(tree: Tree, byte: int, padding: int = 0) -> Found | None:
    """The narrowest node known to hold a byte position; None if it is past the end.

    `byte` counts without `padding` bytes of each block. A position on an exact boundary gives the
    leaf after it with rest 0, even an empty one; at the very end the leaf after the last.
    """
    if byte == 0:
        return Found(0, 0)
    for root in tree.roots:
        size = unpadded(root, padding)
        if byte == size:
            return Found(right_span(root.index) + 2, 0)
        if byte > size:
            byte -= size
            continue
        return seek_below(tree.node, root.index, byte, padding)
    return None


def seek_below(node: NodeSource, root: int, byte: int, padding: int) -> Found:
    """As `seek`, below a root that is known to hold the byte."""
    at = root
    while at & 1:
        left = node(left_child(at))
        if left is None:
            return Found(at, byte)
        size = unpadded(left, padding)
        if byte == size:
            return Found(right_span(left.index) + 2, 0)
        if byte < size:
            at = left.index
        else:
            byte -= size
            at = right_child(at)
    return Found(at, byte)


def unpadded(node: TreeNode, padding: int) -> int:
    """Bytes below a node that do not count as padding."""
    return node.size - padding * count_leaves(node.index) if padding else node.size


def roots_at(tree: Tree, length: int) -> tuple[TreeNode, ...] | None:
    """Roots the tree had at an earlier length; None if one is not held."""
    if length == tree.length:
        return tree.roots
    found = []
    for index in full_roots(length):
        node = tree.node(index)
        if node is None:
            return None
        found.append(node)
    return tuple(found)


def root_above(tree: Tree, node: int) -> TreeNode | None:
    """The root that a node lies below (or is); None if the tree does not reach there."""
    for root in tree.roots:
        if contains(root.index, node):
            return root
    return None

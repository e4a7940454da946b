"""Building what a request asks for: which nodes go where, in the exact order (sheet 12)."""

from dataclasses import dataclass

from pearbox_edge.data.storage import TreeNode

from .flat_tree import (
    MAX_LENGTH,
    contains,
    full_roots,
    growth,
    left_span,
    parent,
    right_span,
    sibling,
    subtree_root,
)
from .hooks import RefusalReason
from .merkle_tree import NodeSource, Tree, byte_offset, unpadded
from .proof import HashPart, ProofRequest, SeekPart, SeekRequest, UpgradePart

_MAX_STEPS = 52  # SPEC: no tree is deeper


class RefusedError(Exception):
    """A request cannot be proved; carries the reason to answer with."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(slots=True)
class Parts:
    """The parts of a proof but the block's bytes; `path` belongs to the block if one was asked."""

    path: list[TreeNode] | None = None
    hash: HashPart | None = None
    seek: SeekPart | None = None
    upgrade: UpgradePart | None = None


def block_path(node_source: NodeSource, index: int, steps: int, length: int) -> list[TreeNode]:
    """The siblings on the way from block `index` up `steps` parents, in a tree of `length`.

    RefusedError if that leaves the tree or a node is not held.
    """
    at = 2 * index
    head = 2 * length
    path = []
    for _ in range(steps):
        reach = ~at & (at + 1)
        other = at ^ (reach << 1)
        at = (at | reach) & ~(reach << 1)
        if at + 2 * reach > head:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        node = node_source(other)
        if node is None:
            raise RefusedError(RefusalReason.NOT_AVAILABLE)
        path.append(node)
    return path


def prove(request: ProofRequest, tree: Tree, signature: bytes, prologue_length: int) -> Parts:
    """Lay out the proof that answers a request; RefusedError if there is none.

    The fork, and whether the block is held, is checked by the caller. `prologue_length` is 0 for a
    core without one.
    """
    if tree.length == 0:
        return Parts()
    return _Layout(request, tree, prologue_length).build(signature)


class _Layout:
    def __init__(self, request: ProofRequest, tree: Tree, prologue_length: int) -> None:
        self.request = request
        self.tree = tree
        self.parts = Parts()
        self.seek_nodes: list[TreeNode] | None = None
        self.node: int | None = None
        self.steps = 0
        self.is_hash = False
        if request.block is not None:
            self.node, self.steps = 2 * request.block.index, request.block.nodes
        elif request.hash is not None:
            self.node, self.steps = request.hash
            self.is_hash = True
        upgrade = request.upgrade
        self.start, self.length = (0, tree.length) if upgrade is None else upgrade
        if upgrade is not None and self.start < prologue_length:
            # A reader has no signature for less than the prologue, so it gets all of it.
            self.start, self.length = 0, prologue_length
        self.end = self.start + self.length

    def build(self, signature: bytes) -> Parts:
        """Everything the request asks for."""
        request, tree = self.request, self.tree
        if self.length <= 0 or self.start < 0 or self.end > tree.length:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        if self.node is not None and not 0 <= self.node < 2 * MAX_LENGTH:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        if request.upgrade is None:
            if self.node is not None:
                self._own_path()
            return self._finish(None, [], signature)
        before = 2 * self.start
        if request.seek is not None and self.node is not None and self.node >= before:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        sub: int | None = None
        if self.node is not None and right_span(self.node) < before:
            self._own_path()
        elif request.seek is not None:
            sub = self._seek_from_roots(request.seek)
        else:
            sub = self.node
        nodes = self._growth(self.start, self.end, sub)
        more = self._growth(self.end, tree.length, None) if self.end < tree.length else []
        return self._finish(nodes, more, signature)

    def _finish(
        self, nodes: list[TreeNode] | None, more: list[TreeNode], signature: bytes
    ) -> Parts:
        parts, request = self.parts, self.request
        if self.node is not None and parts.path is None:
            # Past the upgrade, or inside what the other already has: nothing can prove it.
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        if self.is_hash and request.hash is not None and parts.path is not None:
            parts.hash = HashPart(request.hash.index, parts.path)
            parts.path = None
        if request.seek is not None and self.seek_nodes is not None:
            parts.seek = SeekPart(request.seek.byte_offset, self.seek_nodes)
        if nodes is not None:
            parts.upgrade = UpgradePart(self.start, self.length, nodes, more, signature)
        return parts

    def _held(self, index: int) -> TreeNode:
        node = self.tree.node(index)
        if node is None:
            raise RefusedError(RefusalReason.NOT_AVAILABLE)
        return node

    def _own_path(self) -> None:
        """The path of a block or hash that the upgrade does not bring, with its seek."""
        assert self.node is not None  # noqa: S101 -- narrows the type; callers check
        if not 0 <= self.steps <= _MAX_STEPS:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        top = subtree_root(self.node, self.steps)
        if right_span(top) >= 2 * self.end:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        seek = self.request.seek
        target = self._seek_below(top, seek) if seek is not None else None
        self._path(self.node, target, top)

    def _path(self, node: int, target: int | None, top: int) -> None:
        """Siblings from `node` up to `top`; one that has the seek target below goes to the seek."""
        path = [self._held(node)] if self.is_hash else []
        while node != top:
            other = sibling(node)
            if target is not None and target != other and contains(other, target):
                self._seek_path(target, other)
            else:
                path.append(self._held(other))
            node = parent(node)
        self.parts.path = path

    def _seek_path(self, target: int, top: int) -> None:
        nodes = [self._held(target)]
        while target != top:
            nodes.append(self._held(sibling(target)))
            target = parent(target)
        self.seek_nodes = nodes

    def _seek_below(self, top: int, seek: SeekRequest) -> int:
        """Where a byte lands that must be below `top`."""
        start = left_span(top) // 2
        before = byte_offset(self.tree, start)
        if before is None:
            raise RefusedError(RefusalReason.NOT_AVAILABLE)
        rest = seek.byte_offset - (before - seek.padding * start)
        if rest == 0:
            return top
        if rest < 0 or unpadded(self._held(top), seek.padding) <= rest:
            raise RefusedError(RefusalReason.INVALID_REQUEST)
        return self._landing(top, rest, seek.padding)

    def _seek_from_roots(self, seek: SeekRequest) -> int | None:
        """Where a byte lands in the tree that the upgrade ends at; None if past its end."""
        rest = seek.byte_offset
        for root in full_roots(self.end):
            size = unpadded(self._held(root), seek.padding)
            if rest == size:
                return root
            if rest < size:
                return self._landing(root, rest, seek.padding)
            rest -= size
        return None

    def _landing(self, top: int, rest: int, padding: int) -> int:
        """The node a byte leads to: on an exact fit the one that ends there, else a leaf."""
        if rest == 0:
            return top
        node = top
        while node & 1:
            left = self._held_left(node)
            if left is None:
                return node
            size = unpadded(left, padding)
            if rest == size:
                return left.index
            if rest < size:
                node = left.index
            else:
                rest -= size
                node = sibling(left.index)
        return node

    def _held_left(self, node: int) -> TreeNode | None:
        return self.tree.node(node - ((~node & (node + 1)) >> 1))

    def _growth(self, start: int, end: int, sub: int | None) -> list[TreeNode]:
        """The nodes from one length to another; the one above `sub` gives way to a path there."""
        nodes = []
        for index in growth(start, end):
            if sub is not None and self._is_free() and contains(index, sub):
                if self.node is None:
                    self._seek_path(sub, index)
                else:
                    self._path(self.node, None, index)
            else:
                nodes.append(self._held(index))
        return nodes

    def _is_free(self) -> bool:
        return self.parts.path is None and self.seek_nodes is None

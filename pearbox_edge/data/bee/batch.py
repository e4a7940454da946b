"""Changing the tree in memory and writing it out, block by block as every other writer does.

Each operation makes one block: its key, its value and the tree nodes it changed. Byte for byte
the same as npm hyperbee 2.27.3, also where several operations go into one append (sheet 13).
"""

from collections.abc import Callable

from pearbox_edge.errors import PeerError

from .messages import Level, Node, check_key, encode_index, encode_node
from .source import MAX_DEPTH, NodeCache, Walk, level_hints, need

MIN_KEYS = 4  # SPEC sheet 13: below this a tree node takes from a sibling or merges
MAX_KEYS = 8  # SPEC sheet 13: one more and it splits

Accept = Callable[[Node], bool]
"""Compare-and-swap: given the block that holds the key now, whether to go on."""


class _Child:
    """Where a tree node is stored, and the tree node itself once it was looked at.

    Shared between its parent and the block that wrote it: when a later operation rewrites the
    tree node, the earlier block learns from `seq` that it need not carry it any more.
    """

    __slots__ = ("offset", "seq", "tree")

    def __init__(self, seq: int, offset: int, tree: "_Tree | None") -> None:
        self.seq = seq
        self.offset = offset
        self.tree = tree


class _Tree:
    """A tree node being changed: its keys, the blocks that hold them, its children."""

    __slots__ = ("changed", "children", "keys", "seqs")

    def __init__(self, keys: list[bytes], seqs: list[int], children: list[_Child]) -> None:
        self.keys = keys
        self.seqs = seqs
        self.children = children
        self.changed = False

    def position(self, key: bytes) -> tuple[int, bool]:
        """Binary search: (position of the first key not below `key`, found it?)."""
        keys = self.keys
        low, high = 0, len(keys)
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        return low, low < len(keys) and keys[low] == key

    def split(self) -> tuple[bytes, int, "_Tree"]:
        """Keep the lower half; give the median's key and block, and the upper half."""
        middle = len(self.keys) // 2
        right = _Tree(self.keys[middle + 1 :], self.seqs[middle + 1 :], self.children[middle + 1 :])
        right.changed = self.changed = True
        median, seq = self.keys[middle], self.seqs[middle]
        del self.keys[middle:], self.seqs[middle:], self.children[middle + 1 :]
        return median, seq, right

    def move_key(self, at: int, other: "_Tree", place: int) -> None:
        """Take the key at `at` out and put it into `other` at `place`."""
        other.keys.insert(place, self.keys.pop(at))
        other.seqs.insert(place, self.seqs.pop(at))

    def level(self) -> Level:
        """The tree node as it is stored."""
        children: list[int] = []
        for child in self.children:
            children += (child.seq, child.offset)
        return Level(self.seqs, children)


class _Pending:
    """One operation's block before it is written; `index` 0 is the root as it was then."""

    __slots__ = ("index", "key", "value")

    def __init__(self, key: bytes, value: bytes | None, index: list[_Child]) -> None:
        self.key = key
        self.value = value
        self.index = index


class TreeBatch:
    """Operations on the tree of a core of `length` blocks (1 or more), to be appended at once.

    `always_duplicate` False: putting the value that is there already writes nothing.
    """

    def __init__(self, nodes: NodeCache, length: int, *, always_duplicate: bool = True) -> None:
        self._nodes = nodes
        self._base = length
        self._always_duplicate = always_duplicate
        self._root: _Tree | None = None
        self._pending: list[_Pending] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def base(self) -> int:
        """The core length that the first block of this batch follows."""
        return self._base

    def get(self, key: bytes) -> Walk[Node | None]:
        """The block that holds `key`, seen through the operations so far."""
        if self._root is None and self._base < 2:
            return None
        way = [(yield from self._open_root())]
        position, found = yield from self._descend(way, key)
        return (yield from self._node(way[-1].seqs[position])) if found else None

    def put(self, key: bytes, value: bytes | None, accept: Accept | None = None) -> Walk[bool]:
        """Set `key`; False if `accept` declined (it is asked only if the key is there already)."""
        check_key(key)
        root = yield from self._open_root()
        seq = self._base + len(self._pending)
        stack = [root]
        position, found = yield from self._descend(stack, key)
        for passed in stack:
            # Inner ones even if nothing comes of it: the reference leaves these marked too.
            passed.changed = passed.changed or bool(passed.children)
        tree = stack.pop()
        if found:
            if not (yield from self._may_replace(tree.seqs[position], value, accept)):
                return False
            tree.changed = True
            tree.seqs[position] = seq
            self._append(root, key, value)
            return True
        tree.keys.insert(position, key)
        tree.seqs.insert(position, seq)
        tree.changed = True
        while len(tree.keys) > MAX_KEYS:
            median, median_seq, right = tree.split()
            if not stack:
                root = _Tree([median], [median_seq], [_Child(0, 0, tree), _Child(0, 0, right)])
                break
            parent = stack.pop()
            position, _ = parent.position(median)
            parent.keys.insert(position, median)
            parent.seqs.insert(position, median_seq)
            parent.children.insert(position + 1, _Child(0, 0, right))
            parent.changed = True
            tree = parent
        self._append(root, key, value)
        return True

    def delete(self, key: bytes, accept: Accept | None = None) -> Walk[bool]:
        """Take `key` away; False if it is not there or `accept` declined."""
        if self._root is None and self._base < 2:
            return False
        stack = [(yield from self._open_root())]
        position, found = yield from self._descend(stack, key)
        if not found:
            return False
        tree = stack[-1]
        if accept is not None and not accept((yield from self._node(tree.seqs[position]))):
            return False
        if tree.children:
            yield from self._replace_by_leaf(tree, position, stack)
        else:
            del tree.keys[position], tree.seqs[position]
        for passed in stack:
            passed.changed = True
        self._append((yield from self._rebalance(stack)), key, None)
        return True

    def blocks(self) -> list[bytes]:
        """All operations as the blocks to append; the batch is used up by this."""
        last = len(self._pending) - 1
        blocks = []
        for number, pending in enumerate(self._pending):
            index = pending.index
            if number < last:
                _compact(index, self._base + number)
            levels = [child.tree.level() for child in index if child.tree is not None]
            blocks.append(encode_node(pending.key, pending.value, encode_index(levels)))
        self._pending = []
        self._root = None
        return blocks

    def _append(self, root: _Tree, key: bytes, value: bytes | None) -> None:
        """Number the changed tree nodes and set one operation's block aside."""
        seq = self._base + len(self._pending)
        index: list[_Child] = []
        _number(_Child(seq, 0, root), index, seq)
        self._root = root
        self._pending.append(_Pending(key, value, index))
        self.size += len(key) + len(value or b"") + 32 * len(index)

    def _may_replace(self, seq: int, value: bytes | None, accept: Accept | None) -> Walk[bool]:
        if accept is None and self._always_duplicate:
            return True
        node = yield from self._node(seq)
        if accept is not None and not accept(node):
            return False
        return self._always_duplicate or node.value != value

    def _node(self, seq: int) -> Walk[Node]:
        if seq < self._base:
            return (yield from need(self._nodes, seq))
        pending = self._pending[seq - self._base]
        return Node(seq, pending.key, pending.value, b"")

    def _open_root(self) -> Walk[_Tree]:
        if self._root is None:
            if self._base < 2:
                self._root = _Tree([], [], [])
            else:
                self._root = yield from self._open(self._base - 1, 0)
        return self._root

    def _descend(self, way: list[_Tree], key: bytes) -> Walk[tuple[int, bool]]:
        """Lengthen a way (so far the root) to where `key` is or would be: as `position`."""
        while True:
            tree = way[-1]
            position, found = tree.position(key)
            if found or not tree.children:
                return position, found
            if len(way) > MAX_DEPTH:
                raise PeerError(f"a tree deeper than {MAX_DEPTH} nodes")
            way.append((yield from self._child(tree, position)))

    def _child(self, tree: _Tree, position: int) -> Walk[_Tree]:
        child = tree.children[position]
        if child.tree is None:
            child.tree = yield from self._open(child.seq, child.offset)
        return child.tree

    def _open(self, seq: int, offset: int) -> Walk[_Tree]:
        """Read a stored tree node with all its keys."""
        level = (yield from need(self._nodes, seq)).level(offset)
        keys = []
        for key_seq in level.keys:
            node = self._nodes.get(key_seq)
            if node is None:
                node = yield from need(self._nodes, key_seq, level_hints(level))
            keys.append(node.key)
        flat = level.children
        children = [_Child(flat[i], flat[i + 1], None) for i in range(0, len(flat), 2)]
        return _Tree(keys, list(level.keys), children)

    def _edge(self, tree: _Tree, *, last: bool) -> Walk[list[_Tree]]:
        """The way from `tree` down to its last (or first) leaf."""
        way = [tree]
        while tree.children:
            if len(way) > MAX_DEPTH:
                raise PeerError(f"a tree deeper than {MAX_DEPTH} nodes")
            tree = yield from self._child(tree, len(tree.children) - 1 if last else 0)
            way.append(tree)
        return way

    def _replace_by_leaf(self, tree: _Tree, position: int, stack: list[_Tree]) -> Walk[None]:
        """Put the nearest key of the fuller leaf beside it in a key's place."""
        left = yield from self._child(tree, position)
        right = yield from self._child(tree, position + 1)
        left_way = yield from self._edge(left, last=True)
        right_way = yield from self._edge(right, last=False)
        take_right = len(left_way[-1].keys) < len(right_way[-1].keys)
        way = right_way if take_right else left_way
        at = 0 if take_right else len(way[-1].keys) - 1
        if at < 0:
            raise PeerError("a leaf without keys")
        tree.keys[position] = way[-1].keys.pop(at)
        tree.seqs[position] = way[-1].seqs.pop(at)
        stack += way

    def _rebalance(self, stack: list[_Tree]) -> Walk[_Tree]:
        """Mend what became too small, from the leaf up; gives the root."""
        root = stack[0]
        while len(stack) > 1:
            tree = stack.pop()
            if len(tree.keys) >= MIN_KEYS:
                return root
            parent = stack[-1]
            at = next(i for i, child in enumerate(parent.children) if child.tree is tree)
            left = (yield from self._child(parent, at - 1)) if at > 0 else None
            more = at + 1 < len(parent.children)
            right = (yield from self._child(parent, at + 1)) if more else None
            if left is not None and len(left.keys) > MIN_KEYS:
                left.changed = True
                parent.move_key(at - 1, tree, 0)
                left.move_key(len(left.keys) - 1, parent, at - 1)
                if left.children:
                    tree.children.insert(0, left.children.pop())
                return root
            if right is not None and len(right.keys) > MIN_KEYS:
                right.changed = True
                parent.move_key(at, tree, len(tree.keys))
                right.move_key(0, parent, at)
                if right.children:
                    tree.children.append(right.children.pop(0))
                return root
            if left is not None:
                _merge(parent, at - 1, left, tree)
            elif right is not None:
                _merge(parent, at, tree, right)
        if not root.keys and root.children:
            return (yield from self._child(root, 0))
        return root


def _merge(parent: _Tree, at: int, left: _Tree, right: _Tree) -> None:
    """Move key `at` of the parent and all of `right` (child at + 1) into `left`."""
    left.changed = parent.changed = True
    parent.move_key(at, left, len(left.keys))
    left.keys += right.keys
    left.seqs += right.seqs
    left.children += right.children
    parent.children.pop(at + 1).seq = 0  # what an earlier operation stored of it is not needed


def _number(child: _Child, index: list[_Child], seq: int) -> None:
    """Give the changed tree nodes below `child` their places in block `seq`, depth first."""
    child.seq = seq
    child.offset = len(index)
    index.append(child)
    tree = child.tree
    if tree is None:
        return
    tree.changed = False
    for inner in tree.children:
        if inner.tree is not None and inner.tree.changed:
            _number(inner, index, seq)


def _compact(index: list[_Child], seq: int) -> None:
    """Drop the root and what later operations rewrote; gaps are filled from the end (SPEC)."""
    kept: list[_Child | None] = [None, *index[1:]]
    at = 0
    while at < len(kept):
        child = kept[at]
        if child is not None and child.seq == seq:
            child.offset = at
            at += 1
        else:
            last = kept.pop()
            if at < len(kept):
                kept[at] = last
    index[:] = [child for child in kept if child is not None]

"""How the pure tree algorithms come by blocks: they ask, the shell loads, they go on.

An algorithm is a generator: it yields the block numbers it lacks (the first is needed to go on, the
others it will likely need soon) and is resumed when at least the first is in the cache.
"""

from collections import OrderedDict
from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from pearbox_edge.errors import PeerError

from .messages import Level, Node

T = TypeVar("T")

Walk: TypeAlias = Generator[Sequence[int], None, T]
"""An algorithm under way, with result T."""

MAX_DEPTH = 32
"""TUNING: levels of a tree; with 5 children a node, 23 hold every key a core can have."""

MAX_CACHE_SIZE = 12 << 20
"""TUNING: bytes of decoded blocks kept for one bee: a listing of some 15,000 files."""


class NodeCache:
    """Decoded blocks by number, at most about `max_size` bytes; the longest unused go first."""

    def __init__(self, max_size: int = MAX_CACHE_SIZE) -> None:
        self._nodes: OrderedDict[int, Node] = OrderedDict()
        self._size = 0
        self._max_size = max_size

    def __contains__(self, seq: int) -> bool:
        return seq in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, seq: int) -> Node | None:
        """A block if it is here."""
        node = self._nodes.get(seq)
        if node is not None:
            self._nodes.move_to_end(seq)
        return node

    def put(self, node: Node) -> None:
        """Keep a block; it stays at least until the next one comes."""
        old = self._nodes.pop(node.seq, None)
        if old is not None:
            self._size -= old.memory
        self._nodes[node.seq] = node
        self._size += node.memory
        while self._size > self._max_size and len(self._nodes) > 1:
            self._size -= self._nodes.popitem(last=False)[1].memory

    def truncate(self, length: int) -> None:
        """Forget blocks from `length` on."""
        for seq in [seq for seq in self._nodes if seq >= length]:
            self._size -= self._nodes.pop(seq).memory


def need(nodes: NodeCache, seq: int, hints: Sequence[int] = ()) -> Walk[Node]:
    """Give block `seq`, asking for it (and for what of `hints` is missing) if it is not here."""
    node = nodes.get(seq)
    if node is None:
        yield [seq, *(hint for hint in hints if hint != seq and hint not in nodes)]
        node = nodes.get(seq)
        if node is None:
            raise PeerError(f"block {seq} is missing")
    return node


def open_level(nodes: NodeCache, seq: int, offset: int, depth: int) -> Walk[Level]:
    """Give tree node `offset` of block `seq`, which lies `depth` below the root."""
    if depth > MAX_DEPTH:
        raise PeerError(f"a tree deeper than {MAX_DEPTH} nodes")
    node = nodes.get(seq)
    if node is None:
        node = yield from need(nodes, seq)
    return node.level(offset)


def level_hints(level: Level) -> list[int]:
    """What a search through a tree node may need next: its keys and its children."""
    return [*level.keys, *level.children[::2]]

"""Finding one key in the tree of a version."""

from .messages import Level, Node
from .source import NodeCache, Walk, level_hints, need, open_level


def search(nodes: NodeCache, level: Level, key: bytes) -> Walk[tuple[int, bool]]:
    """Binary search in one tree node: (position of the first key not below `key`, found it?)."""
    keys = level.keys
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        node = nodes.get(keys[middle])
        if node is None:
            node = yield from need(nodes, keys[middle], level_hints(level))
        if node.key == key:
            return middle, True
        if node.key < key:
            low = middle + 1
        else:
            high = middle
    return low, False


def find(nodes: NodeCache, version: int, key: bytes) -> Walk[Node | None]:
    """The block that holds `key` as of `version` (a core length at an operation's end)."""
    if version < 2:
        return None
    seq, offset, depth = version - 1, 0, 0
    while True:
        level = yield from open_level(nodes, seq, offset, depth)
        position, found = yield from search(nodes, level, key)
        if found:
            return (yield from need(nodes, level.keys[position]))
        if not level.children:
            return None
        seq, offset = level.children[2 * position : 2 * position + 2]
        depth += 1

"""The cache of decoded blocks, and how algorithms ask for what it lacks."""

import pytest

from pearbox_edge.data.bee.messages import Level, Node, encode_index
from pearbox_edge.data.bee.source import (
    MAX_DEPTH,
    NodeCache,
    level_hints,
    need,
    open_level,
)
from pearbox_edge.errors import PeerError


def node(seq: int, size: int = 0) -> Node:
    return Node(seq, b"", bytes(size), b"")


def test_the_longest_unused_block_goes_first() -> None:
    nodes = NodeCache(max_size=3 * node(1).memory)
    for seq in (1, 2, 3):
        nodes.put(node(seq))
    nodes.get(1)
    nodes.put(node(4))
    assert [seq for seq in (1, 2, 3, 4) if seq in nodes] == [1, 3, 4]


def test_a_block_larger_than_the_cache_stays_until_the_next() -> None:
    nodes = NodeCache(max_size=100)
    nodes.put(node(1, 5000))
    assert 1 in nodes
    nodes.put(node(2, 5000))
    assert (1 in nodes, 2 in nodes) == (False, True)


def test_a_block_put_twice_counts_once() -> None:
    nodes = NodeCache(max_size=2 * node(1).memory)
    for seq in (1, 2, 2, 2):
        nodes.put(node(seq))
    assert len(nodes) == 2


def test_a_truncation_empties_the_cache_from_there() -> None:
    nodes = NodeCache()
    for seq in (1, 2, 3):
        nodes.put(node(seq))
    nodes.truncate(2)
    assert [seq for seq in (1, 2, 3) if seq in nodes] == [1]


def test_what_is_here_is_not_asked_for() -> None:
    nodes = NodeCache()
    nodes.put(node(2))
    walk = need(nodes, 1, [1, 2, 3])
    assert next(walk) == [1, 3]
    nodes.put(node(1))
    with pytest.raises(StopIteration) as done:
        next(walk)
    assert done.value.value is nodes.get(1)


def test_going_on_without_the_block_is_refused() -> None:
    walk = need(NodeCache(), 1)
    next(walk)
    with pytest.raises(PeerError):
        next(walk)


def test_a_tree_too_deep_is_refused() -> None:
    with pytest.raises(PeerError):
        next(open_level(NodeCache(), 1, 0, MAX_DEPTH + 1))


def test_a_search_may_need_keys_and_children() -> None:
    assert level_hints(Level([1, 2], [3, 0, 4, 1, 5, 0])) == [1, 2, 3, 4, 5]
    assert encode_index([Level([], [])]) == b"\x0a\x00"

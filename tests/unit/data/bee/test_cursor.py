"""Bounds, and moving through trees that may lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.cursor import KEY, Cursor, KeyRange
from pearbox_edge.data.bee.messages import Level, decode_node, encode_index, encode_node
from pearbox_edge.data.bee.ranges import RangeWalk
from pearbox_edge.data.bee.source import NodeCache
from pearbox_edge.errors import PeerError
from tests.kit.bees import run_walk

keys = st.binary(max_size=3)


@given(keys, st.none() | keys, st.none() | keys, st.none() | keys, st.none() | keys)
def test_bounds_of_a_sub_hold_exactly_its_keys(
    key: bytes, gt: bytes | None, gte: bytes | None, lt: bytes | None, lte: bytes | None
) -> None:
    gte = None if gt is not None else gte
    lte = None if lt is not None else lte
    bounds = KeyRange(gt, gte, lt, lte)
    inside = not bounds.is_below(key) and not bounds.is_above(key)
    whole = bounds.within(b"sub\0")
    prefixed = b"sub\0" + key
    expected = inside and not (key == b"" and gt is None and gte is None)
    assert (not whole.is_below(prefixed) and not whole.is_above(prefixed)) == expected
    if gt is None and gte is None:
        assert whole.is_below(b"sub")
    if lt is None and lte is None:
        assert whole.is_above(b"sub\x01")


def blocks_of(*levels: Level) -> dict[int, bytes]:
    index = encode_index(list(levels))
    blocks = {seq: encode_node(b"%03d" % seq, b"", b"") for seq in range(1, 40)}
    return blocks | {40: encode_node(b"040", b"", index)}


def listing(blocks: dict[int, bytes], *, reverse: bool = False) -> list[bytes]:
    nodes = NodeCache()
    walk = RangeWalk(nodes, 41, KeyRange(), reverse=reverse)
    return [node.key for node in run_walk(walk.page(1000), blocks, nodes)]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_tree_that_leads_back_into_itself_is_refused(reverse: bool) -> None:
    with pytest.raises(PeerError):
        listing(blocks_of(Level([5], [40, 0, 40, 0])), reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_tree_node_used_twice_is_refused_for_its_order(reverse: bool) -> None:
    with pytest.raises(PeerError):
        listing(blocks_of(Level([5], [40, 1, 40, 1]), Level([2, 3], [])), reverse=reverse)


def test_a_tree_that_doubles_at_every_level_is_refused_at_once() -> None:
    doubling = [Level([20], [40, at + 1, 40, at + 1]) for at in range(30)]
    with pytest.raises(PeerError):
        listing(blocks_of(*doubling, Level([3], [])))


@pytest.mark.parametrize("reverse", [False, True])
def test_keys_in_disorder_are_refused(reverse: bool) -> None:
    with pytest.raises(PeerError):
        listing(blocks_of(Level([5, 4], [])), reverse=reverse)


def test_a_step_is_a_tree_node_or_a_key() -> None:
    nodes = NodeCache()
    cursor = Cursor(nodes, 41, KeyRange())
    blocks = blocks_of(Level([5], [40, 1, 40, 2]), Level([4], []), Level([6], []))
    run_walk(cursor.seek(), blocks, nodes)
    assert cursor.peek() == (40, 1)
    cursor.skip()
    assert cursor.peek() == (5, KEY)


def test_blocks_ahead_are_asked_for_together() -> None:
    nodes = NodeCache()
    blocks = blocks_of(Level(list(range(1, 9)), []))
    walk = RangeWalk(nodes, 41, KeyRange()).page(100)
    assert list(next(walk)) == [40]
    nodes.put(decode_node(40, blocks[40]))
    assert list(next(walk)) == list(range(1, 9))

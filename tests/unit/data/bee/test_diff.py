"""Differences of two versions, against dicts; equal parts stay unread."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.batch import TreeBatch
from pearbox_edge.data.bee.cursor import KeyRange
from pearbox_edge.data.bee.diff import DiffWalk
from pearbox_edge.data.bee.messages import Node, decode_node
from pearbox_edge.data.bee.source import NodeCache
from tests.kit.bees import run_walk

Version = dict[bytes, int]
steps = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=80)


def build(count: int, changes: list[tuple[bool, int]]) -> tuple[dict[int, bytes], Version, Version]:
    """Blocks of a batch of `count` keys and one of changes; the blocks of the keys in both."""
    blocks: dict[int, bytes] = {}
    nodes = NodeCache()
    present: Version = {}
    batch = TreeBatch(nodes, 1)
    for number in range(count):
        run_walk(batch.put(b"%04d" % number, b"v"), blocks, nodes)
        present[b"%04d" % number] = len(batch)
    blocks |= enumerate(batch.blocks(), 1)
    before = dict(present)
    batch = TreeBatch(nodes, len(blocks) + 1)
    for put, number in changes:
        key = b"%04d" % number
        if put:
            run_walk(batch.put(key, b"w"), blocks, nodes)
            present[key] = batch.base + len(batch) - 1
        elif run_walk(batch.delete(key), blocks, nodes):
            del present[key]
    blocks |= enumerate(batch.blocks(), batch.base)
    return blocks, before, present


def seq_of(node: Node | None) -> int | None:
    return None if node is None else node.seq


def differences(
    blocks: dict[int, bytes], left: int, right: int, bounds: KeyRange, size: int
) -> list[tuple[int | None, int | None]]:
    nodes = NodeCache()
    walk = DiffWalk(nodes, left, right, bounds)
    found: list[tuple[int | None, int | None]] = []
    while not walk.ended:
        for mine, theirs in run_walk(walk.page(size), blocks, nodes):
            found.append((seq_of(mine), seq_of(theirs)))
    return found


@given(
    st.integers(0, 60), steps, st.integers(0, 60), st.integers(0, 60), st.sampled_from([1, 3, 99])
)
def test_differences_are_those_of_dicts(
    count: int, changes: list[tuple[bool, int]], low: int, high: int, size: int
) -> None:
    blocks, before, after = build(count, changes)
    now, then = len(blocks) + 1, count + 1
    for bounds, inside in (
        (KeyRange(), lambda key: True),
        (KeyRange(gte=b"%04d" % low, lt=b"%04d" % high), lambda key: low <= int(key) < high),
    ):
        keys = sorted(filter(inside, before.keys() | after.keys()))
        expected = [
            (after.get(key), before.get(key)) for key in keys if after.get(key) != before.get(key)
        ]
        assert differences(blocks, now, then, bounds, size) == expected
        swapped = [(right, left) for left, right in expected]
        assert differences(blocks, then, now, bounds, size) == swapped


def test_equal_subtrees_are_not_read() -> None:
    blocks, before, _ = build(2000, [(True, 77)])
    nodes = NodeCache()
    walk = DiffWalk(nodes, len(blocks) + 1, len(before) + 1, KeyRange()).page(10)
    read: set[int] = set()
    with suppress(StopIteration):
        while True:
            first = next(walk)[0]
            read.add(first)
            nodes.put(decode_node(first, blocks[first]))
    assert 0 < len(read) < 60

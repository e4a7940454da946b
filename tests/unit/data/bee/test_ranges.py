"""Pages of a range: every key once, in order, whatever the page size and the cache."""

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.batch import TreeBatch
from pearbox_edge.data.bee.cursor import KeyRange
from pearbox_edge.data.bee.ranges import MAX_PAGE_SIZE, RangeWalk
from pearbox_edge.data.bee.source import NodeCache
from tests.kit.bees import run_walk

keys = st.binary(max_size=2)


def tree(entries: dict[bytes, bytes]) -> dict[int, bytes]:
    nodes = NodeCache()
    blocks: dict[int, bytes] = {}
    batch = TreeBatch(nodes, 1)
    for key, value in entries.items():
        run_walk(batch.put(key, value), blocks, nodes)
    return dict(enumerate(batch.blocks(), 1))


def paged(
    blocks: dict[int, bytes], bounds: KeyRange, *, size: int, reverse: bool, cache: int
) -> list[bytes]:
    nodes = NodeCache(cache)
    walk = RangeWalk(nodes, len(blocks) + 1, bounds, reverse=reverse)
    found: list[bytes] = []
    while not walk.ended:
        found += [node.key for node in run_walk(walk.page(size), blocks, nodes)]
    return found


@given(
    st.sets(keys, max_size=60),
    keys,
    keys,
    st.booleans(),
    st.sampled_from([1, 2, 7, 100]),
    st.sampled_from([1, 2000, 1 << 20]),
)
def test_every_key_of_a_range_comes_once_and_in_order(
    present: set[bytes], low: bytes, high: bytes, reverse: bool, size: int, cache: int
) -> None:
    blocks = tree(dict.fromkeys(sorted(present, key=hash), b"v"))
    for bounds, inside in (
        (KeyRange(gte=low, lt=high), lambda key: low <= key < high),
        (KeyRange(gt=low, lte=high), lambda key: low < key <= high),
        (KeyRange(), lambda key: True),
    ):
        expected = sorted(filter(inside, present), reverse=reverse)
        found = paged(blocks, bounds, size=size, reverse=reverse, cache=cache)
        assert found == expected


def test_a_page_of_large_values_ends_early() -> None:
    blocks = tree({b"%d" % i: bytes(MAX_PAGE_SIZE // 2) for i in range(6)})
    nodes = NodeCache()
    walk = RangeWalk(nodes, 7, KeyRange())
    assert len(run_walk(walk.page(100), blocks, nodes)) == 2
    assert not walk.ended

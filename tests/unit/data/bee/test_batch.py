"""Writing the tree against a model: a dict, through splits, borrows, merges and flushes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.batch import MAX_KEYS, MIN_KEYS, TreeBatch
from pearbox_edge.data.bee.cursor import KeyRange
from pearbox_edge.data.bee.messages import Level, decode_node, encode_index, encode_node
from pearbox_edge.data.bee.ranges import RangeWalk
from pearbox_edge.data.bee.source import NodeCache
from pearbox_edge.errors import PeerError
from tests.kit.bees import run_walk

small_keys = st.integers(0, 40).map(lambda i: b"%02d" % i)
operations = st.lists(
    st.tuples(st.sampled_from("pppdd|"), small_keys, st.none() | st.binary(max_size=3)),
    max_size=150,
)


class Tree:
    """Blocks in a dict, written by batches."""

    def __init__(self) -> None:
        self.blocks: dict[int, bytes] = {}
        self.nodes = NodeCache()
        self.batch = TreeBatch(self.nodes, 1)

    def put(self, key: bytes, value: bytes | None) -> bool:
        return run_walk(self.batch.put(key, value), self.blocks, self.nodes)

    def delete(self, key: bytes) -> bool:
        return run_walk(self.batch.delete(key), self.blocks, self.nodes)

    def get(self, key: bytes) -> tuple[bytes, bytes | None] | None:
        node = run_walk(self.batch.get(key), self.blocks, self.nodes)
        return None if node is None else (node.key, node.value)

    def flush(self) -> int:
        self.blocks |= enumerate(self.batch.blocks(), self.batch.base)
        self.batch = TreeBatch(self.nodes, len(self.blocks) + 1)
        return len(self.blocks) + 1

    def listing(self, version: int) -> dict[bytes, bytes | None]:
        walk = RangeWalk(self.nodes, version, KeyRange())
        return {n.key: n.value for n in run_walk(walk.page(1000), self.blocks, self.nodes)}

    def check_shape(self, version: int) -> None:
        """Every tree node is as full as the rules say, and all leaves are equally deep."""
        depths = set()
        pending = [(version - 1, 0, 0)] if version > 1 else []
        while pending:
            seq, offset, depth = pending.pop()
            level = decode_node(seq, self.blocks[seq]).level(offset)
            assert len(level.keys) <= MAX_KEYS
            assert depth == 0 or len(level.keys) >= MIN_KEYS
            if not level.children:
                depths.add(depth)
            pairs = zip(level.children[::2], level.children[1::2], strict=True)
            pending += [(seq, offset, depth + 1) for seq, offset in pairs]
        assert len(depths) <= 1


@given(operations)
def test_the_tree_agrees_with_a_dict_at_every_version(
    steps: list[tuple[str, bytes, bytes | None]],
) -> None:
    tree, model = Tree(), dict[bytes, bytes | None]()
    versions: dict[int, dict[bytes, bytes | None]] = {1: {}}
    for what, key, value in steps:
        match what:
            case "p":
                assert tree.put(key, value)
                model[key] = value
            case "d":
                assert tree.delete(key) == (key in model)
                model.pop(key, None)
            case _:
                versions[tree.flush()] = dict(model)
        assert tree.get(key) == ((key, model[key]) if key in model else None)
    versions[tree.flush()] = dict(model)
    for version, entries in versions.items():
        assert tree.listing(version) == dict(sorted(entries.items()))
        tree.check_shape(version)


def test_growing_and_shrinking_keeps_the_shape() -> None:
    tree = Tree()
    keys = [b"%04d" % (i * 7919 % 1000) for i in range(1000)]
    for key in keys:
        tree.put(key, b"")
    for number, key in enumerate(keys):
        assert tree.delete(key)
        if number % 100 == 0:
            tree.check_shape(tree.flush())
    assert tree.listing(tree.flush()) == {}


def test_an_equal_value_writes_nothing_if_so_wanted() -> None:
    nodes = NodeCache()
    batch = TreeBatch(nodes, 1, always_duplicate=False)
    assert run_walk(batch.put(b"a", b"1"), {}, nodes)
    assert not run_walk(batch.put(b"a", b"1"), {}, nodes)
    assert run_walk(batch.put(b"a", b"2"), {}, nodes)
    assert len(batch) == 2


def test_a_declined_write_writes_nothing() -> None:
    nodes = NodeCache()
    batch = TreeBatch(nodes, 1)
    run_walk(batch.put(b"a", b"1", lambda node: False), {}, nodes)
    assert not run_walk(batch.put(b"a", b"2", lambda node: node.value == b"2"), {}, nodes)
    assert not run_walk(batch.delete(b"a", lambda node: False), {}, nodes)
    assert run_walk(batch.delete(b"a", lambda node: node.value == b"1"), {}, nodes)
    assert len(batch) == 2


@pytest.mark.parametrize("delete", [False, True])
def test_writing_into_a_tree_in_circles_is_refused(delete: bool) -> None:
    nodes = NodeCache()
    blocks = {1: encode_node(b"m", b"", encode_index([Level([1], [1, 0, 1, 0])]))}
    batch = TreeBatch(nodes, 2)
    with pytest.raises(PeerError):
        run_walk(batch.delete(b"a") if delete else batch.put(b"a", b""), blocks, nodes)


def test_deleting_beside_a_tree_in_circles_is_refused() -> None:
    nodes = NodeCache()
    blocks = {1: encode_node(b"m", b"", encode_index([Level([1], [1, 0, 1, 0])]))}
    with pytest.raises(PeerError):
        run_walk(TreeBatch(nodes, 2).delete(b"m"), blocks, nodes)

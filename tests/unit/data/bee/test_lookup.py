"""Finding keys in blocks of all kinds, honest or not."""

import pytest

from pearbox_edge.data.bee.lookup import find
from pearbox_edge.data.bee.messages import Level, encode_index, encode_node
from pearbox_edge.data.bee.source import NodeCache
from pearbox_edge.errors import PeerError
from tests.kit.bees import run_walk


def block(key: bytes, *levels: Level) -> bytes:
    return encode_node(key, b"v", encode_index(list(levels)))


def found(blocks: dict[int, bytes], version: int, key: bytes) -> int | None:
    nodes = NodeCache()
    node = run_walk(find(nodes, version, key), blocks, nodes)
    return None if node is None else node.seq


TREE = {
    1: block(b"b", Level([1], [])),
    2: block(b"d", Level([1, 2], [])),
    3: block(b"c", Level([3], [3, 1, 3, 2]), Level([1], []), Level([2], [])),
}


@pytest.mark.parametrize(("key", "seq"), [(b"b", 1), (b"c", 3), (b"d", 2), (b"a", None)])
def test_a_key_is_found_in_leaves_and_inner_nodes(key: bytes, seq: int | None) -> None:
    assert found(TREE, 4, key) == seq


def test_an_older_version_has_the_older_tree() -> None:
    assert found(TREE, 3, b"c") is None
    assert found(TREE, 3, b"d") == 2


@pytest.mark.parametrize("version", [0, 1])
def test_an_empty_bee_has_no_keys(version: int) -> None:
    assert found({}, version, b"a") is None


def test_a_search_that_turns_in_circles_is_refused() -> None:
    blocks = {1: block(b"m", Level([1], [1, 0, 1, 0]))}
    with pytest.raises(PeerError):
        found(blocks, 2, b"a")


def test_an_offset_past_the_tree_nodes_is_refused() -> None:
    blocks = {1: block(b"m", Level([1], [1, 5, 1, 6]))}
    with pytest.raises(PeerError):
        found(blocks, 2, b"a")

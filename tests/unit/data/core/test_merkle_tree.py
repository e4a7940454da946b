"""A tree grows to the right, and bytes are found in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core.merkle_tree import (
    GrowingTree,
    Tree,
    byte_offset,
    leaf,
    parent_of,
    roots_at,
    seek,
)
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError
from tests.kit.cores import grown

BLOCKS = st.lists(st.binary(max_size=5), max_size=24)


def tree_over(blocks: list[bytes]) -> Tree:
    growing = grown(blocks)
    nodes = {node.index: node for node in growing.nodes}
    return Tree(growing.length, 0, tuple(growing.roots), nodes.get)


@given(BLOCKS)
def test_every_block_begins_where_the_ones_before_end(blocks: list[bytes]) -> None:
    tree = tree_over(blocks)
    for index in range(len(blocks) + 1):
        assert byte_offset(tree, index) == sum(map(len, blocks[:index]))
    assert byte_offset(tree, len(blocks) + 1) is None


@given(BLOCKS, st.integers(0, 130), st.integers(0, 3))
def test_seek_finds_the_block_of_a_byte(blocks: list[bytes], byte: int, padding: int) -> None:
    tree = tree_over([bytes(padding) + block for block in blocks])
    found = seek(tree, byte, padding)
    total = sum(map(len, blocks))
    if byte > total:
        assert found is None
        return
    assert found is not None
    block, rest = found.node // 2, found.rest
    assert sum(map(len, blocks[:block])) + rest == byte
    if byte == total and byte:
        assert rest == 0
    elif byte:
        assert rest <= len(blocks[block])


@given(BLOCKS, st.integers(0, 24))
def test_roots_of_an_earlier_length_are_found(blocks: list[bytes], length: int) -> None:
    length = min(length, len(blocks))
    assert roots_at(tree_over(blocks), length) == tuple(grown(blocks[:length]).roots)


def test_roots_that_are_not_held_are_not_made_up() -> None:
    tree = tree_over([b"a"] * 4)
    bare = Tree(tree.length, 0, tree.roots, lambda node: None)
    assert roots_at(bare, 3) is None
    assert byte_offset(bare, 3) is None


def test_seek_stops_at_the_narrowest_node_known() -> None:
    tree = tree_over([b"ab"] * 8)
    known = {node.index: node for node in tree.roots}
    found = seek(Tree(8, 0, tree.roots, known.get), 5)
    assert found == (7, 5)


def test_a_node_that_does_not_start_at_the_end_is_refused() -> None:
    tree = GrowingTree()
    tree.append(TreeNode(1, 2, bytes(32)))
    with pytest.raises(PeerError):
        tree.append(TreeNode(6, 2, bytes(32)))


def test_a_tree_longer_than_any_is_refused() -> None:
    with pytest.raises(PeerError):
        GrowingTree().append(TreeNode((1 << 52) - 1, 0, bytes(32)))


def test_the_order_of_siblings_does_not_matter() -> None:
    left, right = leaf(0, b"left"), leaf(1, b"right")
    assert parent_of(left, right) == parent_of(right, left)
    assert parent_of(left, right).index == 1

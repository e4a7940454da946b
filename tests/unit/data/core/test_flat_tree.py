"""Numbering facts hold for every node, also far beyond 2^32."""

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core import flat_tree
from pearbox_edge.data.core.merkle_tree import GrowingTree
from pearbox_edge.data.storage import TreeNode

NODES = st.integers(0, 1 << 52)
LENGTHS = st.one_of(st.integers(0, 300), st.integers(0, 1 << 50))


@given(NODES)
def test_a_node_is_where_its_depth_and_offset_say(node: int) -> None:
    assert flat_tree.index(flat_tree.depth(node), flat_tree.offset(node)) == node


@given(NODES)
def test_siblings_share_their_parent(node: int) -> None:
    other = flat_tree.sibling(node)
    assert flat_tree.sibling(other) == node
    assert flat_tree.parent(other) == flat_tree.parent(node)
    up = flat_tree.parent(node)
    assert {flat_tree.left_child(up), flat_tree.right_child(up)} == {node, other}


@given(NODES)
def test_a_node_spans_its_leaves(node: int) -> None:
    low, high = flat_tree.left_span(node), flat_tree.right_span(node)
    assert (high - low) // 2 + 1 == flat_tree.count_leaves(node)
    assert flat_tree.contains(node, low)
    assert flat_tree.contains(node, high)
    assert not flat_tree.contains(node, high + 2)


def test_a_leaf_has_no_children() -> None:
    assert flat_tree.left_child(6) == -1
    assert flat_tree.right_child(6) == -1


@given(LENGTHS)
def test_roots_cover_every_block_once(length: int) -> None:
    at = 0
    for root in flat_tree.full_roots(length):
        assert flat_tree.left_span(root) == 2 * at
        at += flat_tree.count_leaves(root)
    assert at == length


@given(LENGTHS, LENGTHS)
def test_growth_leads_from_one_length_to_the_other(one: int, other: int) -> None:
    short, long = sorted((one, other))
    tree = GrowingTree(short, [TreeNode(i, 0, bytes(32)) for i in flat_tree.full_roots(short)])
    for index in flat_tree.growth(short, long):
        tree.append(TreeNode(index, 0, bytes(32)))
    assert tree.length == long
    assert [root.index for root in tree.roots] == flat_tree.full_roots(long)


@given(st.integers(0, 1 << 40), st.integers(0, 20))
def test_a_subtree_root_is_reached_by_climbing(node: int, steps: int) -> None:
    climbed = node
    for _ in range(steps):
        climbed = flat_tree.parent(climbed)
    assert flat_tree.subtree_root(node, steps) == climbed


@given(st.integers(1, 300), st.integers(0, 320))
def test_missing_nodes_lead_to_a_root(length: int, block: int) -> None:
    steps = flat_tree.max_missing_nodes(2 * block, length)
    if block >= length:
        assert steps == 0
    else:
        assert flat_tree.subtree_root(2 * block, steps) in flat_tree.full_roots(length)

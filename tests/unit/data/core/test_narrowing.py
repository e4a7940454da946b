"""Another fork's tree is compared with ours by asking for few of its hashes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core.bitfield import Bitfield
from pearbox_edge.data.core.changeset import Reorg
from pearbox_edge.data.core.flat_tree import right_span, sibling, subtree_root
from pearbox_edge.data.core.merkle_tree import GrowingTree, Tree
from pearbox_edge.data.core.narrowing import Narrowing
from pearbox_edge.data.core.proof import HashPart, HashRequest
from pearbox_edge.data.storage import Head, TreeNode
from pearbox_edge.errors import PeerError
from tests.kit.cores import grown


def tree_of(blocks: list[bytes]) -> tuple[Tree, dict[int, TreeNode], GrowingTree]:
    tree = grown(blocks)
    nodes = {node.index: node for node in tree.nodes}
    return Tree(len(blocks), 0, tuple(tree.roots), nodes.get), nodes, tree


def head_of(tree: GrowingTree) -> Narrowing:
    """What is known of a fork at first: its roots."""
    head = Head(tree.length, tree.byte_length, 1, tree.hash())
    return Narrowing(Reorg(head, tree.roots, list(tree.roots), 0, None), 0)


def path(nodes: dict[int, TreeNode], want: HashRequest) -> HashPart:
    beside = [nodes[sibling(subtree_root(want.index, step))] for step in range(want.nodes)]
    return HashPart(want.index, [nodes[want.index], *beside])


def all_held(length: int) -> Bitfield:
    held = Bitfield()
    held.set_range(0, length)
    return held


def narrowed(ours: list[bytes], theirs: list[bytes]) -> Narrowing:
    tree, _, _ = tree_of(ours)
    _, nodes, other = tree_of(theirs)
    search = head_of(other)
    while (want := search.next(tree, all_held(len(ours)))) is not None:
        search.take(path(nodes, want))
    return search


@given(st.integers(0, 40), st.integers(0, 20), st.integers(0, 20))
def test_the_first_block_that_differs_is_found(same: int, ours: int, theirs: int) -> None:
    before = [b"%d" % i for i in range(same)]
    search = narrowed(before + [b"a"] * ours, before + [b"b"] * theirs)
    assert search.reorg.common == same


def test_a_core_cut_and_grown_again_costs_a_question_a_level_at_most() -> None:
    before = [b"%d" % i for i in range(1000)]
    search = narrowed(before, before[:900] + [b"new"] * 300)
    assert search.reorg.common == 900
    assert search.questions <= 10


def test_a_fork_of_the_same_blocks_costs_none() -> None:
    before = [b"%d" % i for i in range(77)]
    search = narrowed(before, before)
    assert (search.reorg.common, search.questions) == (77, 0)


def test_nothing_is_asked_where_no_block_is_held() -> None:
    tree, _, _ = tree_of([b"%d" % i for i in range(16)])
    search = head_of(grown([b"%d" % i for i in range(12)] + [b"new"] * 4))
    assert search.next(tree, Bitfield()) is None


def test_the_paths_are_kept_beside_what_is_common() -> None:
    before = [b"%d" % i for i in range(16)]
    theirs = before[:13] + [b"new"] * 3
    search = narrowed(before, theirs)
    kept = {node.index: node for node in search.nodes()}
    _, nodes, _ = tree_of(theirs)
    assert all(nodes[index] == node for index, node in kept.items())
    assert all(right_span(index) >= 26 for index in kept)
    assert {15, 23, 27} <= set(kept)


@pytest.mark.parametrize("how", ["short", "order", "hash", "index"])
def test_a_path_that_does_not_lead_there_is_refused(how: str) -> None:
    tree, _, _ = tree_of([b"%d" % i for i in range(16)])
    _, nodes, other = tree_of([b"%d" % i for i in range(12)] + [b"new"] * 4)
    search = head_of(other)
    want = search.next(tree, all_held(16))
    assert want is not None
    index, found = path(nodes, want)
    if how == "short":
        found.pop()
    elif how == "order":
        found[1], found[2] = found[2], found[1]
    elif how == "hash":
        found[1] = found[1]._replace(hash=bytes(32))
    else:
        index += 2
    with pytest.raises(PeerError):
        search.take(HashPart(index, found))


def test_a_path_nobody_asked_for_is_refused() -> None:
    with pytest.raises(PeerError):
        head_of(grown([b"a"])).take(HashPart(0, []))

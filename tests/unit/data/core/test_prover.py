"""Requests are answered with the right nodes, or refused with the right reason."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core import (
    BlockRequest,
    HashRequest,
    ProofRequest,
    RefusalReason,
    SeekRequest,
    UpgradeRequest,
)
from pearbox_edge.data.core.flat_tree import growth, left_span, subtree_root
from pearbox_edge.data.core.merkle_tree import Tree
from pearbox_edge.data.core.prover import RefusedError, block_path, prove
from tests.kit.cores import grown

LENGTH = 19
FULL = grown([bytes(i % 4) for i in range(LENGTH)])
NODES = {node.index: node for node in FULL.nodes}
TREE = Tree(LENGTH, 0, tuple(FULL.roots), NODES.get)
NUMBERS = st.one_of(st.integers(0, 24), st.integers(0, 1 << 53))


@given(st.integers(0, LENGTH), st.integers(0, LENGTH))
def test_an_upgrade_is_the_growth_and_the_rest_on_top(one: int, other: int) -> None:
    start, end = sorted((one, other))
    request = ProofRequest(0, upgrade=UpgradeRequest(start, end - start))
    if start == end:
        with pytest.raises(RefusedError):
            prove(request, TREE, b"s", 0)
        return
    part = prove(request, TREE, b"s", 0).upgrade
    assert part is not None
    assert [node.index for node in part.nodes] == growth(start, end)
    assert [node.index for node in part.additional_nodes] == growth(end, LENGTH)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 3), st.data())
def test_any_request_gets_parts_or_a_refusal(
    index: int, steps: int, byte: int, start: int, length: int, padding: int, data: st.DataObject
) -> None:
    which = data.draw(st.sampled_from(["block", "hash", "none"]))
    request = ProofRequest(
        0,
        BlockRequest(index, steps) if which == "block" else None,
        HashRequest(index, steps) if which == "hash" else None,
        SeekRequest(byte, padding) if data.draw(st.booleans()) else None,
        UpgradeRequest(start, length) if data.draw(st.booleans()) else None,
    )
    with suppress(RefusedError):
        prove(request, TREE, b"s", 0)


@pytest.mark.parametrize("index", range(LENGTH))
def test_a_path_is_refused_where_it_leaves_the_tree(index: int) -> None:
    steps = 0
    while (root := subtree_root(2 * index, steps)) in NODES:
        assert len(block_path(NODES.get, index, steps, LENGTH)) == steps
        steps += 1
    assert root not in NODES
    with pytest.raises(RefusedError) as refused:
        block_path(NODES.get, index, steps, LENGTH)
    assert refused.value.reason is RefusalReason.INVALID_REQUEST


def test_nodes_not_held_are_not_available() -> None:
    with pytest.raises(RefusedError) as refused:
        block_path(lambda node: None, 0, 1, LENGTH)
    assert refused.value.reason is RefusalReason.NOT_AVAILABLE
    bare = Tree(LENGTH, 0, TREE.roots, {node.index: node for node in TREE.roots}.get)
    with pytest.raises(RefusedError) as refused:
        prove(ProofRequest(0, hash=HashRequest(0, 1)), bare, b"s", 0)
    assert refused.value.reason is RefusalReason.NOT_AVAILABLE


def test_an_empty_core_proves_nothing() -> None:
    parts = prove(ProofRequest(0, manifest=True), Tree(0, 0, (), lambda node: None), b"", 0)
    assert (parts.path, parts.upgrade, parts.hash, parts.seek) == (None, None, None, None)


def test_an_upgrade_within_the_prologue_becomes_all_of_it() -> None:
    request = ProofRequest(0, upgrade=UpgradeRequest(3, 2))
    part = prove(request, TREE, b"s", 10).upgrade
    assert part is not None
    assert (part.start, part.length) == (0, 10)
    assert [node.index for node in part.additional_nodes] == growth(10, LENGTH)


@given(st.integers(0, LENGTH - 4), st.integers(0, 2), st.integers(0, 30))
def test_a_seek_beside_a_hash_leads_from_a_sibling_to_the_byte(
    index: int, steps: int, byte: int
) -> None:
    top = subtree_root(2 * index, steps)
    request = ProofRequest(0, hash=HashRequest(2 * index, steps), seek=SeekRequest(byte))
    before = sum(i % 4 for i in range(left_span(top) // 2))
    if not before <= byte < before + max(NODES[top].size, 1):
        with pytest.raises(RefusedError):
            prove(request, TREE, b"s", 0)
        return
    parts = prove(request, TREE, b"s", 0)
    assert parts.hash is not None
    given_nodes = [node.index for node in parts.hash.nodes]
    assert given_nodes[0] == 2 * index
    missing = steps - (len(given_nodes) - 1)
    assert missing == (0 if parts.seek is None else 1)

"""Proofs are believed only as far as a signed tree reaches; nothing false is ever kept."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.data.core import (
    BlockPart,
    BlockRequest,
    HashPart,
    HashRequest,
    Manifest,
    Proof,
    ProofRequest,
    SeekPart,
    SeekRequest,
    UpgradePart,
    UpgradeRequest,
    upgraded_length,
)
from pearbox_edge.data.core.flat_tree import growth
from pearbox_edge.data.core.merkle_tree import Tree
from pearbox_edge.data.core.proof_verifier import (
    MAX_PROOF_NODES,
    Verified,
    common_length,
    conflicts,
    verify_block,
    verify_proof,
)
from pearbox_edge.data.core.prover import RefusedError, prove
from pearbox_edge.data.core.verifier import sign_head
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError
from tests.kit.cores import WRITER, grown

BLOCKS = [bytes([i]) * (i % 5) for i in range(21)]
MANIFEST = Manifest.default(WRITER.public_key)
KEY = MANIFEST.key
FULL = grown(BLOCKS)
NODES = {node.index: node for node in FULL.nodes}
SIGNATURE = sign_head(KEY, MANIFEST, WRITER, FULL.length, 0, FULL.hash())
SERVED = Tree(FULL.length, 0, tuple(FULL.roots), NODES.get)


def tree_at(length: int) -> Tree:
    """What a reader knows that took this length and nothing else."""
    part = grown(BLOCKS[:length])
    held = {root.index: root for root in part.roots}
    return Tree(length, 0, tuple(part.roots), held.get)


def answer(request: ProofRequest) -> Proof:
    parts = prove(request, SERVED, SIGNATURE, 0)
    block = None
    if request.block is not None:
        block = BlockPart(request.block.index, BLOCKS[request.block.index], parts.path or [])
    manifest = MANIFEST if request.manifest else None
    return Proof(0, block, parts.hash, parts.seek, parts.upgrade, manifest)


def steps_missing(tree: Tree, node: int) -> int:
    steps = 0
    while tree.node(node) is None:
        node = (node | (~node & (node + 1))) & ~((~node & (node + 1)) << 1)
        steps += 1
    return steps


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, ProofRequest]:
    """A reader's length and something that it may ask for."""
    length = draw(st.integers(0, len(BLOCKS)))
    tree = tree_at(length)
    upgrade = None
    end = length
    if length < len(BLOCKS) and (length == 0 or draw(st.booleans())):
        end = draw(st.integers(length + 1, len(BLOCKS)))
        upgrade = UpgradeRequest(length, end - length)
    block = node = seek = None
    what = draw(st.sampled_from(["block", "hash", "seek", "nothing"]))
    index = draw(st.integers(0, end - 1))
    steps = steps_missing(tree, 2 * index) if index < length else 0
    if what == "block":
        block = BlockRequest(index, steps)
    elif what == "hash":
        node = HashRequest(2 * index, steps)
    elif what == "seek" and upgrade is not None:
        seek = SeekRequest(draw(st.integers(0, grown(BLOCKS[:end]).byte_length)))
    return length, ProofRequest(0, block, node, seek, upgrade, length == 0)


def accepted(length: int, proof: Proof) -> Verified:
    return verify_proof(proof, tree_at(length), KEY, MANIFEST if length else None)


@given(requests())
def test_what_an_honest_peer_proves_is_accepted(case: tuple[int, ProofRequest]) -> None:
    length, request = case
    try:
        proof = answer(request)
    except RefusedError:
        assert request.seek is not None
        return
    verified = accepted(length, proof)
    assert all(NODES[node.index] == node for node in verified.nodes)
    if request.upgrade is not None:
        assert verified.grown is not None
        assert verified.grown.roots == FULL.roots
        assert verified.signature == SIGNATURE


def node_lists(proof: Proof) -> list[tuple[list[TreeNode], Callable[[list[TreeNode]], Proof]]]:
    """Each list of nodes in a proof, and how to put another in its place."""
    out: list[tuple[list[TreeNode], Callable[[list[TreeNode]], Proof]]] = []
    block, node, seek, upgrade = proof.block, proof.hash, proof.seek, proof.upgrade
    if block is not None:
        out.append((block.nodes, lambda n: replace(proof, block=block._replace(nodes=n))))
    if node is not None:
        out.append((node.nodes, lambda n: replace(proof, hash=node._replace(nodes=n))))
    if seek is not None:
        out.append((seek.nodes, lambda n: replace(proof, seek=seek._replace(nodes=n))))
    if upgrade is not None:
        out.append((upgrade.nodes, lambda n: replace(proof, upgrade=upgrade._replace(nodes=n))))
        out.append(
            (
                upgrade.additional_nodes,
                lambda n: replace(proof, upgrade=upgrade._replace(additional_nodes=n)),
            )
        )
    return [(nodes, put) for nodes, put in out if nodes]


def tampered(proof: Proof, chance: random.Random) -> Proof:
    """The proof with one thing changed."""
    lists = node_lists(proof)
    kind = chance.choice(["value", "node", "drop", "swap", "number", "signature"])
    if kind == "value" and proof.block is not None:
        value = bytes(proof.block.value) + b"!"
        return replace(proof, block=proof.block._replace(value=value))
    if kind == "number" and proof.block is not None:
        index = proof.block.index ^ (1 << chance.randrange(5))
        return replace(proof, block=proof.block._replace(index=index))
    if kind == "signature" and proof.upgrade is not None:
        blob = bytearray(proof.upgrade.signature)
        blob[chance.randrange(len(blob))] ^= 1 << chance.randrange(8)
        return replace(proof, upgrade=proof.upgrade._replace(signature=bytes(blob)))
    if not lists:
        return proof
    nodes, put = chance.choice(lists)
    nodes = list(nodes)
    at = chance.randrange(len(nodes))
    if kind == "drop":
        del nodes[at]
    elif kind == "swap":
        nodes[at], nodes[-1] = nodes[-1], nodes[at]
    else:
        node = nodes[at]
        field = chance.choice(["index", "size", "hash"])
        if field == "index":
            node = node._replace(index=node.index + chance.choice([-2, -1, 1, 2]))
        elif field == "size":
            node = node._replace(size=max(0, node.size + chance.choice([-1, 1])))
        else:
            digest = bytearray(node.hash)
            digest[chance.randrange(32)] ^= 1
            node = node._replace(hash=bytes(digest))
        nodes[at] = node
    return put(nodes)


@settings(max_examples=300)
@given(requests(), st.randoms(use_true_random=False))
def test_a_lie_is_refused_or_without_effect(
    case: tuple[int, ProofRequest], chance: random.Random
) -> None:
    length, request = case
    try:
        proof = answer(request)
    except RefusedError:
        return
    lie = tampered(proof, chance)
    try:
        verified = accepted(length, lie)
    except PeerError:
        return
    assert all(NODES.get(node.index) == node for node in verified.nodes)
    if lie.block is not None:
        assert lie.block.value == BLOCKS[lie.block.index]


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_a_block_climbs_only_until_a_held_node(index: int) -> None:
    path = answer(ProofRequest(0, BlockRequest(index, steps_missing(SERVED, 2 * index))))
    assert path.block is not None
    assert verify_block(NODES.get, index, BLOCKS[index], path.block.nodes) == []
    tree = tree_at(len(BLOCKS))
    steps = steps_missing(tree, 2 * index)
    proof = answer(ProofRequest(0, BlockRequest(index, steps)))
    assert proof.block is not None
    new = verify_block(tree.node, index, BLOCKS[index], proof.block.nodes)
    assert {node.index: node for node in new}.items() <= NODES.items()
    assert len(new) == 2 * steps


def test_a_size_that_was_shifted_between_siblings_is_put_right() -> None:
    # Both children of node 1 with a byte moved from one to the other: hashes cannot tell.
    shifted = {
        1: NODES[1],
        0: NODES[0]._replace(size=1),
        2: NODES[2]._replace(size=0),
    }
    new = verify_block(shifted.get, 1, BLOCKS[1], [])
    assert {node.index: node for node in new} == {0: NODES[0], 2: NODES[2]}


@pytest.mark.parametrize(
    "claim",
    [
        UpgradePart(0, 1 << 40, [], [], b""),
        UpgradePart(0, (1 << 53) - 1, [TreeNode((1 << 41) - 1, 5, bytes(32))], [], b""),
        UpgradePart(0, 0, [], [], b""),
        UpgradePart(0, 1, [TreeNode(0, 1, bytes(32))] * (MAX_PROOF_NODES + 1), [], b""),
        UpgradePart(0, 1, [NODES[0]], [NODES[2]] * (MAX_PROOF_NODES + 1), b""),
        UpgradePart(0, 1, [TreeNode(0, 1 << 52, bytes(32))], [], SIGNATURE),
    ],
)
def test_huge_claims_are_refused_at_once(claim: UpgradePart) -> None:
    with pytest.raises(PeerError):
        accepted(0, Proof(0, upgrade=claim, manifest=MANIFEST))


@pytest.mark.parametrize(
    "part",
    [
        Proof(0, block=BlockPart(1 << 52, b"", [])),
        Proof(0, hash=HashPart(1, [])),
        Proof(0, hash=HashPart(1, [NODES[1]] * (MAX_PROOF_NODES + 2))),
        Proof(0, seek=SeekPart(0, [TreeNode(1, 1, bytes(32))])),
        Proof(1),
    ],
)
def test_parts_that_lead_nowhere_are_refused(part: Proof) -> None:
    with pytest.raises(PeerError):
        accepted(10, part)


def test_a_manifest_of_another_core_is_refused() -> None:
    other = Manifest.create(MANIFEST.signers, user_data=b"x")
    with pytest.raises(PeerError):
        accepted(0, Proof(0, manifest=other))
    assert accepted(0, Proof(0, manifest=MANIFEST)).manifest == MANIFEST


@given(st.integers(0, 20), st.integers(0, 20))
def test_the_length_after_additional_nodes_is_known(one: int, other: int) -> None:
    short, long = sorted((one, other))
    more = [NODES[index] for index in growth(short, long)]
    assert upgraded_length(UpgradePart(0, short, [], more, b"")) == long
    if more:
        with pytest.raises(PeerError):
            upgraded_length(UpgradePart(0, short, [], [*more, NODES[0]], b""))


def test_what_two_forks_share_is_counted_in_whole_roots() -> None:
    other = grown([*BLOCKS[:17], b"else", b"where"])
    assert common_length(SERVED, other.roots) == 16
    assert common_length(SERVED, grown([b"other"]).roots) == 0


def test_trees_that_say_the_same_do_not_conflict() -> None:
    assert not conflicts(SERVED, grown(BLOCKS[:13]))
    assert not conflicts(SERVED, grown([*BLOCKS, b"more"]))
    assert conflicts(SERVED, grown([*BLOCKS[:12], b"else"]))
    assert conflicts(SERVED, grown([b"else", *BLOCKS[1:], b"more"]))


def test_the_size_of_a_node_that_was_not_climbed_to_is_not_believed() -> None:
    # Found by mutation: beside an upgrade, a held root was put "right" to what a peer claimed.
    request = ProofRequest(0, hash=HashRequest(4, 0), upgrade=UpgradeRequest(3, 1))
    proof = answer(request)
    assert proof.hash is not None
    lie = replace(proof, hash=HashPart(4, [NODES[4]._replace(size=9)]))
    with pytest.raises(PeerError):
        accepted(3, lie)

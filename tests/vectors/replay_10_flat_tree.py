"""Replays the numbering, trees and seeks of 10-flat-tree-and-merkle.json."""

from pearbox_edge.crypto import verify
from pearbox_edge.data.core import Manifest, flat_tree
from pearbox_edge.data.core.merkle_tree import GrowingTree, Tree, byte_offset, seek
from pearbox_edge.data.core.verifier import decode_blob, encode_blob, signable, verify_head
from pearbox_edge.ids import CoreKey, PublicKey
from tests.kit.cores import grown, node_of, ruled_blocks
from tests.kit.vectors import Entry, replays


def tree_of(growing: GrowingTree, fork: int = 0) -> Tree:
    nodes = {node.index: node for node in growing.nodes}
    return Tree(growing.length, fork, tuple(growing.roots), nodes.get)


@replays("10-flat-tree-and-merkle", "flat")
def flat(entry: Entry, file: Entry) -> None:
    node = entry["index"]
    assert flat_tree.depth(node) == entry["depth"]
    assert flat_tree.offset(node) == entry["offset"]
    assert flat_tree.index(entry["depth"], entry["offset"]) == node
    assert flat_tree.parent(node) == entry["parent"]
    assert flat_tree.sibling(node) == entry["sibling"]
    assert flat_tree.left_child(node) == entry["leftChild"]
    assert flat_tree.right_child(node) == entry["rightChild"]
    assert flat_tree.left_span(node) == entry["leftSpan"]
    assert flat_tree.right_span(node) == entry["rightSpan"]
    assert flat_tree.count_leaves(node) == entry["countLeaves"]


@replays("10-flat-tree-and-merkle", "fullRoots")
def full_roots(entry: Entry, file: Entry) -> None:
    assert flat_tree.full_roots(entry["length"]) == entry["roots"]


def check_tree(entry: Entry, blocks: list[bytes]) -> None:
    tree = grown(blocks)
    assert tree.length == entry["length"]
    assert tree.byte_length == entry["byteLength"]
    assert tree.roots == [node_of(root) for root in entry["roots"]]
    assert tree.hash().hex() == entry["treeHash"]
    if "allNodes" in entry:
        by_index = sorted(tree.nodes)
        assert by_index == sorted(node_of(node) for node in entry["allNodes"])
    key = CoreKey(bytes.fromhex(entry["key"]))
    signer = PublicKey(bytes.fromhex(entry["publicKey"]))
    message = signable(key, tree.hash(), tree.length, entry["fork"])
    assert message.hex() == entry["signable"]
    if entry["signature"] is None:
        return
    blob = bytes.fromhex(entry["signature"])
    decoded = decode_blob(blob)
    assert encode_blob(decoded) == blob
    assert verify(message, decoded.proofs[0].signature, signer)
    manifest = Manifest.default(signer)
    assert manifest.key == key
    assert verify_head(key, manifest, tree.length, entry["fork"], tree.roots, blob)
    assert not verify_head(key, manifest, tree.length, entry["fork"] + 1, tree.roots, blob)


@replays("10-flat-tree-and-merkle", "tree")
def tree(entry: Entry, file: Entry) -> None:
    blocks = entry["blocks"]
    if isinstance(blocks, list):
        check_tree(entry, [bytes.fromhex(block) for block in blocks])
    else:
        check_tree(entry, ruled_blocks(blocks["rule"], blocks["count"]))


def forked_blocks(entry: Entry) -> list[bytes]:
    base = entry["base"]
    appended = [bytes.fromhex(block) for block in entry["appended"]]
    return ruled_blocks(base["rule"], base["count"]) + appended


@replays("10-flat-tree-and-merkle", "treeAfterFork")
def tree_after_fork(entry: Entry, file: Entry) -> None:
    check_tree(entry, forked_blocks(entry))


@replays("10-flat-tree-and-merkle", "seek")
def seeks(entry: Entry, file: Entry) -> None:
    tree = tree_of(grown(forked_blocks(entry)))
    found = seek(tree, entry["bytes"])
    assert found is not None
    assert found.node % 2 == 0
    block, rest = entry["result"]
    assert (found.node // 2, found.rest) == (block, rest)
    start = byte_offset(tree, block)
    assert start is not None
    assert start + rest == entry["bytes"]

"""Checking what a peer sent against the tree that is held, without changing anything (sheet 12).

Everything is refused with PeerError. Code INVALID_OPERATION is for what does not fit here, which an
honest peer may send when the head moved on meanwhile; INVALID_CHECKSUM, INVALID_SIGNATURE and
INVALID_PROOF are lies. Nodes come back only when all of a proof holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pearbox_edge.crypto import leaf_hash, parent_hash
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey, PublicKey
from pearbox_edge.wire import Buffer

from .flat_tree import MAX_LENGTH, left_span, parent, right_span, sibling
from .manifest import Manifest
from .merkle_tree import MAX_BYTE_LENGTH, GrowingTree, NodeSource, Tree, leaf, parent_of
from .proof import Proof, UpgradePart
from .verifier import verify_head

MAX_PROOF_NODES = 128
"""TUNING: nodes in one part of a proof; no path or growth of a real tree needs more."""


@dataclass(slots=True)
class Verified:
    """What a good proof brings.

    `nodes`: every node seen or made. `grown`: the new tree if the head moved, with its `signature`.
    `manifest`: the core's manifest if it was not known before. `mended`: held nodes put right.
    """

    nodes: list[TreeNode] = field(default_factory=list)
    mended: list[TreeNode] = field(default_factory=list)
    grown: GrowingTree | None = None
    signature: bytes = b""
    manifest: Manifest | None = None


class _Queue:
    """The nodes of one part in order, and one more that may be wanted at any time."""

    def __init__(self, nodes: Sequence[TreeNode], extra: TreeNode | None) -> None:
        if len(nodes) > MAX_PROOF_NODES:
            raise bad_proof(f"{len(nodes)} nodes in one part")
        self._nodes = nodes
        self._at = 0
        self.extra = extra

    def __bool__(self) -> bool:
        return self.extra is not None or self._at < len(self._nodes)

    def take(self, index: int) -> TreeNode:
        """The node with this number, which must be the next (or the extra one)."""
        if self.extra is not None and self.extra.index == index:
            node, self.extra = self.extra, None
            return node
        if self._at == len(self._nodes):
            raise misfit(f"node {index} is missing")
        node = self._nodes[self._at]
        self._at += 1
        if node.index != index:
            raise misfit(f"node {node.index} where {index} is wanted")
        return node


def bad_proof(what: str) -> PeerError:
    """The refusal of a proof that is wrong."""
    return PeerError(f"a proof does not hold: {what}", code="INVALID_PROOF")


def bad_hash(what: str) -> PeerError:
    """The refusal of a proof with a hash that is not the one held."""
    return PeerError(f"a proof does not hold: {what}", code="INVALID_CHECKSUM")


def misfit(what: str) -> PeerError:
    """The refusal of a proof that does not fit here, perhaps only because the head moved on."""
    return PeerError(f"a proof does not fit: {what}", code="INVALID_OPERATION")


def verify_block(
    node_source: NodeSource, index: int, block: Buffer, siblings: Sequence[TreeNode]
) -> list[TreeNode]:
    """Climb from a block until a held node vouches for it; the nodes to store.

    Stops at the first held node, which is trusted as much as any above it.
    """
    if len(siblings) > MAX_PROOF_NODES:
        raise bad_proof(f"{len(siblings)} nodes in one part")
    at = 2 * index
    size = len(block)
    digest = leaf_hash(block)
    new: list[TreeNode] = []
    step = 0
    while True:
        known = node_source(at)
        if known is not None:
            if known.hash != digest:
                raise bad_hash(f"node {at} has another hash")
            if known.size != size:
                new += _mended(node_source, TreeNode(at, size, digest))
            return new
        if step == len(siblings):
            raise misfit("it does not reach a node that is held")
        other = siblings[step]
        step += 1
        reach = ~at & (at + 1)
        if other.index != at ^ (reach << 1):
            raise misfit(f"node {other.index} is not the sibling of {at}")
        new.append(TreeNode(at, size, digest))
        if node_source(other.index) is None:
            new.append(other)
        size += other.size
        if other.index > at:
            digest = parent_hash(size, digest, other.hash)
            at += reach
        else:
            digest = parent_hash(size, other.hash, digest)
            at -= reach


def _mended(node_source: NodeSource, node: TreeNode) -> list[TreeNode]:
    """A held node whose size was a lie, and its sibling, put right.

    The size of the node that a hash or seek part begins with is proved only together with its
    sibling's, so a peer can shift bytes between the two. The node given was climbed to: its hash
    vouches for its size, as the parent's does for the sum.
    """
    up, other = node_source(parent(node.index)), node_source(sibling(node.index))
    if up is None or other is None or up.size < node.size:
        return [node]
    return [node, other._replace(size=up.size - node.size)]


def verify_proof(proof: Proof, tree: Tree, key: CoreKey, manifest: Manifest | None) -> Verified:
    """Check all parts of a proof against `tree`; PeerError unless all of it holds."""
    if proof.fork != tree.fork:
        raise misfit(f"fork {proof.fork}, not {tree.fork}")
    out = Verified()
    top = _climb(proof, out.nodes)
    known = _learn_manifest(proof, key, manifest, out)
    if proof.upgrade is not None:
        top = _upgrade(proof, proof.upgrade, top, tree, key, known, out)
    if top is not None:
        held = tree.node(top.index)
        if held is None:
            raise misfit(f"node {top.index} is not held")
        if held.hash != top.hash:
            raise bad_hash(f"node {top.index} has another hash")
        if held.size != top.size:
            if not _is_climbed_to(proof, top):
                raise bad_proof(f"node {top.index} has another size")
            out.mended = _mended(tree.node, top)
    return out


def _is_climbed_to(proof: Proof, top: TreeNode) -> bool:
    """Whether a top was computed, so that its hash vouches for its size."""
    if proof.block is not None:
        return True
    if proof.hash is not None:
        return top.index != proof.hash.index
    return proof.seek is not None and top.index != proof.seek.nodes[0].index


def _learn_manifest(
    proof: Proof, key: CoreKey, manifest: Manifest | None, out: Verified
) -> Manifest | None:
    if manifest is not None:
        return manifest
    if proof.manifest is not None:
        if proof.manifest.key != key:
            raise PeerError("a manifest of another core", code="INVALID_PROOF")
        out.manifest = proof.manifest
    return proof.manifest


def _climb(proof: Proof, seen: list[TreeNode]) -> TreeNode | None:
    """The top of the path that block, hash and seek parts make; every node on it is noted."""
    seek_top = None
    if proof.seek is not None and proof.seek.nodes:
        first = proof.seek.nodes[0]
        seen.append(first)
        seek_top = _climb_from(first, _Queue(proof.seek.nodes[1:], None), seen)
    if proof.block is not None:
        block = proof.block
        if not 0 <= block.index < MAX_LENGTH:
            raise bad_proof(f"block {block.index}")
        start = leaf(block.index, block.value)
        queue = _Queue(block.nodes, seek_top)
    elif proof.hash is not None:
        queue = _Queue(proof.hash.nodes, seek_top)
        start = queue.take(proof.hash.index)
    else:
        return seek_top
    seen.append(start)
    return _climb_from(start, queue, seen)


def _climb_from(node: TreeNode, queue: _Queue, seen: list[TreeNode]) -> TreeNode:
    while queue:
        other = queue.take(sibling(node.index))
        node = parent_of(node, other)
        seen.append(other)
        seen.append(node)
    return node


def _upgrade(
    proof: Proof,
    upgrade: UpgradePart,
    top: TreeNode | None,
    tree: Tree,
    key: CoreKey,
    manifest: Manifest | None,
    out: Verified,
) -> TreeNode | None:
    """Grow the tree as the part says and check the new head; the path's top if it was not used."""
    to_length = upgrade.start + upgrade.length
    if upgrade.start < 0 or not tree.length < to_length <= MAX_LENGTH:
        raise misfit(f"an upgrade from {tree.length} to {to_length} blocks")
    prologue = manifest.prologue if manifest is not None else None
    if prologue is not None and to_length < prologue.length:
        raise bad_proof("an upgrade that ends inside the prologue")
    if len(upgrade.additional_nodes) > MAX_PROOF_NODES:
        raise bad_proof(f"{len(upgrade.additional_nodes)} additional nodes")
    queue = _Queue(upgrade.nodes, top)
    grown = GrowingTree(tree.length, tree.roots)
    while grown.length < to_length:
        grown.append(queue.take(_next_node(grown.length, to_length)))
    ends = prologue is not None and grown.length == prologue.length
    if prologue is not None and ends and grown.hash() != prologue.tree_hash:
        raise bad_proof("another prologue")
    for node in upgrade.additional_nodes:
        grown.append(node)
    if grown.byte_length > MAX_BYTE_LENGTH:
        raise bad_proof(f"a core of {grown.byte_length} bytes")
    signers = manifest or Manifest.default(PublicKey(key))
    if not verify_head(key, signers, grown.length, proof.fork, grown.roots, upgrade.signature):
        raise PeerError("a head is not signed as the manifest demands", code="INVALID_SIGNATURE")
    if manifest is None:
        out.manifest = signers
    out.nodes += grown.nodes
    out.grown = grown
    out.signature = bytes(upgrade.signature)
    return queue.extra


def _next_node(length: int, to_length: int) -> int:
    """The largest node that starts at block `length` and ends before block `to_length`."""
    room = to_length - length
    level = room.bit_length() - 1
    if length:
        level = min(level, (length & -length).bit_length() - 1)
    return 2 * length + (1 << level) - 1


def upgraded_length(upgrade: UpgradePart) -> int:
    """Length of the tree after an upgrade with additional nodes; PeerError if they do not fit."""
    length = upgrade.start + upgrade.length
    for node in upgrade.additional_nodes:
        if left_span(node.index) != 2 * length:
            raise bad_proof(f"additional node {node.index}")
        length = right_span(node.index) // 2 + 1
    return length


def common_length(tree: Tree, roots: Sequence[TreeNode]) -> int:
    """How many blocks two trees surely share: up to the first root of the other not held alike."""
    length = 0
    for root in roots:
        if right_span(root.index) >= 2 * tree.length:
            break
        held = tree.node(root.index)
        if held is None or held.hash != root.hash:
            break
        length = right_span(root.index) // 2 + 1
    return length


def conflicts(tree: Tree, grown: GrowingTree) -> bool:
    """Whether a signed tree of the same fork says something else than the one held.

    The shorter one's roots are compared with the nodes of the longer; only held nodes can tell.
    """
    if grown.length > tree.length:
        other = {node.index: node for node in (*grown.nodes, *grown.roots)}
        pairs = [(root, other.get(root.index)) for root in tree.roots]
    else:
        pairs = [(root, tree.node(root.index)) for root in grown.roots]
    return any(two is not None and one.hash != two.hash for one, two in pairs)

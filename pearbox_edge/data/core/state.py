"""The state of one core in memory, and every step on it that needs no waiting.

    request --answer--> Answer | RefusedError          proof --accept--> Accepted | PeerError

A step may raise ColdPagesError: load those pages, then do the same again; nothing was changed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pearbox_edge.data.storage import ByteRange, Head, StoredCore, TreeNode
from pearbox_edge.errors import PeerError, StorageError
from pearbox_edge.ids import CoreKey
from pearbox_edge.logs import short
from pearbox_edge.wire import Buffer

from .bitfield import Bitfield
from .changeset import Reorg, head_of
from .flat_tree import parent
from .hooks import Accepted, RefusalReason
from .manifest import Manifest
from .merkle_tree import GrowingTree, Tree, byte_offset, leaf
from .node_cache import NodeCache
from .proof import BlockPart, Proof, ProofRequest
from .proof_verifier import (
    bad_proof,
    common_length,
    conflicts,
    misfit,
    verify_block,
    verify_proof,
)
from .prover import Parts, RefusedError, block_path, prove
from .staging import Staging

_KNOWN_PLACES = 4096
"""TUNING: byte offsets remembered, so that neighbours cost no climb; then all are dropped."""


class Answer(NamedTuple):
    """A proof laid out. The block's bytes are `block` if at hand, else at `place` in storage."""

    fork: int
    parts: Parts
    block: Buffer | None
    place: ByteRange | None


class CoreState:
    """Head, tree, bits and staged data of one core."""

    def __init__(
        self,
        stored: StoredCore,
        manifest: Manifest | None,
        roots: tuple[TreeNode, ...],
        bitfield: Bitfield,
    ) -> None:
        self.core_id = stored.core_id
        self.key = stored.key
        self.manifest = manifest
        self.head = stored.head
        self.bitfield = bitfield
        self.cache = NodeCache(stored.head.length)
        self.tree = Tree(stored.head.length, stored.head.fork, roots, self.cache.get)
        self.staging = Staging(stored.core_id)
        self.shrinks = 0
        self._places: dict[int, int] = {}

    @property
    def is_compat(self) -> bool:
        """Whether the core's key is the signer's own."""
        return self.manifest is not None and self.manifest.is_compat(self.key)

    # Where things are

    def place(self, index: int) -> int | None:
        """Stored bytes before block `index`; None if the way there is not held."""
        known = self._places.get(index)
        if known is None:
            known = byte_offset(self.tree, index)
            if known is not None:
                self._remember(index, known)
        return known

    def _remember(self, index: int, place: int) -> None:
        if len(self._places) >= _KNOWN_PLACES:
            self._places.clear()
        self._places[index] = place

    def span(self, start: int, end: int) -> ByteRange:
        """Where the blocks from `start` up to `end` lie; StorageError unless both ends are held."""
        first, last = self.place(start), self.place(end - 1)
        node = self.cache.get(2 * (end - 1))
        if first is None or last is None or node is None:
            raise StorageError(
                f"core {short(self.key)}: tree nodes of held blocks {start} to {end - 1} are gone: "
                "run `pearbox-edge drive verify --repair` on it",
                code="STORAGE_DAMAGED",
            )
        self._remember(end, last + node.size)
        return ByteRange(first, last + node.size - first)

    def locate(self, index: int) -> Buffer | ByteRange | None:
        """A held block: its bytes if staged, else where they lie; None if it is not held."""
        staged = self.staging.get(index)
        if staged is not None:
            return staged
        if not self.bitfield.has(index):
            return None
        return self.span(index, index + 1)

    def missing_nodes(self, node: int) -> int:
        """Steps up from a tree node until one that is stored; 0 past the end."""
        head = 2 * self.head.length
        if node >= head:
            return 0
        steps = 0
        get = self.cache.get
        while get(node) is None:
            node = parent(node)
            steps += 1
            if node >= 2 * head:
                raise head_lost(self.key, "a root of its tree is gone")
        return steps

    # Answering

    def answer(self, request: ProofRequest) -> Answer:
        """Lay out what a request asks for; RefusedError if it cannot be proved."""
        head = self.head
        if request.fork != head.fork:
            raise RefusedError(RefusalReason.NOT_AVAILABLE)
        block = request.block
        found: Buffer | ByteRange | None = None
        if block is not None:
            found = self.locate(block.index) if 0 <= block.index < head.length else None
            if found is None:
                raise RefusedError(RefusalReason.NOT_AVAILABLE)
        if block is not None and not (request.upgrade or request.seek or request.hash):
            path = block_path(self.cache.get, block.index, block.nodes, head.length)
            parts = Parts(path=path)
        else:
            prologue = self.manifest.prologue if self.manifest is not None else None
            parts = prove(
                request, self.tree, head.signature, prologue.length if prologue is not None else 0
            )
        if isinstance(found, ByteRange):
            return Answer(head.fork, parts, None, found)
        return Answer(head.fork, parts, found, None)

    # Accepting

    def accept(self, proof: Proof) -> Accepted:
        """Verify a proof of this fork and stage what it brings; PeerError if any of it is bad."""
        block = proof.block
        simple = (
            block is not None
            and proof.upgrade is None
            and proof.seek is None
            and proof.manifest is None
            and proof.hash is None
        )
        if block is not None and simple:
            return self._accept_block(proof.fork, block)
        verified = verify_proof(proof, self.tree, self.key, self.manifest)
        grown = verified.grown
        get = self.cache.get
        new = {node.index: node for node in verified.nodes if get(node.index) is None}
        new.update((node.index, node) for node in verified.mended)
        place = None
        if block is not None and not self.bitfield.has(block.index):
            place = self._place_after(block.index, new, grown)
        # From here on nothing fails, so that all of it counts or none.
        if verified.manifest is not None:
            self.manifest = verified.manifest
            self.staging.set_manifest(verified.manifest.encode())
        if grown is not None:
            head = head_of(grown, proof.fork, verified.signature)
            self.set_head(head, grown.roots)
            self.staging.set_head(head)
        self._stage_nodes(list(new.values()))
        if block is not None and place is not None:
            self._stage_block(block, place)
        return Accepted(
            None if block is None else block.index,
            upgraded=grown is not None,
            duplicate=block is not None and place is None,
        )

    def _accept_block(self, fork: int, block: BlockPart) -> Accepted:
        index = block.index
        if fork != self.head.fork:
            raise misfit(f"fork {fork}, not {self.head.fork}")
        if not 0 <= index < self.head.length:
            raise misfit(f"block {index} of {self.head.length}")
        new = verify_block(self.cache.get, index, block.value, block.nodes)
        if self.bitfield.has(index):
            return Accepted(index, duplicate=True)
        place = self._places.get(index)
        if place is None:
            place = self._place_after(index, {node.index: node for node in new}, None)
        if new:
            self._stage_nodes(new)
        self._stage_block(block, place)
        return Accepted(index)

    def _place_after(self, index: int, new: dict[int, TreeNode], grown: GrowingTree | None) -> int:
        """Stored bytes before a block once `new` nodes (and the grown tree) stand."""
        get = self.cache.get

        def source(node: int) -> TreeNode | None:
            return new.get(node) or get(node)

        tree = self.tree
        roots = tree.roots if grown is None else tuple(grown.roots)
        length = tree.length if grown is None else grown.length
        place = byte_offset(Tree(length, tree.fork, roots, source), index)
        if place is None:
            raise bad_proof(f"the place of block {index} is not known")
        return place

    def _stage_block(self, block: BlockPart, place: int) -> None:
        index = block.index
        self._remember(index + 1, place + len(block.value))
        self.staging.add_block(index, place, block.value)
        self.bitfield.set(index)

    def _stage_nodes(self, new: list[TreeNode]) -> None:
        self.cache.add(new)
        self.staging.add_nodes(new)

    def set_head(self, head: Head, roots: Sequence[TreeNode]) -> None:
        """A newer head stands."""
        self.head = head
        self.cache.tree_length = head.length
        self.tree = Tree(head.length, head.fork, tuple(roots), self.cache.get)

    # Writing

    def grow(self, blocks: Sequence[Buffer], leaves: Sequence[TreeNode] | None) -> GrowingTree:
        """The tree with blocks appended; `leaves` are theirs, under any number, if made before."""
        grown = GrowingTree(self.head.length, self.tree.roots)
        for node in leaves if leaves is not None else [leaf(0, block) for block in blocks]:
            grown.append(node._replace(index=2 * grown.length))
        return grown

    def commit_append(self, head: Head, grown: GrowingTree) -> None:
        """The appended blocks are durable: they count from now on."""
        before = self.head.length
        self.set_head(head, grown.roots)
        self.cache.add(grown.nodes)
        self.cache.settle(grown.nodes)
        self.bitfield.set_range(before, head.length)
        self.bitfield.take_changed()

    def cut(self, length: int, head: Head, roots: Sequence[TreeNode]) -> None:
        """All past `length` is gone (durably); `head` stands from now on."""
        self.shrinks += 1
        self.bitfield.truncate(length)
        self.bitfield.take_changed()
        self._places.clear()
        self.cache.reset(head.length)
        self.set_head(head, roots)

    def relearn(self, nodes: Sequence[TreeNode]) -> None:
        """Nodes at rest were mended or dropped (durably): forget what was read of them."""
        self.shrinks += 1
        self._places.clear()
        self.cache.reset(self.head.length)
        mended = {node.index: node for node in nodes}
        roots = [mended.get(root.index, root) for root in self.tree.roots]
        self.set_head(self.head, roots)

    # Another fork

    def examine_reorg(self, proof: Proof) -> Reorg:
        """Verify a head of a higher fork as a whole; PeerError if it does not hold."""
        if proof.fork <= self.head.fork or proof.upgrade is None or proof.upgrade.start != 0:
            raise bad_proof(f"fork {proof.fork}, not {self.head.fork}")
        empty = Tree(0, proof.fork, (), _nothing)
        verified = verify_proof(proof, empty, self.key, self.manifest)
        if verified.grown is None:
            raise bad_proof("no head")
        roots = verified.grown.roots
        return Reorg(
            head_of(verified.grown, proof.fork, verified.signature),
            roots,
            verified.nodes,
            common_length(self.tree, roots),
            verified.manifest,
        )

    def contradicts(self, proof: Proof) -> bool:
        """Whether a proof shows a signed head of this fork that says something else than ours."""
        if proof.fork != self.head.fork or proof.upgrade is None or proof.upgrade.start != 0:
            return False
        empty = Tree(0, proof.fork, (), _nothing)
        grown = verify_proof(proof, empty, self.key, self.manifest).grown
        return grown is not None and conflicts(self.tree, grown)

    def commit_reorg(self, reorg: Reorg) -> None:
        """The other fork's head is durable: it stands from now on."""
        if reorg.manifest is not None:
            self.manifest = reorg.manifest
        self.cut(reorg.common, reorg.head, reorg.roots)

    def take_block(self, block: BlockPart) -> None:
        """Stage a block that a reorg proof carried and verified; its place must be known."""
        place = self.place(block.index)
        if place is not None and not self.bitfield.has(block.index):
            self._stage_block(block, place)


def _nothing(node: int) -> None:
    return None


def head_lost(key: CoreKey, what: str) -> StorageError:
    """What cannot be opened any more, and the way out."""
    return StorageError(
        f"core {short(key)} cannot be used, {what}: run `pearbox-edge drive rebuild`, which saves "
        "what is left of it; the rest is fetched again",
        code="STORAGE_DAMAGED",
    )


def load_manifest(stored: StoredCore) -> Manifest | None:
    """The manifest of a stored core; StorageError if it is damaged."""
    if stored.manifest is None:
        return None
    try:
        return Manifest.decode(stored.manifest)
    except PeerError as error:
        raise head_lost(stored.key, "its manifest is damaged") from error

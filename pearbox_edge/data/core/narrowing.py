"""How far another fork's tree is the same as ours, found out by asking for few of its hashes.

    head verified --a root differs--> path asked --equal left, other right--> ... --> one block

Every answer is one path down the tree, so a few questions do, and never more than it has levels.
"""

from pearbox_edge.data.storage import TreeNode

from .bitfield import Bitfield
from .changeset import Reorg
from .flat_tree import depth, left_child, left_span, right_child, right_span, sibling
from .merkle_tree import Tree, parent_of
from .proof import HashPart, HashRequest
from .proof_verifier import bad_hash, bad_proof

MAX_QUESTIONS = 64
"""TUNING: no tree is deeper than 52; each good answer goes down a level at least."""


class Narrowing:
    """A verified head of a higher fork, and what is known of its tree.

    `fork`: the fork of ours that it is compared with. `reorg.common` grows as answers come.
    A step may raise ColdPagesError; nothing was changed then.
    """

    def __init__(self, reorg: Reorg, fork: int) -> None:
        self.reorg = reorg
        self.fork = fork
        self.questions = 0
        self._known = {node.index: node for node in (*reorg.nodes, *reorg.roots)}
        self._gap: TreeNode | None = None

    def next(self, tree: Tree, held: Bitfield) -> HashRequest | None:
        """What to ask for next; None once it is known what is common, or it would save no block."""
        common, gap = self._compare(tree)
        self.reorg = self.reorg._replace(common=max(common, self.reorg.common))
        self._gap = None
        if gap is None or self.questions >= MAX_QUESTIONS:
            return None
        start, end = left_span(gap.index) // 2, min(right_span(gap.index) // 2 + 1, tree.length)
        if held.first_set(start, end) >= end:
            return None
        self._gap = gap
        self.questions += 1
        # The last block that both may have: down to it all of a core only cut off is alike.
        return HashRequest(2 * (end - 1), depth(gap.index))

    def take(self, part: HashPart) -> None:
        """A path that was asked for; PeerError if it does not lead to the node it was asked for."""
        gap = self._gap
        if gap is None or len(part.nodes) != depth(gap.index) + 1:
            raise bad_proof("another path than was asked for")
        at = part.nodes[0]
        if at.index != part.index or not left_span(gap.index) <= at.index <= right_span(gap.index):
            raise bad_proof(f"node {at.index} is not below {gap.index}")
        path = [at]
        for other in part.nodes[1:]:
            if other.index != sibling(at.index):
                raise bad_proof(f"node {other.index} is not the sibling of {at.index}")
            at = parent_of(at, other)
            path += (other, at)
        if (at.hash, at.size) != (gap.hash, gap.size):
            raise bad_hash(f"node {at.index} has another hash")
        self._known.update((node.index, node) for node in path)

    def nodes(self) -> list[TreeNode]:
        """The nodes to store: those of the new head, and of the paths beside what is common."""
        common = 2 * self.reorg.common
        new = {n.index: n for n in self._known.values() if right_span(n.index) >= common}
        new.update((node.index, node) for node in self.reorg.nodes)
        return list(new.values())

    def _compare(self, tree: Tree) -> tuple[int, TreeNode | None]:
        """Blocks that are surely common, and the node below which to look further, if any."""
        end = 2 * tree.length
        for root in self.reorg.roots:
            at = root
            while not self._is_held_alike(at, tree):
                if left_span(at.index) >= end or not at.index & 1:
                    return left_span(at.index) // 2, None
                left = self._known.get(left_child(at.index))
                right = self._known.get(right_child(at.index))
                if left is None or right is None:
                    return left_span(at.index) // 2, at
                at = right if self._is_held_alike(left, tree) else left
        return self.reorg.head.length, None

    def _is_held_alike(self, node: TreeNode, tree: Tree) -> bool:
        if right_span(node.index) >= 2 * tree.length:
            return False
        held = tree.node(node.index)
        return held is not None and held.hash == node.hash

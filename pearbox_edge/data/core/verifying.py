"""Checking a core at rest: head against signature, nodes against nodes, blocks against leaves.

    signed head -> roots -> parents -> leaves -> bytes on disk <- bits

It streams: a few thousand nodes or some MiB of blocks at a time, hashed off the loop. A suspicion
is looked at once more while nothing else changes the core, so changes under way raise no alarm.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from pearbox_edge.crypto import leaf_hash
from pearbox_edge.data.storage import Head, Storage, StoredCore, TreeNode
from pearbox_edge.errors import PeerError, StorageError
from pearbox_edge.ids import PublicKey

from .bitfield import Bitfield
from .changeset import Mend, mended
from .findings import Finding, FindingKind
from .flat_tree import (
    depth,
    full_roots,
    left_child,
    left_span,
    parent,
    right_child,
    right_span,
    sibling,
)
from .manifest import Manifest
from .merkle_tree import Tree, byte_offset, hash_of, parent_of
from .node_scan import NodeScan, fits
from .verifier import verify_head

T = TypeVar("T")

_NODES = 4096  # TUNING: tree nodes read at a time, some 0.5 MiB
_BLOCKS = 1024  # TUNING: blocks looked at together at most
_BYTES = 4 << 20  # TUNING: bytes read at a time, unless one block is larger
_SUSPECTS = 4096  # TUNING: families examined in one go; the rest is found by the next check
_LARGEST = 1 << 24  # TUNING: a block larger than any message can carry is a damaged size


class Offload(Protocol):
    """Runs a call in another thread."""

    async def __call__(self, call: Callable[[], T], /) -> T:
        """What the call returns."""
        ...


class Access(NamedTuple):
    """How a check gets at a core that may be in use.

    `exclusive`: nothing changes inside, and all is durable. `bitfield`: what is held.
    `mend`: carries a repair out and says whether it could; called inside `exclusive`; None only
    reports.
    """

    exclusive: Callable[[], AbstractAsyncContextManager[None]]
    bitfield: Callable[[], Bitfield]
    mend: Callable[[Mend], Awaitable[bool]] | None


class CoreCheck:
    """One walk over one core."""

    def __init__(
        self, storage: Storage, stored: StoredCore, access: Access, offload: Offload
    ) -> None:
        self._storage = storage
        self._core_id = stored.core_id
        self._key = stored.key
        self._discovery_key = stored.discovery_key
        self._access = access
        self._offload = offload
        self.checked_bytes = 0
        """Block bytes that were found sound so far."""

    async def run(self) -> AsyncIterator[Finding]:
        """Everything that is wrong, from the head down to the bytes."""
        async with self._access.exclusive():
            head = (await self._stored()).head
            finding = await self._check_head()
        if finding is not None:
            yield finding
            if not finding.mended:
                return
        async for finding in self._check_nodes(head.length):
            yield finding
        async for finding in self._check_blocks():
            yield finding

    async def _stored(self) -> StoredCore:
        stored = await self._storage.open_core(self._discovery_key)
        if stored is None:
            raise StorageError("a core was deleted while it was checked")
        return stored

    async def _mend(self, mend: Mend) -> bool:
        """Whether there is a repair, and it was carried out."""
        return self._access.mend is not None and await self._access.mend(mend)

    async def _nodes(self, indices: Sequence[int]) -> dict[int, TreeNode]:
        return await self._storage.nodes(self._core_id, indices)

    # --- the head ---

    async def _check_head(self) -> Finding | None:
        stored = await self._stored()
        head = stored.head
        if head.length == 0:
            return None
        problem, manifest = self._check_manifest(stored)
        if manifest is not None:
            wanted = full_roots(head.length)
            roots = await self._nodes(wanted)
            if self._is_signed(manifest, head, [roots[i] for i in wanted if i in roots]):
                return None
            # A root may be what is damaged; its children say what it was.
            new = [n for n in [await self._remade(i, roots.get(i)) for i in wanted] if n]
            if self._is_signed(manifest, head, new):
                changed = [node for node in new if roots.get(node.index) != node]
                done = await self._mend(Mend(nodes=changed))
                return Finding(
                    self._key,
                    FindingKind.NODE,
                    0,
                    head.length,
                    "a root of the tree is damaged",
                    repaired=done,
                    mended=done,
                )
            problem = (
                "a root of the tree is gone"
                if len(roots) < len(wanted)
                else "the head is not what was signed"
            )
        done = await self._mend(Mend(reset=True))
        return Finding(self._key, FindingKind.HEAD, 0, head.length, problem, repaired=done)

    def _check_manifest(self, stored: StoredCore) -> tuple[str, Manifest | None]:
        if stored.manifest is None:
            return "", Manifest.default(PublicKey(bytes(stored.key)))
        try:
            manifest = Manifest.decode(stored.manifest)
        except PeerError:
            return "the manifest cannot be read", None
        if not manifest.fits(stored.key):
            return "the manifest belongs to another core", None
        return "", manifest

    def _is_signed(self, manifest: Manifest, head: Head, roots: list[TreeNode]) -> bool:
        if [root.index for root in roots] != full_roots(head.length):
            return False
        if sum(root.size for root in roots) != head.byte_length:
            return False
        if hash_of(roots) != head.tree_hash:
            return False
        return verify_head(self._key, manifest, head.length, head.fork, roots, head.signature)

    async def _remade(self, index: int, held: TreeNode | None) -> TreeNode | None:
        """A node as its children make it, or as it is if they are not there."""
        if not index & 1:
            return held
        children = await self._nodes([left_child(index), right_child(index)])
        return parent_of(*children.values()) if len(children) == 2 else held

    # --- the nodes ---

    async def _check_nodes(self, length: int) -> AsyncIterator[Finding]:
        scan = NodeScan(length)
        at = 0
        while batch := await self._storage.nodes_from(self._core_id, at, _NODES):
            at = batch[-1].index + 1
            await self._offload(partial(scan.feed, batch))
            if len(scan.suspects) + len(scan.beyond) > _SUSPECTS:
                break
        else:
            scan.finish()
        if not scan.suspects and not scan.beyond:
            return
        async with self._access.exclusive():
            findings = await self._examine(scan)
        for finding in findings:
            yield finding

    async def _examine(self, scan: NodeScan) -> list[Finding]:
        length = (await self._stored()).head.length
        findings = []
        past = [index for index in scan.beyond if right_span(index) >= 2 * length]
        past = sorted(await self._nodes(past))
        if past:
            done = await self._mend(Mend(dropped=[(index, index + 1) for index in past]))
            problem = f"{len(past)} tree nodes past the head"
            findings.append(
                Finding(self._key, FindingKind.NODE, length, length, problem, done, done)
            )
        dropped: list[tuple[int, int]] = []
        for index in sorted(scan.suspects, key=depth, reverse=True):
            if right_span(index) >= 2 * length:
                continue
            if any(low <= index < high for low, high in dropped):
                continue
            finding = await self._examine_family(index)
            if finding is not None:
                findings.append(finding)
                if not finding.mended:
                    dropped.append((left_span(index), right_span(index) + 1))
        return findings

    async def _examine_family(self, index: int) -> Finding | None:
        """A parent and its children, once more; whose fault it is, from those around them."""
        left, right = left_child(index), right_child(index)
        found = await self._nodes([index, left, right])
        held = (found.get(index), found.get(left), found.get(right))
        if held[1] is None and held[2] is None:
            return None
        if held[0] and held[1] and held[2] and fits(held[0], held[1], held[2]):
            return None
        start, end = left_span(index) // 2, right_span(index) // 2 + 1
        node = await self._put_right(index, *held)
        if node is not None:
            done = await self._mend(Mend(nodes=[node]))
            problem = f"tree node {node.index} is damaged"
            return Finding(self._key, FindingKind.NODE, start, end, problem, done, done)
        below = [(left_span(index), index), (index + 1, right_span(index) + 1)]
        done = await self._mend(Mend(forget=[(start, end)], dropped=below))
        problem = f"the tree nodes below node {index} do not fit it"
        return Finding(self._key, FindingKind.NODE, start, end, problem, done)

    async def _put_right(
        self, index: int, above: TreeNode | None, left: TreeNode | None, right: TreeNode | None
    ) -> TreeNode | None:
        """The one node of a family that is wrong, as it must be; None if that cannot be told."""
        if left is not None and right is not None:
            made = parent_of(left, right)
            around = await self._nodes([parent(index), sibling(index)])
            if len(around) == 2 and fits(
                around[parent(index)], *sorted([made, around[sibling(index)]])
            ):
                return made
        if above is None:
            return None
        for other, child in ((left, right_child(index)), (right, left_child(index))):
            if other is None or other.size > above.size:
                continue
            if child & 1:
                made_child = await self._remade(child, None)
            else:
                made_child = await self._from_block(child, above.size - other.size)
            if made_child is not None and fits(above, *sorted([made_child, other])):
                return made_child
        return None

    async def _from_block(self, node: int, size: int) -> TreeNode | None:
        """A leaf as its block makes it."""
        index = node // 2
        if size > _LARGEST or not self._access.bitfield().has(index):
            return None
        place = await self._place(index)
        if place is None:
            return None
        try:
            block = await self._storage.read(self._core_id, place, size)
        except StorageError:
            return None
        return TreeNode(node, size, leaf_hash(block))

    # --- the blocks ---

    async def _check_blocks(self) -> AsyncIterator[Finding]:
        length = (await self._stored()).head.length
        bitfield = self._access.bitfield()
        past = bitfield.first_set(length, 1 << 63)
        if past < 1 << 63:
            async with self._access.exclusive():
                length = (await self._stored()).head.length
                runs = list(self._access.bitfield().runs(length, 1 << 63))
                done = bool(runs) and await self._mend(Mend(forget=runs))
            for start, end in runs:
                problem = "they count as held but are past the head"
                yield Finding(self._key, FindingKind.BITS, start, end, problem, done, done)
        at = 0
        while (at := bitfield.first_set(at, length)) < length:
            end = bitfield.first_unset(at, min(length, at + _BLOCKS))
            wrong = await self._wrong(at, end)
            if wrong:
                async with self._access.exclusive():
                    wrong = await self._wrong(at, end)
                    runs = list(_runs(wrong))
                    done = bool(runs) and await self._mend(Mend(forget=runs))
                for start, past in runs:
                    problem = "the bytes on disk are not what was signed"
                    yield Finding(self._key, FindingKind.BLOCK, start, past, problem, done)
            at = end

    async def _wrong(self, start: int, end: int) -> list[int]:
        """Held blocks among these whose bytes are not what their leaves say."""
        bitfield = self._access.bitfield()
        held = [index for index in range(start, end) if bitfield.has(index)]
        sound = set(await self.sound(held))
        return [index for index in held if index not in sound and bitfield.has(index)]

    async def sound(self, blocks: Sequence[int]) -> list[int]:
        """Those among some blocks (ascending, not many) whose bytes at rest are what was signed."""
        leaves = await self._nodes([2 * index for index in blocks])
        known = [index for index in blocks if 2 * index in leaves]
        found: list[int] = []
        place: int | None = None
        before = -2
        together: list[tuple[int, TreeNode]] = []
        start = size = 0
        for index in known:
            node = leaves[2 * index]
            if node.size > _LARGEST:
                continue
            if index != before + 1 or place is None:
                place = await self._place(index)
            if place is None:
                continue
            if together and (place != start + size or size + node.size > _BYTES):
                found += await self._sound_run(start, together)
                together = []
            if not together:
                start, size = place, 0
            together.append((index, node))
            size += node.size
            place += node.size
            before = index
        if together:
            found += await self._sound_run(start, together)
        return found

    async def _sound_run(self, start: int, run: Sequence[tuple[int, TreeNode]]) -> list[int]:
        """As `sound`, for blocks that lie one after the other from byte `start` on."""
        size = sum(node.size for _, node in run)
        try:
            data = await self._storage.read(self._core_id, start, size)
        except StorageError:
            if len(run) == 1:
                return []
            middle = len(run) // 2
            first = sum(node.size for _, node in run[:middle])
            return [
                *await self._sound_run(start, run[:middle]),
                *await self._sound_run(start + first, run[middle:]),
            ]
        self.checked_bytes += size
        return await self._offload(partial(_matching, data, run))

    async def _place(self, index: int) -> int | None:
        """Stored bytes before a block, by what is stored; None if the way there is not."""
        length = (await self._stored()).head.length
        if index >= length:
            return None
        roots = full_roots(length)
        wanted = list(roots)
        node = 2 * index
        while node not in roots:
            wanted.append(sibling(node))
            node = parent(node)
        nodes = await self._nodes(wanted)
        if any(root not in nodes for root in roots):
            return None
        return byte_offset(Tree(length, 0, tuple(nodes[root] for root in roots), nodes.get), index)


async def check_at_rest(
    storage: Storage, stored: StoredCore, offload: Offload, *, repair: bool
) -> AsyncIterator[Finding]:
    """Check a core that nobody has open, even one whose head or roots are lost."""
    bitfield = Bitfield(await storage.pages(stored.core_id))

    async def mend(what: Mend) -> bool:
        await storage.commit(mended(stored.core_id, what, bitfield))
        return True

    access = Access(_alone, lambda: bitfield, mend if repair else None)
    async for finding in CoreCheck(storage, stored, access, offload).run():
        yield finding


@asynccontextmanager
async def _alone() -> AsyncIterator[None]:
    yield


def _matching(data: bytes, run: Sequence[tuple[int, TreeNode]]) -> list[int]:
    view = memoryview(data)
    found = []
    at = 0
    for index, node in run:
        if leaf_hash(view[at : at + node.size]) == node.hash:
            found.append(index)
        at += node.size
    return found


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as (first, past the last) of neighbours."""
    start = end = -1
    for index in indices:
        if index != end:
            if end >= 0:
                yield start, end
            start = index
        end = index + 1
    if end >= 0:
        yield start, end

"""What one step of a core changes at rest, computed before anything is changed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pearbox_edge.data.storage import (
    LEFT_OVER,
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    TreeNode,
)
from pearbox_edge.wire import Buffer

from .bitfield import Bitfield
from .flat_tree import MAX_LENGTH
from .manifest import Manifest
from .merkle_tree import GrowingTree

HEAD_LOST = b"\x01"
"""The value of LEFT_OVER in a core of which not even an old head is left."""


class Reorg(NamedTuple):
    """A verified head of a higher fork: its nodes and roots, and the blocks it shares with ours.

    `manifest` only if it was not known before.
    """

    head: Head
    roots: list[TreeNode]
    nodes: list[TreeNode]
    common: int
    manifest: Manifest | None


@dataclass(slots=True)
class Mend:
    """What a repair changes: blocks not held any more, nodes to drop, nodes put right.

    `reset`: nothing of the core can be trusted; only its key and its bytes stay.
    """

    forget: list[tuple[int, int]] = field(default_factory=list)
    dropped: list[tuple[int, int]] = field(default_factory=list)
    nodes: list[TreeNode] = field(default_factory=list)
    reset: bool = False


def appended(
    core_id: int,
    before: Head,
    after: Head,
    nodes: list[TreeNode],
    blocks: Sequence[Buffer],
    bitfield: Bitfield,
) -> Changeset:
    """New blocks at the end, with the head that covers them."""
    writes = []
    place = before.byte_length
    for block in blocks:
        if len(block):
            writes.append(BlockWrite(place, block))
        place += len(block)
    whole = bitfield.contiguous == before.length
    return Changeset(
        core_id,
        blocks=writes,
        nodes=nodes,
        pages=bitfield.pages_with(before.length, after.length),
        head=after,
        contiguous_length=after.length if whole else bitfield.contiguous,
    )


def truncated(core_id: int, after: Head, bitfield: Bitfield) -> Changeset:
    """Everything past the new head's length gone."""
    return Changeset(
        core_id,
        head=after,
        truncate_to=after.length,
        contiguous_length=min(bitfield.contiguous, after.length),
    )


def cleared(core_id: int, ranges: list[ByteRange], bitfield: Bitfield) -> Changeset:
    """Bytes of blocks given back; their bits are out of `bitfield` already."""
    return Changeset(
        core_id,
        pages=bitfield.take_changed(),
        contiguous_length=bitfield.contiguous,
        cleared=ranges,
    )


def reorged(core_id: int, reorg: Reorg, bitfield: Bitfield) -> Changeset:
    """Another fork's head: what is common stays, the rest goes."""
    return Changeset(
        core_id,
        nodes=reorg.nodes,
        head=reorg.head,
        truncate_to=reorg.common,
        contiguous_length=min(bitfield.contiguous, reorg.common),
        manifest=reorg.manifest.encode() if reorg.manifest is not None else None,
    )


def mended(core_id: int, mend: Mend, bitfield: Bitfield) -> Changeset:
    """A repair. Takes what is forgotten out of `bitfield`; block bytes stay where they are."""
    if mend.reset:
        bitfield.truncate(0)
        return Changeset(
            core_id,
            pages=bitfield.take_changed(),
            head=Head(),
            contiguous_length=0,
            dropped=[(0, 2 * MAX_LENGTH)],
            user_data={LEFT_OVER: HEAD_LOST},
        )
    for start, end in mend.forget:
        bitfield.clear_range(start, end)
    return Changeset(
        core_id,
        nodes=mend.nodes,
        pages=bitfield.take_changed(),
        contiguous_length=bitfield.contiguous,
        dropped=mend.dropped,
    )


def head_of(grown: GrowingTree, fork: int, signature: bytes) -> Head:
    """The head that a grown tree and its signature make."""
    return Head(grown.length, grown.byte_length, fork, grown.hash(), signature)

"""What one step of a core changes at rest, computed before anything is changed."""

from collections.abc import Sequence
from typing import NamedTuple

from pearbox_edge.data.storage import BlockWrite, ByteRange, Changeset, Head, TreeNode
from pearbox_edge.wire import Buffer

from .bitfield import Bitfield
from .manifest import Manifest
from .merkle_tree import GrowingTree


class Reorg(NamedTuple):
    """A verified head of a higher fork: its nodes and roots, and the blocks it shares with ours.

    `manifest` only if it was not known before.
    """

    head: Head
    roots: list[TreeNode]
    nodes: list[TreeNode]
    common: int
    manifest: Manifest | None


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


def head_of(grown: GrowingTree, fork: int, signature: bytes) -> Head:
    """The head that a grown tree and its signature make."""
    return Head(grown.length, grown.byte_length, fork, grown.hash(), signature)

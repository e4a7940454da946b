"""What a changeset means, whatever keeps it: the checks and the arithmetic of truncation. Pure."""

from collections.abc import Iterable

from pearbox_edge.errors import UsageError

from .interface import PAGE_BITS, BlockWrite, Changeset

PAGE_BYTES = PAGE_BITS // 8
HASH_BYTES = 32  # SPEC sheet 10: BLAKE2b-256
MAX_NUMBER = (1 << 63) - 1
"""TUNING: the largest number kept (what SQLite and file offsets can hold)."""


def check_changeset(changeset: Changeset) -> None:
    """Refuse a changeset that no storage could keep as it stands.

    Raises UsageError: a number out of range, a page or hash of the wrong size, or a truncation
    without the head it leads to.
    """
    for index, size, digest in changeset.nodes:
        if not 0 <= index <= MAX_NUMBER or not 0 <= size <= MAX_NUMBER or len(digest) != HASH_BYTES:
            raise UsageError(f"tree node {index} cannot be stored")
    for page, bits in changeset.pages.items():
        if len(bits) != PAGE_BYTES or not 0 <= page <= MAX_NUMBER // PAGE_BITS:
            raise UsageError(f"bitfield page {page} cannot be stored")
    for write in changeset.blocks:
        check_range(write.byte_offset, len(write.data))
    for low, high in changeset.dropped:
        if not 0 <= low <= high <= MAX_NUMBER:
            raise UsageError(f"tree nodes {low} to {high} cannot be dropped")
    for cleared in changeset.cleared:
        check_range(cleared.byte_offset, cleared.size)
    numbers = [changeset.contiguous_length or 0, changeset.truncate_to or 0]
    head = changeset.head
    if head is not None:
        numbers += [head.length, head.byte_length, head.fork]
    elif changeset.truncate_to is not None:
        raise UsageError("a truncation needs the head it leads to")
    if any(not 0 <= number <= MAX_NUMBER for number in numbers):
        raise UsageError("a head or length is out of range")


def check_range(byte_offset: int, size: int) -> None:
    """Refuse a range that no file has. Raises UsageError."""
    if byte_offset < 0 or size < 0 or byte_offset + size > MAX_NUMBER:
        raise UsageError(f"bytes at {byte_offset} are out of range")


def is_shrinking(changeset: Changeset) -> bool:
    """Whether the step takes something away, so that no other step of its core may overlap it."""
    return changeset.truncate_to is not None or bool(changeset.cleared or changeset.dropped)


def is_replacing(changeset: Changeset) -> bool:
    """Whether the step may write over bytes of blocks that the head before it names."""
    return changeset.truncate_to is not None and bool(changeset.blocks)


def block_bytes(blocks: Iterable[BlockWrite]) -> int:
    """How many block bytes the writes carry."""
    return sum(len(write.data) for write in blocks)


def parents_past(length: int) -> list[int]:
    """Tree nodes numbered below `2 * length` that span blocks at or past `length`.

    All of them are ancestors of leaf `2 * length`, so there are at most 64.
    """
    found = []
    depth = 1
    while True:
        offset = length >> depth
        index = (offset << (depth + 1)) + (1 << depth) - 1
        if index < 2 * length:
            found.append(index)
        elif offset == 0:
            return found
        depth += 1


def cut_page(page: int, bits: bytes, length: int) -> bytes:
    """A bitfield page with the bits of blocks at or past `length` taken out."""
    keep = length - page * PAGE_BITS
    if keep <= 0:
        return b""
    if keep >= PAGE_BITS:
        return bits
    whole, rest = divmod(keep, 8)
    kept = bits[:whole]
    if rest and whole < len(bits):
        kept += bytes([bits[whole] & ((1 << rest) - 1)])
    return kept

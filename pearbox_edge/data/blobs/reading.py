"""Getting a blob's bytes: which blocks, which part of them, in runs that fit in memory."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol

from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer

from .blob_id import BlobId
from .block_map import Piece

RUN = 64
"""TUNING: blocks read at once (4 MiB of usual ones)."""

READ_SIZE = 4 << 20
"""TUNING: bytes read at once, as long as that is more than one block."""


class BlockSource(Protocol):
    """What reading needs of a core."""

    def has(self, index: int, end: int | None = None) -> bool:
        """Whether blocks are held here."""
        ...

    async def get_many(self, start: int, end: int) -> list[bytes]:
        """The blocks from `start` up to `end` (not included)."""
        ...

    async def download(self, start: int, end: int) -> None:
        """Return once blocks are held."""
        ...

    async def byte_offset(self, index: int) -> int:
        """Stored bytes before a block that is held."""
        ...


async def read_runs(
    core: BlockSource, start: int, end: int
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Blocks from `start` up to `end` in runs: (number of the first, the blocks)."""
    while start < end:
        stop = min(end, start + RUN)
        if not core.has(start, stop):
            # From peers in small steps, so that the first bytes are there early.
            stop = min(stop, start + RUN // 4)
            await core.download(start, stop)
        while stop - start > 1:
            size = await core.byte_offset(stop) - await core.byte_offset(start)
            if size <= READ_SIZE:
                break
            stop = (start + stop) // 2
        yield start, await core.get_many(start, stop)
        start = stop


async def read_plain(
    core: BlockSource,
    blob: BlobId,
    place: tuple[int, int],
    length: int,
    end: int | None = None,
) -> AsyncIterator[list[Buffer]]:
    """`length` bytes from byte `place[1]` of block `place[0]` on, as lists of buffers.

    end: the block after the one with the last byte; None reads to the end of the blob.
    PeerError if the blocks hold fewer (or, to the end of the blob, more) bytes than its id says.
    """
    first, skip = place
    stop = blob.block_end if end is None else end
    if blob.block_length and not blob.block_offset <= first < stop <= blob.block_end:
        raise PeerError("a blob id whose bytes lie outside its blocks")
    async for _, blocks in read_runs(core, first, stop):
        parts: list[Buffer] = []
        for block in blocks:
            part: Buffer = block
            if skip:
                part = memoryview(block)[skip:]
                skip = 0
            if len(part) > length:
                if end is None:
                    raise PeerError("a blob id that says less than its blocks hold")
                part = memoryview(part)[:length]
            length -= len(part)
            if part:
                parts.append(part)
        if parts:
            yield parts
    if length:
        raise PeerError("a blob id that says more than its blocks hold")


async def read_pieces(core: BlockSource, wanted: Iterable[Piece]) -> AsyncIterator[list[Buffer]]:
    """Parts of blocks in the order given; neighbours are read together.

    PeerError if a block does not have the size its map says.
    """
    for group in _neighbours(wanted):
        at = 0
        async for _, blocks in read_runs(core, group[0].block, group[-1].block + 1):
            parts: list[Buffer] = []
            for block in blocks:
                piece = group[at]
                at += 1
                if len(block) != piece.size:
                    raise PeerError(f"block {piece.block} is not of the size its map says")
                whole = piece.end - piece.start == piece.size
                parts.append(block if whole else memoryview(block)[piece.start : piece.end])
            yield parts


def _neighbours(wanted: Iterable[Piece]) -> Iterator[list[Piece]]:
    group: list[Piece] = []
    for piece in wanted:
        if group and (piece.block != group[-1].block + 1 or len(group) >= RUN):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def merged(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs of blocks (start, end) in order, those that touch or overlap as one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(runs):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif start < end:
            out.append((start, end))
    return out


def without(
    runs: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """What of some runs of blocks (start, end) none of the others has, in order."""
    left: list[tuple[int, int]] = []
    holes = merged(others)
    for start, end in merged(runs):
        at = start
        for low, high in holes:
            if high <= at or low >= end:
                continue
            if at < low:
                left.append((at, low))
            at = high
        if at < end:
            left.append((at, end))
    return left

"""Files whose blocks lie anywhere, also inside other files: the map that lists them in order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer, Reader, Writer

_VERSION = 0  # SPEC sheet 14
GROUP = 8192  # SPEC sheet 14: entries in one block of a map
MAX_MAP_BLOCKS = 64  # SPEC sheet 14: more are refused


class MappedBlock(NamedTuple):
    """One block of the content: where it is and its plain size."""

    block: int
    size: int


class Piece(NamedTuple):
    """Part of a block: its bytes from `start` up to `end` of `size` that it must have."""

    block: int
    start: int
    end: int
    size: int


def encode_block_map(entries: Sequence[MappedBlock]) -> list[bytes]:
    """Write a map, as the blocks that hold it."""
    blocks = []
    for at in range(0, len(entries), GROUP):
        writer = Writer()
        group = entries[at : at + GROUP]
        writer.uint(_VERSION)
        writer.uint(len(group))
        for index, size in group:
            writer.uint(index)
            writer.uint(size)
        blocks.append(bytes(writer.finish()))
    return blocks


def decode_block_map(blocks: Iterable[Buffer]) -> list[MappedBlock]:
    """Read a map from its blocks; PeerError if it is broken or has too many entries."""
    entries: list[MappedBlock] = []
    for block in blocks:
        reader = Reader(block)
        if (version := reader.uint()) != _VERSION:
            raise PeerError(f"unknown block map version {version}")
        count = reader.uint()
        if len(entries) + count > MAX_MAP_BLOCKS * GROUP:
            raise PeerError("a block map without end")
        entries += [MappedBlock(reader.uint(), reader.uint()) for _ in range(count)]
    return entries


def mapped_size(entries: Iterable[MappedBlock]) -> int:
    """Bytes of the content."""
    return sum(entry.size for entry in entries)


def pieces(entries: Iterable[MappedBlock], start: int, length: int) -> Iterator[Piece]:
    """The parts of blocks that make up `length` bytes from `start` on."""
    place = 0
    end = start + length
    for index, size in entries:
        low, high = max(start - place, 0), min(end - place, size)
        if low < high:
            yield Piece(index, low, high, size)
        place += size
        if place >= end:
            return

"""Reading neighbouring blocks as one piece: which ranges to read, and cutting them up again."""

from collections.abc import Iterable, Sequence

from pearbox_edge.data.storage import ByteRange
from pearbox_edge.wire import Buffer

READ_BYTES = 4 << 20
"""TUNING: neighbours are read together up to this many bytes."""


def plan_reads(places: Iterable[ByteRange]) -> list[ByteRange]:
    """Few reads that cover all places: places that follow each other share one."""
    reads: list[ByteRange] = []
    for place in places:
        if not place.size:
            continue
        if reads:
            start, size = reads[-1]
            if start + size == place.byte_offset and size + place.size <= READ_BYTES:
                reads[-1] = ByteRange(start, size + place.size)
                continue
        reads.append(place)
    return reads


def gather(
    places: Iterable[ByteRange], reads: Sequence[ByteRange], pieces: Sequence[Buffer]
) -> list[Buffer]:
    """The bytes of each place, from what was read; a view where a piece holds several."""
    out: list[Buffer] = []
    number = at = 0
    view = memoryview(b"")
    for place in places:
        if not place.size:
            out.append(b"")
            continue
        if place.size == reads[number].size:
            out.append(pieces[number])
            number += 1
            continue
        if at == 0:
            view = memoryview(pieces[number])
        out.append(view[at : at + place.size])
        at += place.size
        if at == reads[number].size:
            number += 1
            at = 0
    return out

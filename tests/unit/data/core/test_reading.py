"""Neighbouring blocks are read as one piece and come apart right."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core.reading import READ_BYTES, gather, plan_reads
from pearbox_edge.data.storage import ByteRange

DATA = bytes(range(256)) * 4
PLACES = st.lists(
    st.builds(ByteRange, st.integers(0, 500), st.integers(0, 40)) | st.none(), max_size=12
)


@given(PLACES)
def test_every_place_gets_its_bytes(drawn: list[ByteRange | None]) -> None:
    places: list[ByteRange] = []
    for place in drawn:
        if place is None and places:
            place = ByteRange(places[-1].byte_offset + places[-1].size, 9)
        places.append(place or ByteRange(0, 3))
    reads = plan_reads(places)
    pieces = [DATA[start : start + size] for start, size in reads]
    got = gather(places, reads, pieces)
    assert [bytes(piece) for piece in got] == [DATA[s : s + n] for s, n in places]


def test_neighbours_share_a_read_up_to_its_cap() -> None:
    size = READ_BYTES // 4
    reads = plan_reads(ByteRange(at * size, size) for at in range(10))
    assert [read.size // size for read in reads] == [4, 4, 2]
    assert all(one.byte_offset + one.size == two.byte_offset for one, two in pairwise(reads))


def test_a_lone_block_is_not_copied() -> None:
    piece = b"block"
    [got] = gather([ByteRange(5, 5)], [ByteRange(5, 5)], [piece])
    assert got is piece

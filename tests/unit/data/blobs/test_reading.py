"""Runs of blocks, and ids that do not fit them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs.blob_id import BlobId
from pearbox_edge.data.blobs.block_map import Piece
from pearbox_edge.data.blobs.reading import (
    READ_SIZE,
    RUN,
    merged,
    read_pieces,
    read_plain,
    read_runs,
)
from pearbox_edge.errors import PeerError


class Blocks:
    """Blocks in a list, each of them held from the start or only after a download."""

    def __init__(self, blocks: list[bytes], held: bool = True) -> None:
        self.blocks = blocks
        self.held = held
        self.reads: list[tuple[int, int]] = []
        self.downloads: list[tuple[int, int]] = []

    def has(self, index: int, end: int | None = None) -> bool:
        return self.held

    async def get_many(self, start: int, end: int) -> list[bytes]:
        self.reads.append((start, end))
        return self.blocks[start:end]

    async def download(self, start: int, end: int) -> None:
        self.downloads.append((start, end))

    async def byte_offset(self, index: int) -> int:
        return sum(len(block) for block in self.blocks[:index])


async def plain(
    core: Blocks, blob: BlobId, place: tuple[int, int], length: int, end: int | None = None
) -> bytes:
    runs = [run async for run in read_plain(core, blob, place, length, end)]
    return b"".join(part for run in runs for part in run)


async def test_many_blocks_are_read_at_once() -> None:
    core = Blocks([b"x"] * (2 * RUN + 3))
    assert [start async for start, _ in read_runs(core, 0, 2 * RUN + 3)] == [0, RUN, 2 * RUN]


async def test_large_blocks_are_read_few_at_once() -> None:
    core = Blocks([bytes(READ_SIZE // 2)] * 5)
    assert [run async for run in read_runs(core, 0, 5)]
    assert all(end - start <= 2 for start, end in core.reads)
    core = Blocks([bytes(2 * READ_SIZE)] * 2)
    assert [run async for run in read_runs(core, 0, 2)]
    assert core.reads == [(0, 1), (1, 2)]


async def test_missing_blocks_are_fetched_in_small_steps() -> None:
    core = Blocks([b"x"] * RUN, held=False)
    assert [run async for run in read_runs(core, 0, RUN)]
    assert core.downloads[0] == (0, RUN // 4)


@given(st.lists(st.binary(max_size=5), max_size=8), st.data())
async def test_any_range_of_a_blob_is_read(blocks: list[bytes], data: st.DataObject) -> None:
    core = Blocks([b"before", *blocks, b"after"])
    whole = b"".join(blocks)
    blob = BlobId(1, len(blocks), 6, len(whole))
    assert await plain(core, blob, (1, 0), len(whole)) == whole
    if whole:
        first = data.draw(st.integers(0, len(blocks) - 1))
        skip = data.draw(st.integers(0, len(blocks[first])))
        start = sum(map(len, blocks[:first])) + skip
        length = data.draw(st.integers(0, len(whole) - start))
        end = None
        if start + length < len(whole):
            end = 2 + next(
                index
                for index in range(first, len(blocks))
                if sum(map(len, blocks[: index + 1])) >= start + length
            )
        found = await plain(core, blob, (1 + first, skip), length, end)
        assert found == whole[start : start + length]


@pytest.mark.parametrize(
    ("blob", "place", "length", "end"),
    [
        (BlobId(1, 2, 1, 5), (1, 0), 5, None),
        (BlobId(1, 2, 1, 3), (1, 0), 3, None),
        (BlobId(1, 2, 1, 4), (0, 0), 4, None),
        (BlobId(1, 2, 1, 4), (3, 0), 4, None),
        (BlobId(1, 2, 1, 9), (2, 0), 3, 3),
        (BlobId(1, 2, 1, 9), (1, 0), 3, 4),
        (BlobId(1, 2, 1, 9), (2, 0), 3, 2),
    ],
)
async def test_an_id_that_does_not_fit_its_blocks_is_refused(
    blob: BlobId, place: tuple[int, int], length: int, end: int | None
) -> None:
    core = Blocks([b"a", b"bb", b"cc", b"d"])
    with pytest.raises(PeerError):
        await plain(core, blob, place, length, end)


async def test_pieces_come_in_order_and_neighbours_together() -> None:
    core = Blocks([b"aa", b"bb", b"cc", b"dd"])
    wanted = [Piece(2, 0, 2, 2), Piece(3, 0, 1, 2), Piece(0, 1, 2, 2), Piece(0, 0, 2, 2)]
    runs = [run async for run in read_pieces(core, wanted)]
    assert b"".join(part for run in runs for part in run) == b"ccd" + b"a" + b"aa"
    assert core.reads == [(2, 4), (0, 1), (0, 1)]


async def test_a_block_of_another_size_than_its_map_says_is_refused() -> None:
    core = Blocks([b"aaa"])
    with pytest.raises(PeerError):
        [run async for run in read_pieces(core, [Piece(0, 0, 2, 2)])]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20))))
def test_merged_runs_cover_the_same_blocks_once(runs: list[tuple[int, int]]) -> None:
    covered = sorted({index for start, end in runs for index in range(start, end)})
    found = [index for start, end in merged(runs) for index in range(start, end)]
    assert found == covered

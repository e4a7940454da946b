"""Maps of files whose blocks lie anywhere."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs.block_map import (
    GROUP,
    MAX_MAP_BLOCKS,
    MappedBlock,
    decode_block_map,
    encode_block_map,
    mapped_size,
    pieces,
)
from pearbox_edge.errors import PeerError

sizes = st.lists(st.integers(0, 9), max_size=12)
maps = st.lists(st.builds(MappedBlock, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1)))


@given(maps)
def test_a_map_comes_back_as_it_was_written(entries: list[MappedBlock]) -> None:
    assert decode_block_map(encode_block_map(entries)) == entries


@given(st.lists(st.binary(max_size=20), max_size=3))
def test_any_blocks_are_a_map_or_refused(blocks: list[bytes]) -> None:
    with contextlib.suppress(PeerError):
        decode_block_map(blocks)


@given(maps.filter(bool), st.data())
def test_a_map_cut_anywhere_is_refused(entries: list[MappedBlock], data: st.DataObject) -> None:
    [block] = encode_block_map(entries)
    with pytest.raises(PeerError):
        decode_block_map([block[: data.draw(st.integers(0, len(block) - 1))]])


def test_a_large_map_takes_a_block_for_each_group() -> None:
    entries = [MappedBlock(1, 2)] * (GROUP + 1)
    blocks = encode_block_map(entries)
    assert len(blocks) == 2
    assert decode_block_map(blocks) == entries


def test_a_map_without_end_is_refused() -> None:
    [block] = encode_block_map([MappedBlock(1, 2)] * GROUP)
    with pytest.raises(PeerError):
        decode_block_map([block] * (MAX_MAP_BLOCKS + 1))


def test_another_version_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_block_map([b"\x01\x00"])


@given(sizes, st.integers(0, 60), st.integers(0, 60))
def test_pieces_are_the_bytes_asked_for(lengths: list[int], start: int, length: int) -> None:
    blocks = [bytes([number] * size) for number, size in enumerate(lengths)]
    entries = [MappedBlock(number, size) for number, size in enumerate(lengths)]
    found = b"".join(blocks[p.block][p.start : p.end] for p in pieces(entries, start, length))
    assert found == b"".join(blocks)[start : start + length]
    assert mapped_size(entries) == sum(lengths)

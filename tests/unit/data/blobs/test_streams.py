"""Sources and the blocks that are cut of them."""

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs.streams import cut, fill, from_chunks


@given(st.binary(max_size=50), st.integers(1, 20))
def test_blocks_are_full_but_the_last(data: bytes, size: int) -> None:
    blocks = cut(data, size)
    assert b"".join(blocks) == data
    assert all(len(block) == size for block in blocks[:-1])
    assert all(blocks)


def test_no_bytes_are_no_blocks() -> None:
    assert cut(b"") == []
    assert cut(bytearray(b"abc"), 2) == [b"ab", b"c"]
    assert cut(memoryview(b"abc"), 2) == [b"ab", b"c"]


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(1, 12))
async def test_chunks_of_any_size_are_filled_to_whole_ones(chunks: list[bytes], size: int) -> None:
    async def given() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    source = from_chunks(given())
    found = []
    while part := await fill(source, size):
        found.append(bytes(part))
    assert b"".join(found) == b"".join(chunks)
    assert all(len(part) == size for part in found[:-1])
    assert not await source(1)

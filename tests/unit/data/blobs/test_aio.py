"""Blobs on a core: against a model, at the limits, from a peer, and against liars."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs import BATCH_SIZE, BlobId, Hyperblobs, from_chunks
from pearbox_edge.data.blobs import aio as blobs_aio
from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.storage import SqliteStorage
from pearbox_edge.errors import InputError, PeerError, UnavailableError, UsageError
from tests.kit.bees import KEY_PAIR, new_core, reader_of

files = st.lists(st.binary(max_size=40), max_size=6)


@given(files, st.integers(1, 20), st.booleans(), st.integers(0, 50), st.integers(0, 50))
async def test_what_was_put_comes_back_in_any_part(
    contents: list[bytes], block_size: int, encrypted: bool, start: int, length: int
) -> None:
    core = await new_core(bytes(32) if encrypted else None)
    blobs = Hyperblobs(core, block_size=block_size)
    ids = await blobs.put_many(contents)
    for content, blob in zip(contents, ids, strict=True):
        assert await blobs.get(blob) == content
        assert await blobs.get(blob, start) == content[start:]
        assert await blobs.get(blob, start, length) == content[start : start + length]
        assert await blobs.has(blob)
        assert await blobs.byte_length(blob) == len(content)


async def test_small_files_are_one_append_and_many_bytes_are_several() -> None:
    blobs = Hyperblobs(await new_core())
    appends: list[int] = []
    append = blobs.core.append

    async def counted(blocks: list[bytes]) -> int:
        appends.append(len(blocks))
        return await append(blocks)

    blobs.core.append = counted  # type: ignore[method-assign, assignment]
    await blobs.put_many([b"x"] * 2000)
    assert appends == [2000]
    await blobs.put_many([bytes(BATCH_SIZE // 4)] * 5)
    assert appends == [2000, BATCH_SIZE >> 16, BATCH_SIZE >> 18]


async def test_a_stream_is_cut_like_whole_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_aio, "APPEND_SIZE", 300)
    one = Hyperblobs(await new_core(), block_size=100)
    other = Hyperblobs(await new_core(), block_size=100)
    for size in (0, 1, 299, 300, 301, 1234):
        data = bytes(i & 255 for i in range(size))

        async def chunks(data: bytes = data) -> AsyncIterator[bytes]:
            for at in range(0, len(data), 70):
                yield data[at : at + 70]

        assert await one.put_stream(from_chunks(chunks())) == await other.put(data)
    assert one.core.head.tree_hash == other.core.head.tree_hash


async def test_a_source_that_fails_lets_others_write() -> None:
    blobs = Hyperblobs(await new_core())

    async def source(size: int) -> bytes:
        raise UnavailableError("gone")

    with pytest.raises(UnavailableError):
        await blobs.put_stream(source)
    assert await blobs.get(await blobs.put(b"next")) == b"next"


async def test_writers_wait_for_each_other() -> None:
    core = await new_core()
    one, other = Hyperblobs(core), Hyperblobs(core)
    ids = await asyncio.gather(
        *(writer.put(b"%d" % number) for number in range(10) for writer in (one, other))
    )
    assert sorted(blob.block_offset for blob in ids) == list(range(20))
    for number, blob in enumerate(ids):
        assert await one.get(blob) == b"%d" % (number // 2)


async def test_a_batch_not_begun_and_somebody_elses_blobs_are_not_written() -> None:
    blobs = Hyperblobs(await new_core())
    with pytest.raises(UsageError):
        await blobs.batch().put(b"x")
    await blobs.put(b"x")
    reader = Hyperblobs((await reader_of(blobs.core)).target)
    with pytest.raises(UsageError):
        await reader.put(b"x")


async def test_an_empty_range_and_a_range_beyond_are_empty() -> None:
    blobs = Hyperblobs(await new_core())
    blob = await blobs.put(b"hello")
    assert await blobs.get(blob, 5) == b""
    assert await blobs.get(blob, 99, 5) == b""
    assert await blobs.get(blob, 2, 0) == b""
    with pytest.raises(InputError):
        await blobs.get(blob, -1)
    with pytest.raises(InputError):
        await blobs.get(blob, 0, -1)


async def test_too_much_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs_aio, "MAX_GET_SIZE", 4)
    blobs = Hyperblobs(await new_core())
    blob = await blobs.put(b"hello")
    with pytest.raises(InputError):
        await blobs.get(blob)
    assert await blobs.get(blob, 1) == b"ello"
    assert b"".join([part async for part in blobs.read(blob)]) == b"hello"


@pytest.mark.parametrize(
    "blob",
    [
        BlobId(0, 3, 0, 6),
        BlobId(5, 1, 0, 1),
        BlobId(1 << 52, 1 << 52, 0, 1),
        BlobId(0, 0, 0, 1),
        BlobId(0, 2, 0, 5),
        BlobId(0, 2, 0, 3),
        BlobId(0, 2, 0, 0),
        BlobId(0, 1, 0, 1 << 50),
        BlobId(0, 2, 1 << 50, 4),
        BlobId(0, 65, 0, 4, block_map=True),
        BlobId(0, 1, 0, 2, block_map=True),
        BlobId(2, 1, 0, 2, block_map=True),
    ],
)
async def test_an_id_that_lies_is_an_error_that_names_the_core(blob: BlobId) -> None:
    core = await new_core()
    # Block 2 is a map that names a block past the end.
    await core.append([b"ab", b"cd", b"\x00\x01\x09\x02"])
    blobs = Hyperblobs(core)
    with pytest.raises(PeerError, match=core.key[:4].hex()):
        await blobs.get(blob, 1 if blob.byte_offset else 0)


async def test_a_lie_about_the_place_of_bytes_is_noticed() -> None:
    core = await new_core()
    await core.append([b"ab", b"cd", b"ef"])
    with pytest.raises(PeerError):
        await Hyperblobs(core).get(BlobId(1, 1, 4, 2), 1, 1)


async def test_a_reader_reads_a_part_with_few_blocks() -> None:
    blobs = Hyperblobs(await new_core(), block_size=10)
    await blobs.put(bytes(95))
    blob = await blobs.put(bytes(range(250)))
    peer = await reader_of(blobs.core)
    reader = Hyperblobs(peer.target)
    assert await reader.get(blob, 101, 20) == bytes(range(101, 121))
    assert sorted(peer.fetched) == [20, 21, 22]
    assert not await reader.has(blob)
    await reader.download([blob])
    assert await reader.has(blob)
    assert await reader.get(blob) == bytes(range(250))


async def test_a_reader_follows_blobs_that_grew() -> None:
    blobs = Hyperblobs(await new_core())
    await blobs.put(b"one")
    peer = await reader_of(blobs.core)
    blob = await blobs.put(b"two")
    assert await Hyperblobs(peer.target).get(blob) == b"two"
    with pytest.raises(UnavailableError):
        await Hyperblobs(peer.target).get(BlobId(7, 1, 0, 1))


async def test_a_block_that_nobody_sends_is_unavailable() -> None:
    blobs = Hyperblobs(await new_core(), block_size=4)
    blob = await blobs.put(b"hello world")
    peer = await reader_of(blobs.core)
    peer.withheld = {1}
    with pytest.raises(UnavailableError):
        await Hyperblobs(peer.target).get(blob)


async def test_a_mapped_file_is_fetched_map_first() -> None:
    blobs = Hyperblobs(await new_core())
    first = await blobs.put_mapped([b"aaaa", b"bb", b"aaaa"])
    second = await blobs.put_mapped([b"bb", b"cc"], previous=first)
    peer = await reader_of(blobs.core)
    reader = Hyperblobs(peer.target)
    assert not await reader.has(second)
    await reader.download([second])
    assert await reader.has(second)
    assert 0 not in peer.fetched
    assert await reader.get(second) == b"bbcc"
    assert await reader.get(first, 3, 4) == b"abba"


async def test_cleared_bytes_are_gone_here_and_come_back_from_a_peer() -> None:
    blobs = Hyperblobs(await new_core())
    plain = await blobs.put(b"plain")
    mapped = await blobs.put_mapped([b"aa", b"bb"])
    peer = await reader_of(blobs.core)
    reader = Hyperblobs(peer.target)
    await reader.download([plain, mapped])
    await reader.clear(plain)
    await reader.clear(mapped)
    assert not await reader.has(plain)
    assert not await reader.has(mapped)
    assert peer.target.contiguous_length == 0
    assert await reader.get(plain) == b"plain"
    assert await reader.get(mapped) == b"aabb"


async def test_the_place_on_disk_is_where_the_bytes_are(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await Hypercore.open(storage, key_pair=KEY_PAIR)
        blobs = Hyperblobs(core, block_size=8)
        await blobs.put(b"before")
        blob = await blobs.put(b"hello, this is more than one block")
        mapped = await blobs.put_mapped([b"x"])
        empty = await blobs.put(b"")
        place = await blobs.location(blob)
        assert place is not None
        held = await asyncio.to_thread(Path(place.path).read_bytes)
        found = held[place.offset : place.offset + place.length]
        assert found == b"hello, this is more than one block"
        assert await blobs.location(mapped) is None
        assert await blobs.location(empty) is None
        with pytest.raises(PeerError):
            await blobs.location(BlobId(1, 2, 6, 99))
        await core.clear(2, 3)
        assert await blobs.location(blob) is None
        await core.close()


async def test_encrypted_bytes_and_bytes_in_memory_have_no_place_on_disk(tmp_path: Path) -> None:
    blobs = Hyperblobs(await new_core())
    assert await blobs.location(await blobs.put(b"x")) is None
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await Hypercore.open(storage, key_pair=KEY_PAIR, encryption_key=bytes(32))
        blobs = Hyperblobs(core)
        assert await blobs.location(await blobs.put(b"x")) is None
        await core.close()

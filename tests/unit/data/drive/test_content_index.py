from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs import BlobId
from pearbox_edge.data.drive import Hyperdrive, NewFile, content_of
from pearbox_edge.data.drive.content_index import CHECK_SIZE, HashedSource, _decode, _encode
from pearbox_edge.data.storage import MemoryStorage, SqliteStorage, Storage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import InputError, PeerError
from tests.kit.drives import PRIMARY_KEY, new_drive

BIG = bytes(range(256)) * 40_000
"""More than two appends."""


def blocks(drive: Hyperdrive) -> int:
    assert drive.blobs is not None
    return drive.blobs.core.length


def source(data: bytes, at: int = 0):  # type: ignore[no-untyped-def]
    async def read(size: int) -> bytes:
        nonlocal at
        given = data[at : at + min(size, 1 << 20)]
        at += len(given)
        return given

    return read


async def test_the_same_bytes_are_stored_once() -> None:
    async with new_drive(dedup=True) as drive:
        await drive.put("/a", b"hello")
        await drive.put("/b", b"hello", executable=True)
        assert blocks(drive) == 1
        a, b = await drive.entry("/a"), await drive.entry("/b")
        assert a is not None and b is not None
        assert a.blob == b.blob and b.executable
        assert await drive.get("/b") == b"hello"


async def test_without_dedup_nothing_is_shared() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"hello")
        await drive.put("/b", b"hello")
        assert blocks(drive) == 2


async def test_the_same_bytes_within_one_batch_are_stored_once() -> None:
    async with new_drive(dedup=True) as drive:
        async with await drive.batch() as batch:
            await batch.put_many([NewFile(f"/{n}", b"same" * (n % 2 + 1)) for n in range(10)])
            await batch.put("/more", b"same")
            await batch.put_stream("/stream", source(b"samesame"))
        assert blocks(drive) == 2
        assert await drive.get("/9") == await drive.get("/stream") == b"samesame"


async def test_a_big_stream_that_was_there_before_leaves_no_bytes() -> None:
    async with new_drive(dedup=True) as drive:
        await drive.put_stream("/a", source(BIG))
        before = blocks(drive)
        await drive.put_stream("/b", source(BIG))
        assert drive.blobs is not None
        assert not any(drive.blobs.core.has(index) for index in range(before, blocks(drive)))
        assert await drive.get("/b") == BIG
        assert await drive.may_hold(len(BIG))
        assert not await drive.may_hold(len(BIG) + 1)
        assert await drive.put_same("/c", content_of(BIG))
        assert not await drive.put_same("/d", content_of(b"new"))
        assert await drive.get("/c") == BIG and await drive.entry("/d") is None


async def test_bytes_of_deleted_files_are_found_again() -> None:
    async with new_drive(dedup=True) as drive:
        await drive.put("/a", b"hello")
        await drive.delete("/a")
        await drive.put("/b", b"hello")
        assert blocks(drive) == 1


async def test_cleared_bytes_are_stored_again() -> None:
    async with new_drive(dedup=True) as drive:
        await drive.put("/a", b"hello")
        assert await drive.clear("/a") == 1
        await drive.put("/b", b"hello")
        assert blocks(drive) == 2
        assert await drive.get("/b") == b"hello"


async def test_clearing_a_path_leaves_what_others_share() -> None:
    async with new_drive(dedup=True) as drive:
        await drive.put("/a", b"hello")
        await drive.copy("/a", "/b")
        assert await drive.clear("/a") == 0
        assert await drive.get("/b") == b"hello"
        await drive.delete("/b")
        assert await drive.clear("/a") == 1
        assert not await drive.has("/a")


async def test_copies_and_new_names_write_one_entry_and_no_block() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"hello", executable=True, metadata={"k": 1})
        version = drive.version
        await drive.copy("/a", "/b")
        await drive.rename("/a", "/c")
        await drive.rename("/c", "/c")
        assert blocks(drive) == 1 and drive.version == version + 4
        assert await drive.entry("/a") is None
        entry = await drive.entry("/c")
        assert entry is not None and entry.executable and entry.metadata == {"k": 1}
        assert await drive.get("/b") == await drive.get("/c") == b"hello"


async def test_a_version_is_restored_by_one_entry() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"one")
        version = drive.version
        await drive.put("/a", b"two")
        await drive.restore("/a", version)
        assert await drive.get("/a") == b"one" and blocks(drive) == 2


async def test_a_version_within_a_batch_can_be_restored_from() -> None:
    async with new_drive() as drive:
        async with await drive.batch() as batch:
            for number in range(40):
                await batch.put("/a", str(number).encode())
        for version in range(2, 42):
            await drive.restore("/a", version)
            assert await drive.get("/a") == str(version - 2).encode()
        with pytest.raises(InputError):
            await drive.restore("/b", drive.version)


async def make(storage: Storage, primary_key: bytes = PRIMARY_KEY) -> tuple[Corestore, Hyperdrive]:
    store = await Corestore(storage, primary_key=primary_key).open()
    return store, await Hyperdrive(store, dedup=True).open()


async def test_the_index_outlives_the_process(tmp_path: Path) -> None:
    for turn in range(2):
        async with await SqliteStorage.open(tmp_path) as storage:
            store, drive = await make(storage)
            await drive.put(f"/{turn}", b"hello")
            await drive.put(f"/stream{turn}", BIG)
            assert blocks(drive) == 1 + -(-len(BIG) // 65536)
            await drive.close()
            await store.close()


@pytest.mark.parametrize("encryption_key", [None, bytes(32)])
async def test_a_lost_index_is_rebuilt_from_the_blocks(encryption_key: bytes | None) -> None:
    storage = MemoryStorage()
    async with new_drive(storage=storage, encryption_key=encryption_key) as drive:
        await drive.put("/a", b"stored without the index")
        await drive.put("/big", BIG)
        before = blocks(drive)
    async with new_drive(storage=storage, encryption_key=encryption_key, dedup=True) as drive:
        await drive.put("/b", b"stored without the index")
        await drive.put("/copy", BIG)
        assert blocks(drive) == before
        assert await drive.get("/copy") == BIG
    index = await storage.list_values("same/")
    assert len(index) == 3
    await storage.set_values(dict.fromkeys(index))
    async with new_drive(storage=storage, encryption_key=encryption_key, dedup=True) as drive:
        await drive.rebuild_index()
        assert await storage.list_values("same/") == index


async def test_what_is_not_where_the_index_says_is_stored_again() -> None:
    storage = MemoryStorage()
    store, drive = await make(storage)
    await drive.put("/a", b"hello")
    await drive.put("/b", b"olleh")
    await drive.close()
    saved = {n: v for n, v in (await storage.list_values("same/")).items() if n.count("/") > 1}
    one, two = saved
    # Each points at the other's block now, and one is damaged beyond reading.
    await storage.set_values({one: saved[two], two: saved[one]})
    drive = await Hyperdrive(store, dedup=True).open()
    await drive.put("/c", b"hello")
    assert await drive.get("/c") == b"hello" and blocks(drive) == 3
    await storage.set_values({two: b"\x01", one: b"\xff"})
    await drive.put("/d", b"olleh")
    assert await drive.get("/d") == b"olleh" and blocks(drive) == 4
    await drive.close()
    await store.close()


async def test_after_a_truncation_old_places_are_not_believed() -> None:
    storage = MemoryStorage()
    store, drive = await make(storage)
    await drive.put("/keep", b"keep")
    version = drive.version
    await drive.put("/gone", b"aaaa")
    await drive.close()
    drive = await Hyperdrive(store, dedup=True).open()
    await drive.truncate(version)
    await drive.put("/new", b"bbbbbbbb")  # lies where /gone was
    await drive.put("/again", b"aaaa")
    await drive.put("/kept", b"keep")
    assert await drive.get("/again") == b"aaaa"
    assert await drive.get("/kept") == b"keep"
    assert blocks(drive) == 3
    again = await drive.entry("/again")
    assert again is not None and again.blob == BlobId(2, 1, 12, 4)
    await drive.close()
    await store.close()


async def test_a_moved_byte_offset_is_corrected() -> None:
    storage = MemoryStorage()
    store, drive = await make(storage)
    await drive.put("/first", b"1")
    first = drive.version
    await drive.put("/x", b"same bytes")
    await drive.close()
    drive = await Hyperdrive(store).open()  # by hands that know no index
    await drive.truncate(first)
    assert drive.blobs is not None
    await drive.blobs.core.truncate(0)
    await drive.put("/first", b"longer than before")
    await drive.put("/y", b"same bytes")
    await drive.close()
    drive = await Hyperdrive(store, dedup=True).open()
    await drive.put("/z", b"same bytes")
    y, z = await drive.entry("/y"), await drive.entry("/z")
    assert y is not None and z is not None and y.blob == z.blob
    await drive.close()
    await store.close()


async def test_an_empty_file_needs_no_index() -> None:
    async with new_drive(dedup=True) as drive:
        await drive.put("/a", b"")
        await drive.put("/b", b"")
        assert await drive.get("/b") == b"" and not await drive.may_hold(0)


async def test_purging_removes_cores_and_index() -> None:
    storage = MemoryStorage()
    store, drive = await make(storage)
    await drive.put("/a", b"hello")
    await drive.purge()
    assert await storage.cores() == [] and not await storage.list_values("same/")
    await store.close()


async def test_a_source_tells_what_it_gave() -> None:
    hashed = HashedSource(source(b"hello"))
    assert bytes(await hashed.read(3)) + bytes(await hashed.read(3)) == b"hello"
    assert hashed.content == content_of(b"hello")


@given(st.integers(0, 1 << 40), st.integers(1, 1 << 30), st.integers(0, 1 << 50))
def test_a_place_survives_storage(offset: int, length: int, size: int) -> None:
    blob = BlobId(offset, length, 0, size)
    check = bytes(range(CHECK_SIZE))
    assert _decode(_encode(blob, check), size) == (blob, check)
    with pytest.raises(PeerError):
        _decode(_encode(blob, check)[:-1], size)


@given(st.binary(max_size=40))
def test_any_stored_bytes_are_a_place_or_refused(value: bytes) -> None:
    try:
        _decode(value, 5)
    except PeerError:
        return

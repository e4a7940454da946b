"""Many changes together: few appends, bytes before entries, all or nothing."""

import asyncio

import pytest

from pearbox_edge.data.blobs import BATCH_SIZE
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.drive import batch as batches
from pearbox_edge.errors import StorageError
from tests.kit.drives import new_drive


class Heads:
    """Writes down which core grew, in order."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told

    def on_head(self) -> None:
        self.told.append(self.name)

    def on_blocks(self, start: int, count: int) -> None: ...
    def on_clear(self, start: int, count: int) -> None: ...
    def on_truncate(self, length: int, fork: int) -> None: ...
    def on_conflict(self) -> None: ...


async def listened(drive: Hyperdrive) -> list[str]:
    told: list[str] = []
    drive.core.add_listener(Heads("entries", told))
    (await drive.get_blobs()).core.add_listener(Heads("bytes", told))
    return told


async def test_two_thousand_small_files_are_one_append_of_bytes_and_then_one_of_entries() -> None:
    async with new_drive() as drive:
        told = await listened(drive)
        async with await drive.batch() as batch:
            for number in range(2000):
                await batch.put(f"/{number:04d}", bytes(4096))
            assert len(batch) == 2000
            assert drive.version == 1
        assert told == ["bytes", "entries"]
        assert drive.version == 2001
        assert await drive.get("/1234") == bytes(4096)


async def test_memory_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_ENTRIES", 10)
    async with new_drive() as drive:
        told = await listened(drive)
        async with await drive.batch() as batch:
            for number in range(25):
                await batch.put(f"/{number}", b"x")
            await batch.put("/big", bytes(BATCH_SIZE))
        assert told == ["bytes", "entries"] * 3
        assert len([entry async for entry in drive.list()]) == 26


async def test_a_batch_sees_its_own_changes() -> None:
    async with new_drive() as drive:
        async with await drive.batch() as batch:
            await batch.put("/a", b"1")
            await batch.symlink("/l", "/a")
            assert await batch.delete("/a")
            assert not await batch.delete("/a")
            assert await batch.entry("/a") is None
            entry = await batch.entry("/l")
            assert entry is not None
            assert entry.linkname == "/a"
            assert await drive.entry("/l") is None
        assert await drive.exists("/l")


async def test_a_batch_that_fails_leaves_no_entries() -> None:
    async with new_drive() as drive:

        async def write() -> None:
            async with await drive.batch() as batch:
                await batch.put("/a", b"1")
                raise StorageError("the disk is full")

        with pytest.raises(StorageError):
            await write()
        assert drive.version == 1
        await drive.put("/b", b"2")
        assert [entry.path async for entry in drive.list()] == ["/b"]


async def test_a_stream_among_small_files_keeps_its_place() -> None:
    async with new_drive() as drive:
        rest = [b"stream"]

        async def source(size: int) -> bytes:
            return rest.pop() if rest else b""

        async with await drive.batch() as batch:
            await batch.put("/a", b"before")
            await batch.put_stream("/b", source)
            await batch.put("/c", b"after")
        for path, content in (("/a", b"before"), ("/b", b"stream"), ("/c", b"after")):
            assert await drive.get(path) == content


async def test_batches_and_single_writes_wait_for_each_other() -> None:
    async with new_drive() as drive:

        async def many(name: str) -> None:
            async with await drive.batch() as batch:
                for number in range(5):
                    await batch.put(f"/{name}/{number}", name.encode())
                    await asyncio.sleep(0)

        writes = [drive.put(f"/single/{number}", b"s") for number in range(5)]
        await asyncio.gather(many("a"), many("b"), *writes)
        assert len([entry async for entry in drive.list()]) == 15
        async for entry in drive.list():
            content = await drive.get(entry)
            assert content is not None
            assert entry.path[1:2].encode() == content[:1]


async def test_a_batch_can_be_used_again_after_a_flush() -> None:
    async with new_drive() as drive:
        batch = await drive.batch()
        await batch.put("/a", b"1")
        await batch.flush()
        await drive.put("/b", b"2")
        await batch.put("/c", b"3")
        await batch.flush()
        assert [entry.path async for entry in drive.list()] == ["/a", "/b", "/c"]

"""What is particular to the storage on disk: the directory, damage, and coming to an end."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pearbox_edge.data.storage import (
    LEFT_OVER,
    PAGE_BITS,
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    SqliteStorage,
    StorageOptions,
    StoredCore,
    TreeNode,
)
from pearbox_edge.data.storage.files import DataFiles
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey

KEY = bytes(range(32))


def new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    """Threads that are more, once those had time to end that were told to."""
    for thread in set(threading.enumerate()) - before:
        thread.join(1)
    return set(threading.enumerate()) - before


async def make(storage: SqliteStorage) -> StoredCore:
    return await storage.create_core(CoreKey(KEY), DiscoveryKey(KEY), None)


async def test_the_directory_is_for_our_eyes_only(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    async with await SqliteStorage.open(folder) as storage:
        core = await make(storage)
        await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"x")]))
        assert folder.stat().st_mode & 0o777 == 0o700
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        assert {path.name for path in files} >= {"lock", "pearbox.db", "pearbox.db-wal", KEY.hex()}
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_a_second_opener_is_told_which_process_has_the_directory(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path):
        with pytest.raises(StorageError) as caught:
            await SqliteStorage.open(tmp_path)
        line = str(caught.value)
        assert str(tmp_path) in line
        assert f"pid {os.getpid()}" in line
        assert "\n" not in line
    await (await SqliteStorage.open(tmp_path)).close()


async def test_another_process_is_kept_out_too(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from pearbox_edge.data.storage import SqliteStorage\n"
        "asyncio.run(SqliteStorage.open(sys.argv[1]))\n"
    )
    async with await SqliteStorage.open(tmp_path):
        run = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", code, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[4],
        )
    assert run.returncode == 1
    assert "another process" in run.stderr


async def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StorageError, match="data"):
        await SqliteStorage.open(tmp_path / "data")


async def test_a_data_file_that_was_cut_is_an_error_that_names_it(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await make(storage)
        await storage.commit(
            Changeset(core.core_id, blocks=[BlockWrite(0, b"x" * 100)], head=Head(1, 100))
        )
        path = storage.data_file(core.core_id)
        assert path is not None
        os.truncate(path, 60)
        with pytest.raises(StorageError, match="ends at byte 60") as caught:
            await storage.read(core.core_id, 0, 100)
        assert path in str(caught.value)
        tmp_path.joinpath("cores", KEY.hex()[:2], KEY.hex()).unlink()
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await make(storage)
        with pytest.raises(StorageError, match=KEY.hex()):
            await storage.read(core.core_id, 0, 100)


async def test_reads_go_through_a_thread_when_the_kernel_must_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataFiles, "read_cached", lambda files, core, ranges: None)
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await make(storage)
        await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"abcdef")]))
        assert await storage.read(core.core_id, 2, 3) == b"cde"
        ranges = [ByteRange(0, 1), ByteRange(4, 2)]
        assert await storage.read_many(core.core_id, ranges) == [b"a", b"ef"]


async def test_clearing_gives_disk_space_back(tmp_path: Path) -> None:
    size = 4 << 20
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await make(storage)
        await storage.commit(
            Changeset(core.core_id, blocks=[BlockWrite(0, b"x" * size)], head=Head(1, size))
        )
        path = DataFiles(tmp_path, 1).path(core.discovery_key)
        full = path.stat().st_blocks
        await storage.commit(Changeset(core.core_id, cleared=[ByteRange(0, size // 2)]))
        assert path.stat().st_size == size
        assert path.stat().st_blocks <= full * 6 // 10
        await storage.commit(Changeset(core.core_id, truncate_to=0, head=Head(0, 0, 1)))
        assert path.stat().st_size == 0


async def test_nothing_is_left_running_after_close(tmp_path: Path) -> None:
    threads, tasks = set(threading.enumerate()), len(asyncio.all_tasks())
    descriptors = len(os.listdir("/proc/self/fd"))
    storage = await SqliteStorage.open(tmp_path, StorageOptions(cache_kib=256, max_open_files=2))
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"x")]))
    await storage.read(core.core_id, 0, 1)
    await storage.close()
    await storage.close()
    assert not new_threads(threads)
    assert len(asyncio.all_tasks()) == tasks
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_nothing_is_left_running_after_a_failed_open(tmp_path: Path) -> None:
    (tmp_path / "pearbox.db").write_bytes(b"no database" * 1000)
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError):
        await SqliteStorage.open(tmp_path)
    assert not new_threads(threads)
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_what_is_asked_after_close_is_refused(tmp_path: Path) -> None:
    storage = await SqliteStorage.open(tmp_path)
    core = await make(storage)
    await storage.close()
    for ask in (
        storage.cores(),
        storage.commit(Changeset(core.core_id)),
        storage.read(core.core_id, 0, 1),
        storage.get_value("a"),
        storage.set_values({}),
    ):
        with pytest.raises(StorageError, match="closed"):
            await ask


async def test_reads_under_way_at_close_still_come_through(tmp_path: Path) -> None:
    storage = await SqliteStorage.open(tmp_path)
    core = await make(storage)
    data = b"x" * (2 << 20)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, data)]))
    reading = asyncio.create_task(storage.read(core.core_id, 0, len(data)))
    await asyncio.sleep(0)
    await storage.close()
    assert await reading == data


async def test_rows_that_we_never_wrote_are_named_or_do_not_count(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path) as storage:
        for name in (1, 2):
            await storage.create_core(CoreKey(bytes([name]) * 32), DiscoveryKey(bytes([name])), b"")
        page = bytes(PAGE_BITS // 8)
        nodes = [TreeNode(index, 1, bytes(32)) for index in range(4)]
        await storage.commit(Changeset(1, nodes=nodes, pages={0: b"\x01" + page[1:]}))
    with sqlite3.connect(tmp_path / "pearbox.db") as database:
        database.execute("UPDATE nodes SET hash = x'00' WHERE node_index = 2")
        database.execute("UPDATE nodes SET size = 'ten' WHERE node_index = 3")
        database.execute("UPDATE pages SET bits = 7")
        database.execute("UPDATE cores SET length = -1 WHERE core_id = 2")
    database.close()
    async with await SqliteStorage.open(tmp_path) as storage:
        assert await storage.open_core(DiscoveryKey(b"\x01")) is not None
        assert sorted(await storage.nodes(1, range(4))) == [0, 1]
        assert await storage.nodes_from(1, 0, 9) == nodes[:2]
        assert await storage.pages(1) == {}
        with pytest.raises(StorageError, match="damaged") as caught:
            await storage.open_core(DiscoveryKey(b"\x02"))
    assert caught.value.code == "STORAGE_DAMAGED"


async def test_a_new_core_with_bytes_from_before_is_marked(tmp_path: Path) -> None:
    key = DiscoveryKey(bytes(32))
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await storage.create_core(CoreKey(bytes(32)), key, None)
        assert core.user_data == {}
        await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"abc")]))
    (tmp_path / "pearbox.db").unlink()
    for _ in range(2):
        async with await SqliteStorage.open(tmp_path) as storage:
            core = await storage.create_core(CoreKey(bytes(32)), key, None)
            assert core.user_data == {LEFT_OVER: b"\x01"}
            assert await storage.read(core.core_id, 0, 3) == b"abc"

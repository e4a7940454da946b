"""Group commit: order, groups, and what a failure takes with it."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from threading import Event

import pytest
import pytest_asyncio

from pearbox_edge.data.storage import (
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    SqliteStorage,
    StoredCore,
)
from pearbox_edge.data.storage.chores import Chore
from pearbox_edge.data.storage.database import Database
from pearbox_edge.data.storage.files import DataFiles
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey


class Log:
    """What the files and the database were asked to do, in order; can hold files up."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.lines: list[str] = []
        self.gate = Event()
        self.gate.set()
        store, apply, cut = DataFiles.store, Database.apply, DataFiles.cut

        def logged_store(
            files: DataFiles, batches: Mapping[DiscoveryKey, Sequence[BlockWrite]]
        ) -> dict[DiscoveryKey, StorageError]:
            self.gate.wait(10)
            failed = store(files, batches)
            self.lines.append(f"bytes {sum(len(each) for each in batches.values())}")
            return failed

        async def logged_apply(
            database: Database,
            steps: Sequence[tuple[DiscoveryKey, Changeset]],
            *,
            replaced: bool = False,
        ) -> list[Chore]:
            chores = await apply(database, steps, replaced=replaced)
            self.lines.append(f"rows {len(steps)}")
            return chores

        def logged_cut(files: DataFiles, core: DiscoveryKey, end: int) -> None:
            cut(files, core, end)
            self.lines.append("cut")

        patch.setattr(DataFiles, "store", logged_store)
        patch.setattr(Database, "apply", logged_apply)
        patch.setattr(DataFiles, "cut", logged_cut)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch)


@pytest_asyncio.fixture
async def storage(log: Log, tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    async with await SqliteStorage.open(tmp_path / "data") as storage:
        yield storage


async def make(storage: SqliteStorage, name: int = 1) -> StoredCore:
    key = bytes([name]) * 32
    return await storage.create_core(CoreKey(key), DiscoveryKey(key), None)


async def find(storage: SqliteStorage, name: int = 1) -> StoredCore:
    core = await storage.open_core(DiscoveryKey(bytes([name]) * 32))
    assert core is not None
    return core


def append(core: StoredCore, index: int) -> Changeset:
    """One byte more."""
    return Changeset(
        core.core_id, blocks=[BlockWrite(index, b"x")], head=Head(index + 1, index + 1)
    )


def fail_once(patch: pytest.MonkeyPatch, name: str, number: int = errno.ENOSPC) -> list[str]:
    """The next call of a function of `os` fails; returns a list that shows whether it did."""
    real = getattr(os, name)
    failed: list[str] = []

    def call(*arguments: object) -> object:
        if not failed:
            failed.append(name)
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    patch.setattr(os, name, call)
    return failed


async def test_steps_that_wait_together_share_a_sync_and_a_transaction(
    storage: SqliteStorage, log: Log
) -> None:
    core, other = await make(storage, 1), await make(storage, 2)
    log.gate.clear()
    steps = [append(core, 0), append(other, 0), append(core, 1), append(other, 1)]
    async with asyncio.TaskGroup() as group:
        for step in steps:
            group.create_task(storage.commit(step))
        await asyncio.sleep(0)
        log.gate.set()
    assert log.lines in (
        ["bytes 4", "rows 4"],
        ["bytes 1", "rows 1", "bytes 3", "rows 3"],
        ["bytes 1", "bytes 3", "rows 1", "rows 3"],
    )


async def test_bytes_come_before_the_rows_that_name_them(storage: SqliteStorage, log: Log) -> None:
    core = await make(storage)
    for index in range(3):
        await storage.commit(append(core, index))
    assert log.lines == ["bytes 1", "rows 1"] * 3


async def test_bytes_wait_for_the_end_of_a_truncation(storage: SqliteStorage, log: Log) -> None:
    core = await make(storage)
    await storage.commit(append(core, 0))
    log.lines.clear()
    truncate = Changeset(core.core_id, truncate_to=0, head=Head(0, 0, 1))
    await asyncio.gather(storage.commit(truncate), storage.commit(append(core, 0)))
    assert log.lines == ["rows 1", "cut", "bytes 1", "rows 1"]


async def test_a_step_without_bytes_leaves_the_files_alone(
    storage: SqliteStorage, log: Log
) -> None:
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, contiguous_length=3))
    assert log.lines == ["rows 1"]


async def test_a_cancelled_wait_does_not_undo_the_step(storage: SqliteStorage, log: Log) -> None:
    core = await make(storage)
    log.gate.clear()
    waiting = asyncio.create_task(storage.commit(append(core, 0)))
    await asyncio.sleep(0)
    waiting.cancel()
    log.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await storage.commit(append(core, 1))
    assert (await find(storage)).head.length == 2


@pytest.mark.parametrize("call", ["pwritev", "fdatasync", "fsync"])
async def test_a_failed_write_fails_the_steps_behind_it_and_nobody_else(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    core, other = await make(storage, 1), await make(storage, 2)
    failed = fail_once(monkeypatch, call)
    steps = [append(core, 0), append(other, 0), append(core, 1), append(core, 2)]
    results = await asyncio.gather(*map(storage.commit, steps), return_exceptions=True)
    assert failed
    assert results[1] is None
    for result in (results[0], results[2], results[3]):
        assert isinstance(result, StorageError)
        assert result.code == "STORAGE_FULL"
    assert (await find(storage, 1)).head.length == 0
    assert (await find(storage, 2)).head.length == 1


async def test_after_a_failure_the_core_goes_on(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = await make(storage)
    with monkeypatch.context() as patch:
        fail_once(patch, "pwritev")
        with pytest.raises(StorageError):
            await storage.commit(append(core, 0))
    await storage.commit(append(core, 0))
    assert (await find(storage)).head.length == 1
    assert await storage.read(core.core_id, 0, 1) == b"x"


async def test_a_failed_transaction_fails_its_group_and_what_was_built_on_it(
    storage: SqliteStorage, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = await make(storage)
    apply = Database.apply
    calls = 0

    async def fail(
        database: Database,
        steps: Sequence[tuple[DiscoveryKey, Changeset]],
        *,
        replaced: bool = False,
    ) -> list[Chore]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StorageError("no", code="STORAGE_IO")
        return await apply(database, steps, replaced=replaced)

    monkeypatch.setattr(Database, "apply", fail)
    steps = [append(core, index) for index in range(5)]
    results = await asyncio.gather(*map(storage.commit, steps), return_exceptions=True)
    assert [type(result) for result in results] == [StorageError] * 5
    assert (await find(storage)).head.length == 0
    await storage.commit(append(core, 0))
    assert (await find(storage)).head.length == 1


def replace(core: StoredCore) -> Changeset:
    return Changeset(
        core.core_id, truncate_to=0, blocks=[BlockWrite(0, b"NEW!")], head=Head(1, 4, 1)
    )


async def test_a_replacing_step_that_fails_leaves_the_old_bytes(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"olds")], head=Head(1, 4)))
    with monkeypatch.context() as patch:
        fail_once(patch, "fdatasync")
        with pytest.raises(StorageError):
            await storage.commit(replace(core))
    assert await storage.read(core.core_id, 0, 4) == b"olds"
    assert (await find(storage)).head == Head(1, 4)
    await storage.commit(replace(core))
    assert await storage.read(core.core_id, 0, 4) == b"NEW!"


async def test_old_bytes_that_could_not_be_put_back_are_when_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await SqliteStorage.open(tmp_path)
    core, other = await make(storage, 1), await make(storage, 2)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"olds")], head=Head(1, 4)))

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(StorageError):
            await storage.commit(replace(core))
    with pytest.raises(StorageError, match="Input/output"):
        await storage.commit(replace(core))
    await storage.commit(append(other, 0))
    await storage.close()

    # As if the process had died in between: the new bytes are in the file, the old head is not.
    path = storage_file(tmp_path, core)
    path.write_bytes(b"NEW!")
    async with await SqliteStorage.open(tmp_path) as storage:
        core = await find(storage)
        assert core.head == Head(1, 4)
        assert await storage.read(core.core_id, 0, 4) == b"olds"
        await storage.commit(replace(core))
        assert await storage.read(core.core_id, 0, 4) == b"NEW!"


def storage_file(folder: Path, core: StoredCore) -> Path:
    return DataFiles(folder, 1).path(core.discovery_key)


async def test_space_a_crash_left_taken_is_given_back_when_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await SqliteStorage.open(tmp_path)
    core = await make(storage)
    await storage.commit(
        Changeset(core.core_id, blocks=[BlockWrite(0, b"x" * 100)], head=Head(1, 100))
    )
    with monkeypatch.context() as patch:
        patch.setattr(DataFiles, "cut", lambda files, core, end: None)
        await storage.commit(Changeset(core.core_id, truncate_to=0, head=Head(0, 0, 1)))
    await storage.close()
    assert storage_file(tmp_path, core).stat().st_size == 100
    await (await SqliteStorage.open(tmp_path)).close()
    assert storage_file(tmp_path, core).stat().st_size == 0


async def test_closing_lets_queued_steps_through_first(tmp_path: Path) -> None:
    storage = await SqliteStorage.open(tmp_path)
    core = await make(storage)
    async with asyncio.TaskGroup() as group:
        for index in range(50):
            group.create_task(storage.commit(append(core, index)))
        await asyncio.sleep(0)
        await storage.close()
    async with await SqliteStorage.open(tmp_path) as storage:
        assert (await find(storage)).head.length == 50


async def test_more_steps_than_the_queue_takes_all_get_through_in_order(
    storage: SqliteStorage,
) -> None:
    core = await make(storage)
    steps = [
        Changeset(core.core_id, head=Head(i, i), cleared=[ByteRange(i, 1)] if i % 500 == 0 else [])
        for i in range(3000)
    ]
    await asyncio.gather(*map(storage.commit, steps))
    assert (await find(storage)).head.length == 2999

"""Each call that can fail, failing once: a clear error, and a directory that is whole."""

import asyncio
import errno
import os
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiosqlite
import pytest

from pearbox_edge.data.storage import BlockWrite, Changeset, Head, SqliteStorage
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey
from tests.faults.storage_writer import CORES, Log, check

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

STEPS = 12
CALLS = ("pwritev", "fdatasync", "fsync", "pread", "ftruncate")
"""The functions of `os` that the data files are written with."""


class Breaker:
    """Counts calls of `os` and of SQLite's commit, and fails the Nth."""

    def __init__(self, patch: pytest.MonkeyPatch, fail_at: int) -> None:
        self.count = 0
        self.fail_at = fail_at
        for name in CALLS:
            patch.setattr(os, name, self._wrapped(getattr(os, name)))
        commit = aiosqlite.Connection.commit

        async def broken_commit(connection: aiosqlite.Connection) -> None:
            self._count(sqlite3.OperationalError("disk I/O error"))
            await commit(connection)

        patch.setattr(aiosqlite.Connection, "commit", broken_commit)

    def _count(self, error: Exception) -> None:
        self.count += 1
        if self.count == self.fail_at:
            raise error

    def _wrapped(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            self._count(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return real(*arguments)

        return call


async def run_steps(folder: Path, breaker: Breaker | None = None) -> int:
    """Play a fixed list of steps; a core whose step fails is read back and goes on.

    Returns how many steps failed. What is on disk is compared with what was acknowledged.
    """
    failures = 0
    async with await SqliteStorage.open(folder) as storage:
        logs = []
        for number in range(CORES):
            key = bytes([number]) * 32
            try:
                core = await storage.create_core(CoreKey(key), DiscoveryKey(key), None)
            except StorageError:
                failures += 1
                core = await storage.create_core(CoreKey(key), DiscoveryKey(key), None)
            logs.append(Log(number, core.core_id))
        for step in range(STEPS):
            for number, log in enumerate(logs):
                before = log.head
                try:
                    await storage.commit(log.step(random.Random(f"{step} {number}")))
                except StorageError:
                    failures += 1
                    logs[number] = await check(storage, number)
                    assert logs[number].head == before
        if breaker is not None:
            breaker.fail_at = 0
    async with await SqliteStorage.open(folder) as storage:
        for number, log in enumerate(logs):
            assert (await check(storage, number)).head == log.head
    return failures


async def test_each_call_failing_once_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        breaker = Breaker(patch, 0)
        assert await run_steps(tmp_path / "sound", breaker) == 0
        total = breaker.count
    assert total > 2 * STEPS
    for fail_at in range(1, total + 1):
        with monkeypatch.context() as patch:
            breaker = Breaker(patch, fail_at)
            # A call that is only for tidiness (giving space back) may fail without a word.
            assert await run_steps(tmp_path / str(fail_at), breaker) <= 1
            assert breaker.count >= fail_at


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 4 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


async def test_a_full_disk_is_said_and_works_again_when_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    await asyncio.to_thread(ballast.write_bytes, bytes(1 << 20))
    key = bytes(32)
    block = bytes(range(256)) * 256
    async with await SqliteStorage.open(small_disk / "data") as storage:
        core = await storage.create_core(CoreKey(key), DiscoveryKey(key), None)

        def append(index: int) -> Changeset:
            end = (index + 1) * len(block)
            return Changeset(
                core.core_id,
                blocks=[BlockWrite(index * len(block), block)],
                head=Head(index + 1, end),
            )

        async def fill() -> None:
            for index in range(1000):
                await storage.commit(append(index))

        with pytest.raises(StorageError, match="free some space") as caught:
            await fill()
        assert caught.value.code == "STORAGE_FULL"
        found = await storage.open_core(DiscoveryKey(key))
        assert found is not None
        length = found.head.length
        assert length > 10
        with pytest.raises(StorageError):
            await storage.commit(append(length))
        assert await storage.read(core.core_id, 0, length * len(block)) == block * length

        ballast.unlink()
        await storage.commit(append(length))
        assert await storage.read(core.core_id, length * len(block), len(block)) == block


async def test_a_disk_with_no_room_for_rows_is_said_too(small_disk: Path) -> None:
    key = bytes(32)
    ballast = small_disk / "ballast"
    async with await SqliteStorage.open(small_disk / "data") as storage:
        core = await storage.create_core(CoreKey(key), DiscoveryKey(key), None)
        with pytest.raises(OSError, match="No space"):
            await asyncio.to_thread(ballast.write_bytes, bytes(8 << 20))

        async def fill() -> None:
            for count in range(1000):
                name = str(count)
                await storage.commit(Changeset(core.core_id, user_data={name: bytes(20_000)}))

        with pytest.raises(StorageError) as caught:
            await fill()
        assert caught.value.code == "STORAGE_FULL"
        before = await storage.open_core(DiscoveryKey(key))
        ballast.unlink()
        assert await storage.open_core(DiscoveryKey(key)) == before
        await storage.commit(Changeset(core.core_id, user_data={"after": b"room"}))
    async with await SqliteStorage.open(small_disk / "data") as storage:
        found = await storage.open_core(DiscoveryKey(key))
        assert found is not None
        assert found.user_data["after"] == b"room"

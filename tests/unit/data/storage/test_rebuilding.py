"""Databases damaged in every way: refused with words, rebuilt with what is left, kept aside."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from pearbox_edge.data.storage import (
    LEFT_OVER,
    PAGE_BITS,
    BlockWrite,
    Changeset,
    Head,
    SqliteStorage,
    StoredCore,
    TreeNode,
)
from pearbox_edge.data.storage.rebuilding import NEW_FILE, REBUILT
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey

CORES = 3
NODES = 1500
DATABASE = "pearbox.db"


def key(number: int) -> DiscoveryKey:
    return DiscoveryKey(bytes([number, 7]) * 16)


async def make(path: Path) -> None:
    chance = random.Random("make")
    async with await SqliteStorage.open(path) as storage:
        await storage.set_values({"corestore/primary-key": b"P" * 32, "identity/seed": b"I" * 32})
        await storage.set_values({f"other/{i}": chance.randbytes(50) for i in range(200)})
        for number in range(CORES):
            core = await storage.create_core(CoreKey(bytes([number]) * 32), key(number), b"man")
            nodes = [TreeNode(index, index, chance.randbytes(32)) for index in range(NODES)]
            page = chance.randbytes(PAGE_BITS // 8)
            await storage.commit(
                Changeset(
                    core.core_id,
                    blocks=[BlockWrite(0, b"data")],
                    nodes=nodes,
                    pages={0: page},
                    head=Head(750, 4, 0, bytes(32), bytes(64)),
                    user_data={"name": b"value"},
                )
            )


async def dump(path: Path) -> tuple[dict[str, bytes], dict[int, tuple[object, ...]]]:
    async with await SqliteStorage.open(path) as storage:
        cores: dict[int, tuple[object, ...]] = {}
        for discovery_key in await storage.cores():
            core = await storage.open_core(discovery_key)
            assert core is not None
            nodes = await storage.nodes_from(core.core_id, 0, 10_000)
            cores[core.core_id] = (core, nodes, await storage.pages(core.core_id))
        return await storage.list_values(""), cores


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> Path:
    await make(tmp_path / "data")
    return tmp_path / "data"


async def test_a_sound_database_is_rebuilt_as_it_was(place: Path) -> None:
    before = await dump(place)
    rebuilt = await SqliteStorage.rebuild(place)
    assert (rebuilt.lost, rebuilt.cores) == ([], CORES)
    assert rebuilt.kept_in == place / "damaged-1"
    assert (rebuilt.kept_in / DATABASE).exists()
    assert (place / DATABASE).stat().st_mode & 0o777 == 0o600
    assert await dump(place) == before
    assert (await SqliteStorage.rebuild(place)).kept_in == place / "damaged-2"


async def test_a_log_left_by_a_crash_counts_and_does_not_spoil_the_new(
    place: Path, tmp_path: Path
) -> None:
    storage = await SqliteStorage.open(place)
    await storage.set_values({"late": b"but there"})
    shutil.copytree(place, tmp_path / "crashed")
    await storage.close()
    assert (tmp_path / "crashed" / f"{DATABASE}-wal").stat().st_size > 0
    await SqliteStorage.rebuild(tmp_path / "crashed")
    assert not (tmp_path / "crashed" / f"{DATABASE}-wal").exists()
    assert (await dump(tmp_path / "crashed")) == (await dump(place))


def garbage(data: bytearray, chance: random.Random) -> bytearray:
    return bytearray(chance.randbytes(5000))


def nothing(data: bytearray, chance: random.Random) -> bytearray:
    data[:] = bytes(len(data))
    return data


def cut(data: bytearray, chance: random.Random) -> bytearray:
    return data[: len(data) // 2 + 77]


def no_header(data: bytearray, chance: random.Random) -> bytearray:
    data[:100] = bytes(100)
    return data


def no_schema(data: bytearray, chance: random.Random) -> bytearray:
    data[:4096] = bytes(4096)
    return data


def wiped_pages(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(4):
        at = 4096 * chance.randrange(1, len(data) // 4096)
        data[at : at + 4096] = chance.randbytes(4096)
    return data


def flipped_bits(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(200):
        data[chance.randrange(4096, len(data))] ^= 1 << chance.randrange(8)
    return data


DAMAGE = [garbage, nothing, cut, no_header, no_schema, wiped_pages, flipped_bits]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_database_keeps_its_keys_and_what_can_be_read(
    place: Path, damage: Callable[[bytearray, random.Random], bytearray]
) -> None:
    values, cores = await dump(place)
    chance = random.Random(damage.__name__)
    data = damage(bytearray((place / DATABASE).read_bytes()), chance)
    (place / DATABASE).write_bytes(data)
    rebuilt = await SqliteStorage.rebuild(place)
    assert (rebuilt.kept_in / DATABASE).read_bytes() == data
    after_values, after_cores = await dump(place)
    for name in ("corestore/primary-key", "identity/seed"):
        assert after_values[name] == values[name]
    if damage in (no_header, no_schema):
        # Nothing but the way to the rows was lost.
        assert after_values == values
        for core_id, (core, *rest) in cores.items():
            marked, *after = after_cores[core_id]
            assert after == rest
            assert isinstance(core, StoredCore)
            assert marked == replace(core, user_data={**core.user_data, LEFT_OVER: REBUILT})
    if damage in (garbage, nothing):
        assert (after_cores, len(rebuilt.lost) >= CORES) == ({}, True)
    if damage is cut:
        assert rebuilt.lost
        assert sum(len(nodes) for _, nodes, _ in after_cores.values()) > NODES  # type: ignore[arg-type, misc]
    for core in after_cores:
        assert core in cores or damage is flipped_bits


@pytest.mark.parametrize("damage", [garbage, cut, no_header, no_schema])
async def test_damage_is_said_with_what_to_do(
    place: Path, damage: Callable[[bytearray, random.Random], bytearray]
) -> None:
    data = damage(bytearray((place / DATABASE).read_bytes()), random.Random(1))
    (place / DATABASE).write_bytes(data)
    with pytest.raises(StorageError, match="drive rebuild") as caught:
        await dump(place)
    assert caught.value.code == "STORAGE_DAMAGED"


async def test_an_interrupted_rebuild_is_said_and_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await dump(place)
    calls = ["link", "rename", "unlink"]
    real = {name: getattr(os, name) for name in calls}
    count = fail_at = 0

    def counted(name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count >= fail_at > 0:
                raise OSError(5, "it broke")
            return real[name](*arguments, **named)

        return call

    for attempt in range(1, 12):
        count, fail_at = 0, attempt
        with monkeypatch.context() as patch:
            for name in calls:
                patch.setattr(os, name, counted(name))
            try:
                await SqliteStorage.rebuild(place)
            except StorageError:
                pass
            else:
                break
        if (place / NEW_FILE).exists():
            with pytest.raises(StorageError, match="drive rebuild"):
                await SqliteStorage.open(place)
    else:
        raise AssertionError("it never came through")
    assert fail_at > 4
    assert await dump(place) == before


async def test_lost_rows_of_a_core_are_named_with_its_file(place: Path) -> None:
    with sqlite3.connect(place / DATABASE) as database:
        database.execute("DELETE FROM cores WHERE core_id = 2")
    database.close()
    rebuilt = await SqliteStorage.rebuild(place)
    assert rebuilt.cores == CORES - 1
    assert f"{NODES} tree nodes" in rebuilt.lost[0]
    assert key(1).hex() in rebuilt.lost[1]


async def test_a_directory_in_use_is_not_rebuilt(place: Path) -> None:
    async with await SqliteStorage.open(place):
        with pytest.raises(StorageError, match="another process"):
            await SqliteStorage.rebuild(place)

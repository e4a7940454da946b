"""Whole data directories: damaged, rebuilt, verified, and whole again once a peer helped."""

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from pearbox_edge.crypto import KeyPair, discovery_key
from pearbox_edge.data.core import FindingKind, Hypercore, Manifest, verify_storage
from pearbox_edge.data.storage import LEFT_OVER, Changeset, MemoryStorage, SqliteStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import StorageError, UnavailableError
from pearbox_edge.logs import short
from tests.kit.cores import full_core
from tests.kit.replication import connected, make_store
from tests.kit.storage import FaultyStorage

LENGTHS = (1, 40, 400)
WRITERS = [KeyPair.from_seed(bytes([i]) * 32) for i in range(len(LENGTHS))]


def blocks(length: int) -> list[bytes]:
    return [random.Random(i).randbytes(i * 37 % 3000) for i in range(length)]


async def make(path: Path) -> None:
    async with await SqliteStorage.open(path) as storage:
        await storage.set_values({"corestore/primary-key": bytes([3]) * 32})
        for length, writer in zip(LENGTHS, WRITERS, strict=True):
            core = await Hypercore.open(storage, key_pair=writer)
            await core.append(blocks(length))
            await core.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made")
    asyncio.run(make(path))
    return path


@pytest.fixture
def place(tmp_path: Path, made: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def wipe(path: Path, seed: int) -> None:
    """Overwrite some pages of the database; the first one too with every third seed."""
    chance = random.Random(seed)
    data = bytearray((path / "pearbox.db").read_bytes())
    for _ in range(1 + seed % 3):
        at = 4096 * chance.randrange(0 if seed % 3 == 0 else 1, len(data) // 4096)
        data[at : at + 4096] = chance.randbytes(4096)
    if seed % 5 == 4:
        del data[len(data) * 2 // 3 :]
    (path / "pearbox.db").write_bytes(data)


@pytest.mark.parametrize("seed", range(6))
async def test_a_rebuilt_directory_is_sound_and_a_peer_makes_it_whole(
    place: Path, seed: int
) -> None:
    wipe(place, seed)
    await SqliteStorage.rebuild(place)
    async with await SqliteStorage.open(place) as storage:
        [finding async for finding in verify_storage(storage, repair=True)]
        assert [str(finding) async for finding in verify_storage(storage)] == []
        peers = MemoryStorage()
        for length, writer in zip(LENGTHS, WRITERS, strict=True):
            other = await Hypercore.open(peers, key_pair=writer)
            await other.append(blocks(length))
            await other.close()
        near_store = Corestore(storage, primary_key=bytes([3]) * 32)
        async with make_store(1, peers) as far, near_store as near:
            for length, writer in zip(LENGTHS, WRITERS, strict=True):
                core = await near.get(key_pair=writer)
                held = [index for index in range(core.length) if core.has(index)]
                for index in held:
                    assert await core.get(index) == blocks(length)[index]
                there = await far.get(key_pair=writer)
                async with connected(near, far, bytes([length % 256])):
                    await core.update(timeout=5)
                    assert await core.get_many(0, length, timeout=5) == blocks(length)
                await there.close()
                assert await core.append([b"more"]) == length + 1
                assert not core.has_left_over
                await core.close()


async def test_lost_bits_come_back_from_the_bytes(place: Path) -> None:
    async with await SqliteStorage.open(place) as storage:
        for discovery_key in await storage.cores():
            core = await storage.open_core(discovery_key)
            assert core is not None
            pages = {page: bytes(4096) for page in await storage.pages(core.core_id)}
            mark: dict[str, bytes | None] = {LEFT_OVER: b"rebuilt"}
            await storage.commit(Changeset(core.core_id, pages=pages, user_data=mark))
        assert [finding async for finding in verify_storage(storage, repair=True)] == []
        for length, writer in zip(LENGTHS, WRITERS, strict=True):
            core_ = await Hypercore.open(storage, key_pair=writer)
            assert core_.contiguous_length == length
            await core_.close()


async def test_an_older_head_than_the_bytes_is_not_built_on(place: Path) -> None:
    before = (place / "pearbox.db").read_bytes()
    async with await SqliteStorage.open(place) as storage:
        core = await Hypercore.open(storage, key_pair=WRITERS[1])
        await core.append([b"newest"])
        await core.close()
    # As if the pages written last were lost, and found out to be.
    (place / "pearbox.db").write_bytes(before[:-4096])
    await SqliteStorage.rebuild(place)
    async with await SqliteStorage.open(place) as storage:
        [finding async for finding in verify_storage(storage, repair=True)]
        core = await Hypercore.open(storage, key_pair=WRITERS[1])
        with pytest.raises(StorageError, match="connect to a peer"):
            await core.append([b"a second block 40"])
        await core.close()


async def test_a_core_that_cannot_be_read_does_not_end_the_walk() -> None:
    core = await full_core([b"a"])
    await core.close()
    storage = FaultyStorage(core.storage, fail_at=1, only=["pages"])
    (found,) = [finding async for finding in verify_storage(storage)]
    assert (found.core, found.kind) == (core.key, FindingKind.TABLES)
    storage = FaultyStorage(core.storage, fail_at=1, only=["open_core"])
    (found,) = [finding async for finding in verify_storage(storage)]
    assert "made to fail" in str(found)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM nodes WHERE core_id = 2",
        "UPDATE cores SET manifest = x'00' WHERE core_id = 2",
        "UPDATE cores SET length = 'long' WHERE core_id = 2",
    ],
)
async def test_a_damaged_core_is_named_and_the_others_serve_on(place: Path, damage: str) -> None:
    with sqlite3.connect(place / "pearbox.db") as database:
        database.execute(damage)
    database.close()
    async with await SqliteStorage.open(place) as storage:
        with pytest.raises(StorageError, match="drive rebuild") as caught:
            await Hypercore.open(storage, key_pair=WRITERS[1])
        keys = [Manifest.default(writer.public_key).key for writer in WRITERS]
        names = (short(keys[1]), discovery_key(keys[1]).hex()[:8])
        assert any(name in str(caught.value) for name in names)
        near_store = Corestore(storage, primary_key=bytes([3]) * 32)
        async with make_store(1) as far, near_store as near, connected(near, far):
            damaged, sound = [await far.get(key=keys[number]) for number in (1, 2)]
            with pytest.raises(UnavailableError):
                await damaged.get(0, timeout=0.3)
            await sound.update(timeout=5)
            assert await sound.get(7, timeout=5) == blocks(8)[7]
            await damaged.close()
            await sound.close()

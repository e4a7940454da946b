"""Damage of each kind done to a core at rest: found, named, and mended or let go."""

import asyncio
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from pearbox_edge.crypto import discovery_key
from pearbox_edge.data.core import Finding, FindingKind, Hypercore, Manifest, verify_storage
from pearbox_edge.data.core.merkle_tree import hash_of
from pearbox_edge.data.core.verifier import sign_head
from pearbox_edge.data.storage import LEFT_OVER, MemoryStorage, SqliteStorage, TreeNode
from pearbox_edge.errors import StorageError
from tests.kit.cores import WRITER, partial_core

LENGTH = 300
BLOCKS = [random.Random(i).randbytes(i * 37 % 5000) for i in range(LENGTH)]


def starts(index: int) -> int:
    return sum(map(len, BLOCKS[:index]))


class Place:
    """A data directory with one core of ours, closed and opened at will."""

    def __init__(self, path: Path) -> None:
        self.path = path
        name = discovery_key(Manifest.default(WRITER.public_key).key).hex()
        self.data = path / "cores" / name[:2] / name

    async def make(self) -> None:
        async with await SqliteStorage.open(self.path) as storage:
            core = await Hypercore.open(storage, key_pair=WRITER)
            for start in range(0, LENGTH, 50):
                await core.append(BLOCKS[start : start + 50])
            await core.close()

    def sql(self, text: str, *values: object) -> None:
        with sqlite3.connect(self.path / "pearbox.db") as database:
            database.execute(text, values)
        database.close()

    def flip(self, offset: int) -> None:
        data = bytearray(self.data.read_bytes())
        data[offset] ^= 1
        self.data.write_bytes(data)

    async def verify(self, *, repair: bool = False) -> list[Finding]:
        """Of the open core; a storage-wide walk must say the same."""
        async with await SqliteStorage.open(self.path) as storage:
            walked = [finding async for finding in verify_storage(storage)]
        async with await SqliteStorage.open(self.path) as storage:
            core = await Hypercore.open(storage, key_pair=WRITER)
            found = [finding async for finding in core.verify(repair=repair)]
            await core.close()
        if not repair:
            assert walked == found
        return found

    async def walk(self, *, repair: bool = False) -> list[Finding]:
        async with await SqliteStorage.open(self.path) as storage:
            return [finding async for finding in verify_storage(storage, repair=repair)]

    async def held(self) -> list[int]:
        """Blocks held; each must read as it was written."""
        async with await SqliteStorage.open(self.path) as storage:
            core = await Hypercore.open(storage, key_pair=WRITER)
            held = [index for index in range(core.length) if core.has(index)]
            for index in held:
                assert await core.get(index) == BLOCKS[index]
            await core.close()
        return held


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Place(tmp_path_factory.mktemp("made"))
    asyncio.run(place.make())
    return place.path


@pytest.fixture
def place(tmp_path: Path, made: Path) -> Place:
    return Place(shutil.copytree(made, tmp_path / "data"))


async def test_a_sound_core_has_no_findings(place: Place) -> None:
    assert await place.verify() == []


async def test_a_core_in_memory_can_be_checked_too() -> None:
    storage = MemoryStorage()
    core = await Hypercore.open(storage, key_pair=WRITER)
    await core.append(BLOCKS[:9])
    assert [finding async for finding in core.verify()] == []
    assert [finding async for finding in verify_storage(storage)] == []


async def test_a_changed_byte_is_found_and_its_block_let_go(place: Place) -> None:
    place.flip(starts(17) + 3)
    place.flip(starts(18) + 3)
    place.flip(starts(99) + 3)
    found = await place.verify()
    assert [(f.kind, f.start, f.end) for f in found] == [
        (FindingKind.BLOCK, 17, 19),
        (FindingKind.BLOCK, 99, 100),
    ]
    assert "blocks 17 to 18" in str(found[0])
    assert "fetch it again" in str(found[0])
    repaired = await place.verify(repair=True)
    assert [f.repaired for f in repaired] == [True, True]
    assert await place.verify() == []
    assert await place.held() == [i for i in range(LENGTH) if i not in (17, 18, 99)]


async def test_a_cut_data_file_is_found(place: Place) -> None:
    with place.data.open("r+b") as file:
        file.truncate(starts(250) + 1)
    found = await place.verify(repair=True)
    assert [(f.kind, f.start, f.end) for f in found] == [(FindingKind.BLOCK, 250, LENGTH)]
    assert await place.verify() == []
    assert await place.held() == list(range(250))


async def test_a_lost_data_file_is_found(place: Place) -> None:
    place.data.unlink()
    found = await place.verify(repair=True)
    empty = [index for index, block in enumerate(BLOCKS) if not block]
    assert sum(f.end - f.start for f in found) == LENGTH - len(empty)
    assert await place.held() == empty


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE nodes SET hash = zeroblob(32) WHERE node_index = ?",
        "UPDATE nodes SET size = size + 1 WHERE node_index = ?",
        "DELETE FROM nodes WHERE node_index = ?",
    ],
)
@pytest.mark.parametrize("index", [0, 35, 1, 3, 255, 571])
async def test_a_damaged_node_is_put_right_from_the_rest(
    place: Place, damage: str, index: int
) -> None:
    place.sql(damage, index)
    found = await place.walk(repair=True)
    assert found
    assert {(f.kind, f.mended) for f in found if f.kind is FindingKind.NODE} == {
        (FindingKind.NODE, True)
    }
    assert await place.walk() == []
    assert await place.held() == list(range(LENGTH))


async def test_what_lies_below_several_damaged_nodes_is_let_go(place: Place) -> None:
    place.sql("UPDATE nodes SET hash = zeroblob(32) WHERE node_index BETWEEN 64 AND 72")
    found = await place.verify(repair=True)
    assert any(f.repaired and not f.mended for f in found)
    assert await place.verify() == []
    held = await place.held()
    assert LENGTH - 16 <= len(held) < LENGTH


async def test_nodes_and_bits_past_the_head_are_removed(place: Place) -> None:
    place.sql("INSERT INTO nodes SELECT core_id, 600, size, hash FROM nodes WHERE node_index = 0")
    place.sql("UPDATE pages SET bits = CAST(bits || x'ff' AS BLOB)")
    found = await place.verify(repair=True)
    assert {f.kind for f in found} == {FindingKind.NODE, FindingKind.BITS}
    assert all(f.mended for f in found)
    assert await place.verify() == []
    assert await place.held() == list(range(LENGTH))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE cores SET signature = zeroblob(64)",
        "UPDATE cores SET byte_length = byte_length + 1",
        "UPDATE cores SET tree_hash = zeroblob(32)",
        "UPDATE cores SET fork = 7",
        "UPDATE cores SET manifest = x'00'",
        "DELETE FROM nodes",
    ],
)
async def test_a_damaged_head_resets_the_core_and_keeps_its_bytes(
    place: Place, damage: str
) -> None:
    place.sql(damage)
    (found,) = await place.walk()
    assert (found.kind, found.start, found.end) == (FindingKind.HEAD, 0, LENGTH)
    before = place.data.read_bytes()
    (found,) = await place.walk(repair=True)
    assert found.repaired
    assert await place.walk() == []
    assert place.data.read_bytes() == before
    if "manifest" not in damage:
        async with await SqliteStorage.open(place.path) as storage:
            core = await Hypercore.open(storage, key_pair=WRITER)
            assert (core.length, core.has_left_over) == (0, True)
            # Signing a second head of some length would end the core for everybody.
            with pytest.raises(StorageError, match="connect to a peer"):
                await core.append([b"x"])
            with pytest.raises(StorageError, match="connect to a peer"):
                await core.truncate(0)
            await core.close()


async def test_a_core_in_use_is_checked_without_false_alarm(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path / "data") as storage:
        core = await Hypercore.open(storage, key_pair=WRITER)
        chance = random.Random("busy")
        stop = False

        async def change() -> None:
            while not stop:
                await core.append([chance.randbytes(2000) for _ in range(40)])
                if core.length > 400:
                    await core.truncate(chance.randrange(core.length))
                if core.length:
                    start = chance.randrange(core.length)
                    await core.clear(start, start + 20)

        changing = asyncio.create_task(change())
        for _ in range(20):
            assert [str(finding) async for finding in core.verify(repair=True)] == []
            await asyncio.sleep(0.005)
        stop = True
        await changing
        await core.close()


async def test_bytes_at_rest_are_adopted_once_their_leaves_are_known(place: Place) -> None:
    place.flip(starts(17) + 3)
    place.sql("DELETE FROM pages")
    async with await SqliteStorage.open(place.path) as storage:
        core = await Hypercore.open(storage, key_pair=WRITER)
        assert not core.has(1)
        assert await core.adopt(10, 200) == [(10, 17), (18, 200)]
        assert await core.adopt(0, 1 << 50) == [(0, 10), (200, LENGTH)]
        assert await core.adopt(0, LENGTH) == []
        assert core.contiguous_length == 17
        await core.close()
    assert await place.held() == [i for i in range(LENGTH) if i != 17]
    assert await place.verify() == []


async def test_a_core_whose_rows_are_lost_is_marked(place: Place) -> None:
    (place.path / "pearbox.db").unlink()
    async with await SqliteStorage.open(place.path) as storage:
        core = await Hypercore.open(storage, key_pair=WRITER)
        assert core.has_left_over
        assert LEFT_OVER in core.user_data
        with pytest.raises(StorageError, match="connect to a peer"):
            await core.append([b"x"])
        await core.close()


async def test_a_core_that_claims_more_than_any_disk_holds_is_checked_at_once() -> None:
    length = 1 << 40
    root = TreeNode(length - 1, 1 << 42, bytes(32))
    manifest = Manifest.default(WRITER.public_key)
    signature = sign_head(manifest.key, manifest, WRITER, length, 0, hash_of([root]))
    core = await partial_core(
        manifest.key, manifest, length=length, nodes=[root], signature=signature
    )
    assert [finding async for finding in core.verify()] == []
    assert await core.adopt(0, length) == []
    assert [finding async for finding in verify_storage(core.storage)] == []

"""The database: whose it is, what version, and what becomes of it when something fails."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import pytest
import pytest_asyncio

from pearbox_edge.data.storage import BlockWrite, Changeset, Head, TreeNode
from pearbox_edge.data.storage.chores import Chore, ChoreKind
from pearbox_edge.data.storage.database import DATABASE_FILE, Database
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey

CORE = DiscoveryKey(b"\1" * 32)
CACHE = 256


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path, CACHE)
    await database.add_core(CoreKey(CORE), CORE, None)
    yield database
    await database.close()


def change(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / DATABASE_FILE)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"this is a text and no database at all" * 100)
    with pytest.raises(StorageError, match=DATABASE_FILE) as caught:
        await Database.open(tmp_path, CACHE)
    assert caught.value.code == "STORAGE_DAMAGED"


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="another program"):
        await Database.open(tmp_path, CACHE)


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    await (await Database.open(tmp_path, CACHE)).close()
    change(tmp_path, "PRAGMA user_version = 1000")
    with pytest.raises(StorageError, match="newer version"):
        await Database.open(tmp_path, CACHE)


async def test_a_damaged_page_is_an_error_that_names_the_database(tmp_path: Path) -> None:
    database = await Database.open(tmp_path, CACHE)
    await database.add_core(CoreKey(CORE), CORE, None)
    nodes = [TreeNode(i, 1, bytes(32)) for i in range(5000)]
    await database.apply([(CORE, Changeset(1, nodes=nodes))])
    await database.close()
    path = tmp_path / DATABASE_FILE
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xaa" * (len(data) - 8192)
    path.write_bytes(data)
    database = await Database.open(tmp_path, CACHE)
    with pytest.raises(StorageError, match=DATABASE_FILE) as caught:
        await database.nodes(1, range(5000))
    assert caught.value.code == "STORAGE_DAMAGED"
    await database.close()


async def test_a_reader_never_sees_half_a_step(database: Database) -> None:
    nodes = [TreeNode(i, 1, bytes(32)) for i in range(100)]
    applying = asyncio.create_task(
        database.apply([(CORE, Changeset(1, nodes=nodes, head=Head(50)))])
    )
    while not applying.done():
        seen = len(await database.nodes(1, range(100)))
        assert seen in (0, 100)
    assert len(await database.nodes(1, range(100))) == 100


async def test_a_failed_commit_leaves_nothing_and_the_next_one_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Changeset(1, nodes=[TreeNode(0, 1, bytes(32))], head=Head(1))

    async def fail(connection: aiosqlite.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(aiosqlite.Connection, "commit", fail)
        with pytest.raises(StorageError, match="disk I/O error"):
            await database.apply([(CORE, step)])
    assert await database.nodes(1, [0]) == {}
    await database.set_values({"a": b"b"})
    assert await database.nodes(1, [0]) == {}
    await database.apply([(CORE, step)])
    assert len(await database.nodes(1, [0])) == 1


async def test_a_cancelled_transaction_leaves_nothing(database: Database) -> None:
    step = Changeset(1, nodes=[TreeNode(0, 1, bytes(32))], user_data={"a": b"b"}, head=Head(1))
    applying = asyncio.create_task(database.apply([(CORE, step)]))
    await asyncio.sleep(0)
    applying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await applying
    await database.set_values({"a": b"b"})
    core = await database.find_core(CORE)
    assert core is not None
    assert core.head == Head()
    assert await database.nodes(1, [0]) == {}


async def test_a_chore_stays_on_the_list_until_a_later_step(database: Database) -> None:
    shrink = Changeset(1, truncate_to=0, head=Head(0, 7))
    chores = await database.apply([(CORE, shrink)])
    assert chores == [Chore(ChoreKind.CUT, CORE, 7)]
    assert await database.chores() == chores
    database.strike(chores)
    assert await database.chores() == chores
    await database.set_values({})
    assert await database.chores() == []


async def test_replaced_bytes_are_forgotten_with_the_step_that_replaced_them(
    database: Database,
) -> None:
    await database.keep_replaced(CORE, [BlockWrite(3, b"old")])
    assert await database.replaced() == {CORE: [BlockWrite(3, b"old")]}
    await database.apply([(CORE, Changeset(1))], replaced=True)
    assert await database.replaced() == {}

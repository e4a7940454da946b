"""The rows: heads, nodes, bits and values in one SQLite database, behind typed calls.

Two connections, each with aiosqlite's thread: one writes, one reads what was committed last, so
that a look-up never waits for the disk to sync and never sees half a step.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey

from .chores import Chore, ChoreKind
from .failures import damaged_error, database_errors
from .interface import LEFT_OVER, PAGE_BITS, BlockWrite, Changeset, Head, StoredCore, TreeNode
from .migrations import APPLICATION_ID, MIGRATIONS, script
from .rows import PUT_PAGE, Rows, is_core, is_node
from .rules import MAX_NUMBER, PAGE_BYTES, cut_page, parents_past

DATABASE_FILE = "pearbox.db"
_PUT_CHORE = (
    "INSERT OR IGNORE INTO chores (kind, discovery_key, byte_offset, size) VALUES (?, ?, ?, ?)"
)
_DROP_CHORE = (
    "DELETE FROM chores WHERE kind = ? AND discovery_key = ? AND byte_offset = ? AND size = ?"
)
_NAMES = 512  # TUNING: values asked for in one statement; SQLite takes 32,766
_MAX_WAL = 8 << 20
"""TUNING: the log shrinks to this after a checkpoint, whatever one big step made of it."""
_GOODBYE = 0.05  # TUNING: seconds; the thread has nothing else to do


class Database:
    """The database of one data directory. Every call raises StorageError when it fails."""

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection
    ) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._writing = asyncio.Lock()
        self._done: list[Chore] = []

    @classmethod
    async def open(cls, directory: Path, cache_kib: int) -> "Database":
        """Open or make the database and bring its tables up to date."""
        path = directory / DATABASE_FILE
        with database_errors(path):
            writer = await _connect(path, cache_kib)
            try:
                await _migrate(writer, path)
                reader = await _connect(path, cache_kib)
                await reader.execute("PRAGMA query_only = 1")
            except BaseException:
                await writer.close()
                raise
        return cls(path, writer, reader)

    async def close(self) -> None:
        """Close both connections; the last one folds the log into the database."""
        with database_errors(self._path):
            try:
                await self._reader.close()
            finally:
                await self._writer.close()

    # --- reading ---

    async def _fetch(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with database_errors(self._path):
            return list(await self._reader.execute_fetchall(sql, values))

    async def find_core(self, discovery_key: DiscoveryKey) -> StoredCore | None:
        """One core with its user data."""
        found = await self._fetch(
            "SELECT core_id, core_key, manifest, length, byte_length, fork, tree_hash, signature,"
            " contiguous_length FROM cores WHERE discovery_key = ?",
            discovery_key,
        )
        if not found:
            return None
        if not is_core(found[0]):
            raise damaged_error(self._path, f"the row of core {discovery_key.hex()[:8]}")
        core_id, key, manifest, *head, contiguous_length = found[0]
        user_data = await self._fetch(
            "SELECT name, value FROM user_data WHERE core_id = ?", core_id
        )
        return StoredCore(
            core_id=core_id,
            key=CoreKey(key),
            discovery_key=discovery_key,
            manifest=manifest,
            head=Head(*head),
            contiguous_length=contiguous_length,
            user_data={name.decode(): value for name, value in user_data},
        )

    async def cores(self) -> list[DiscoveryKey]:
        """All cores, oldest first."""
        rows = await self._fetch("SELECT discovery_key FROM cores ORDER BY core_id")
        return [DiscoveryKey(key) for (key,) in rows]

    async def nodes(self, core_id: int, indices: Sequence[int]) -> dict[int, TreeNode]:
        """The tree nodes held among `indices`."""
        if not indices:
            return {}
        rows = await self._fetch(
            "SELECT node_index, size, hash FROM nodes"
            " WHERE core_id = ? AND node_index IN (SELECT value FROM json_each(?))",
            core_id,
            json.dumps(list(indices)),
        )
        return {row[0]: TreeNode(*row) for row in rows if is_node(row)}

    async def nodes_from(self, core_id: int, first: int, limit: int) -> list[TreeNode]:
        """The next tree nodes from a number on."""
        rows = await self._fetch(
            "SELECT node_index, size, hash FROM nodes WHERE core_id = ? AND node_index >= ?"
            " ORDER BY node_index LIMIT ?",
            core_id,
            first,
            limit,
        )
        return [TreeNode(*row) for row in rows if is_node(row)]

    async def check(self) -> list[str]:
        """What SQLite finds wrong with its own pages and tables."""
        try:
            rows = await self._fetch("PRAGMA integrity_check")
        except StorageError as error:
            if error.code != "STORAGE_DAMAGED":
                raise
            return [str(error)]
        return [line.decode() for (line,) in rows if line != b"ok"]

    async def pages(self, core_id: int) -> dict[int, bytes]:
        """All bitfield pages with a bit set, at their full size."""
        rows = await self._fetch("SELECT page, bits FROM pages WHERE core_id = ?", core_id)
        return {
            page: bits[:PAGE_BYTES].ljust(PAGE_BYTES, b"\0")
            for page, bits in rows
            if isinstance(bits, bytes)
        }

    async def value(self, name: str) -> bytes | None:
        """One value of the directory."""
        rows = await self._fetch("SELECT value FROM directory WHERE name = ?", name.encode())
        return rows[0][0] if rows else None

    async def values_of(self, names: Sequence[str]) -> dict[str, bytes]:
        """The values of the directory among `names`."""
        found: dict[str, bytes] = {}
        for at in range(0, len(names), _NAMES):
            wanted = [name.encode() for name in names[at : at + _NAMES]]
            places = ",".join("?" * len(wanted))
            sql = f"SELECT name, value FROM directory WHERE name IN ({places})"  # noqa: S608 (only question marks)
            found.update((name.decode(), value) for name, value in await self._fetch(sql, *wanted))
        return found

    async def values(self, prefix: str) -> dict[str, bytes]:
        """All values whose name starts with `prefix`, in name order."""
        first = prefix.encode()
        # No UTF-8 holds the byte 0xff, so it ends every range of names.
        rows = await self._fetch(
            "SELECT name, value FROM directory WHERE name >= ? AND name < ? ORDER BY name",
            first,
            first + b"\xff",
        )
        return {name.decode(): value for name, value in rows}

    # --- writing ---

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """What is written inside is committed at its end, or none of it."""
        async with self._writing:
            with database_errors(self._path):
                try:
                    if self._done:
                        await self._writer.executemany(_DROP_CHORE, self._done)
                    struck = len(self._done)
                    yield self._writer
                    await self._writer.commit()
                except BaseException:
                    await self._writer.rollback()
                    raise
            del self._done[:struck]

    async def add_core(
        self,
        key: CoreKey,
        discovery_key: DiscoveryKey,
        manifest: bytes | None,
        *,
        left_over: bool = False,
    ) -> None:
        """Make a row for a core unless there is one; `left_over` marks a new one."""
        async with self._transaction() as writer:
            made = await writer.execute(
                "INSERT OR IGNORE INTO cores (core_key, discovery_key, manifest) VALUES (?, ?, ?)",
                (key, discovery_key, manifest),
            )
            if left_over and made.rowcount:
                await writer.execute(
                    "INSERT INTO user_data (core_id, name, value) VALUES (?, ?, x'01')",
                    (made.lastrowid, LEFT_OVER.encode()),
                )

    async def delete_core(self, core_id: int, discovery_key: DiscoveryKey) -> list[Chore]:
        """Drop all rows of a core; returns what is to be done to its file."""
        chores = [Chore(ChoreKind.REMOVE, discovery_key)]
        async with self._transaction() as writer:
            for table in ("cores", "nodes", "pages", "user_data"):
                await writer.execute(f"DELETE FROM {table} WHERE core_id = ?", (core_id,))  # noqa: S608 (our own names)
            await writer.executemany(_PUT_CHORE, chores)
        return chores

    async def set_values(self, values: dict[str, bytes | None]) -> None:
        """Change values of the directory together."""
        kept = [(name.encode(), value) for name, value in values.items() if value is not None]
        gone = [(name.encode(),) for name, value in values.items() if value is None]
        async with self._transaction() as writer:
            if gone:
                await writer.executemany("DELETE FROM directory WHERE name = ?", gone)
            if kept:
                await writer.executemany(
                    "INSERT OR REPLACE INTO directory (name, value) VALUES (?, ?)", kept
                )

    async def apply(
        self, steps: Sequence[tuple[DiscoveryKey, Changeset]], *, replaced: bool = False
    ) -> list[Chore]:
        """All steps in one transaction; returns what is to be done to the files afterwards.

        A step that truncates must be the only one of its core. `replaced`: the step also strikes
        out what `keep_replaced` wrote down.
        """
        rows = Rows()
        for discovery_key, changeset in steps:
            rows.add(discovery_key, changeset)
        async with self._transaction() as writer:
            for core_id, length in rows.truncated:
                await self._truncate(writer, core_id, length)
            for sql, values in rows.statements():
                await writer.executemany(sql, values)
            if rows.chores:
                await writer.executemany(_PUT_CHORE, rows.chores)
            if replaced:
                await writer.execute("DELETE FROM replaced")
        return rows.chores

    @staticmethod
    async def _truncate(writer: aiosqlite.Connection, core_id: int, length: int) -> None:
        await writer.execute(
            "DELETE FROM nodes WHERE core_id = ? AND node_index >= ?",
            (core_id, min(2 * length, MAX_NUMBER)),
        )
        await writer.executemany(
            "DELETE FROM nodes WHERE core_id = ? AND node_index = ?",
            [(core_id, index) for index in parents_past(length)],
        )
        page = length // PAGE_BITS
        found = await writer.execute_fetchall(
            "SELECT bits FROM pages WHERE core_id = ? AND page = ?", (core_id, page)
        )
        await writer.execute("DELETE FROM pages WHERE core_id = ? AND page >= ?", (core_id, page))
        for (bits,) in found:
            kept = cut_page(page, bits, length).rstrip(b"\0")
            if kept:
                await writer.execute(PUT_PAGE, (core_id, page, kept))

    # --- what a crash leaves to be done ---

    def strike(self, chores: Iterable[Chore]) -> None:
        """These are done: the next transaction, whichever it is, takes them off the list."""
        self._done += chores

    async def chores(self) -> list[Chore]:
        """All that was written down and not struck out."""
        rows = await self._fetch("SELECT kind, discovery_key, byte_offset, size FROM chores")
        return [Chore(ChoreKind(kind), key, offset, size) for kind, key, offset, size in rows]

    async def keep_replaced(self, core: DiscoveryKey, writes: Iterable[BlockWrite]) -> None:
        """Write down block bytes that are about to be replaced."""
        async with self._transaction() as writer:
            await writer.executemany(
                "INSERT INTO replaced (discovery_key, byte_offset, data) VALUES (?, ?, ?)",
                [(core, offset, data) for offset, data in writes],
            )

    async def replaced(self) -> dict[DiscoveryKey, list[BlockWrite]]:
        """The bytes to put back, by core."""
        found: dict[DiscoveryKey, list[BlockWrite]] = {}
        rows = await self._fetch("SELECT discovery_key, byte_offset, data FROM replaced")
        for key, offset, data in rows:
            found.setdefault(DiscoveryKey(key), []).append(BlockWrite(offset, data))
        return found

    async def drop_replaced(self) -> None:
        """They are back in place, or not needed any more."""
        async with self._transaction() as writer:
            await writer.execute("DELETE FROM replaced")


async def _connect(path: Path, cache_kib: int) -> aiosqlite.Connection:
    try:
        connection = await aiosqlite.connect(path)
    except BaseException:
        # Its thread still has to say goodbye to this loop, and nothing tells when it has.
        await asyncio.sleep(_GOODBYE)
        raise
    connection.text_factory = bytes  # we keep no text; what claims to be some is damage
    try:
        for setting in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a commit is on disk when it returns, power cut or not
            f"cache_size = -{cache_kib}",
            f"journal_size_limit = {_MAX_WAL}",
            "mmap_size = 0",  # mapped pages would count as ours, and a Pi has few
            "temp_store = MEMORY",
        ):
            await connection.execute_fetchall(f"PRAGMA {setting}")
    except BaseException:
        await connection.close()
        raise
    return connection


async def _migrate(writer: aiosqlite.Connection, path: Path) -> None:
    version = await _pragma(writer, "user_version")
    owner = await _pragma(writer, "application_id")
    ((tables,),) = await writer.execute_fetchall("SELECT count(*) FROM sqlite_master")
    if owner != APPLICATION_ID and (version or tables):
        raise StorageError(
            f"{path} is a database of another program: choose another data directory",
            code="STORAGE_FOREIGN",
        )
    if version > len(MIGRATIONS):
        raise StorageError(
            f"{path} was written by a newer version of pearbox-edge: update this one",
            code="STORAGE_NEWER",
        )
    for number in range(version + 1, len(MIGRATIONS) + 1):
        await writer.executescript(script(number))


async def _pragma(connection: aiosqlite.Connection, name: str) -> int:
    ((value,),) = await connection.execute_fetchall(f"PRAGMA {name}")
    return int(value)

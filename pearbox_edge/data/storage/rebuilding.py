"""A new database out of a damaged one: whatever rows can still be read, by SQLite or without it.

    pearbox.db (-wal, -shm) -> pearbox.db.half -> pearbox.db.new -> pearbox.db
                            `-> damaged-1/

The damaged files are kept. A rebuild that was interrupted goes on where it was. Whether the rows
found fit together is for the next verify to say.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from .database import DATABASE_FILE
from .failures import database_errors, disk_error
from .files import FOLDER
from .interface import LEFT_OVER
from .keepsakes import sync_folder
from .migrations import MIGRATIONS, script
from .pages import Pages, Row, Value
from .rows import is_core, is_node
from .rules import HASH_BYTES, PAGE_BYTES

REBUILT = b"rebuilt"
"""The value of LEFT_OVER in a core whose rows were salvaged."""
NEW_FILE = f"{DATABASE_FILE}.new"
_HALF_FILE = f"{DATABASE_FILE}.half"
_BESIDE = ("", "-wal", "-shm")
_TABLES = {
    "cores": "core_id, core_key, discovery_key, manifest, length, byte_length, fork, tree_hash,"
    " signature, contiguous_length",
    "nodes": "core_id, node_index, size, hash",
    "pages": "core_id, page, bits",
    "user_data": "core_id, name, value",
    "directory": "name, value",
    "chores": "discovery_key, kind, byte_offset, size",
    "replaced": "discovery_key, byte_offset, data",
}
_ONLY_WHOLE = ("chores", "replaced")
"""These say what to do to the data files: a row that may be out of date would do harm."""


@dataclass(slots=True)
class Rebuilt:
    """What became of a damaged database: where it is kept now, and what is missing in the new."""

    kept_in: Path
    cores: int = 0
    rows: int = 0
    lost: list[str] = field(default_factory=list)


def rebuild_database(directory: Path) -> Rebuilt:
    """Put a new database in the place of a damaged one. Blocking; the lock must be held.

    Raises StorageError when the disk fails.
    """
    try:
        rebuilt = Rebuilt(_keep(directory))
        if not (directory / NEW_FILE).exists():
            _write(directory, rebuilt)
            (directory / _HALF_FILE).rename(directory / NEW_FILE)
            sync_folder(directory)
        # The log belongs to the damaged database: beside the new one it would spoil that too.
        for suffix in _BESIDE[1:]:
            (directory / f"{DATABASE_FILE}{suffix}").unlink(missing_ok=True)
        sync_folder(directory)
        (directory / NEW_FILE).rename(directory / DATABASE_FILE)
        sync_folder(directory)
    except OSError as error:
        raise disk_error(error, directory) from error
    return rebuilt


def _keep(directory: Path) -> Path:
    """Link the damaged files where they stay."""
    number = 1
    while (directory / f"damaged-{number}").exists() and not (directory / NEW_FILE).exists():
        number += 1
    kept = directory / f"damaged-{number}"
    kept.mkdir(mode=0o700, exist_ok=True)
    for suffix in _BESIDE:
        source = directory / f"{DATABASE_FILE}{suffix}"
        target = kept / source.name
        if source.exists() and not target.exists():
            os.link(source, target)
    sync_folder(kept)
    return kept


def _write(directory: Path, rebuilt: Rebuilt) -> None:
    half = directory / _HALF_FILE
    half.unlink(missing_ok=True)
    half.touch(mode=0o600)
    with database_errors(half), closing(sqlite3.connect(half)) as new:
        new.execute("PRAGMA synchronous = FULL")
        for version in range(1, len(MIGRATIONS) + 1):
            new.executescript(script(version))
        path = directory / DATABASE_FILE
        damaged = [table for table in _TABLES if not _copy(path, table, new)]
        if damaged or not _is_sound(path):
            _fill(path, damaged, new)
            # The newest rows may be missing without a trace: what they say must be compared with
            # the bytes before anybody builds on it.
            new.execute(
                "INSERT OR REPLACE INTO user_data SELECT core_id, ?, ? FROM cores",
                (LEFT_OVER.encode(), REBUILT),
            )
        _drop_orphans(new, rebuilt)
        new.commit()
        for table in damaged:
            rebuilt.lost.append(f"table {table} could not be read whole: rows of it may be missing")
        _count(directory, new, rebuilt)


def _copy(path: Path, table: str, new: sqlite3.Connection) -> bool:
    """Copy all rows of a table that SQLite reads; False if that is not all."""
    columns = _TABLES[table]
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as old:
            old.text_factory = bytes
            rows = old.execute(f"SELECT {columns} FROM {table}")  # noqa: S608 (our own names)
            whole = True
            for row in rows.fetchall() if table in _ONLY_WHOLE else rows:
                whole &= _put(new, table, row)
    except (sqlite3.Error, OverflowError):
        return False
    return whole


def _put(new: sqlite3.Connection, table: str, row: tuple[Value, ...]) -> bool:
    """Put a row in unless there is one in its place; False if it is none of this table."""
    if not _is_row(table, row):
        return False
    marks = ", ".join("?" * len(row))
    new.execute(
        f"INSERT OR IGNORE INTO {table} ({_TABLES[table]}) VALUES ({marks})",  # noqa: S608 (our own names)
        row,
    )
    return True


def _is_sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as old:
            return old.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]
    except sqlite3.Error:
        return False


def _fill(path: Path, damaged: list[str], new: sqlite3.Connection) -> None:
    """Add what lies on the pages that SQLite could not reach, or passed over."""
    for row in Pages(path, path.with_name(f"{DATABASE_FILE}-wal")).rows():
        for table, values in _readings(row):
            if (row.reached or table in damaged) and table not in _ONLY_WHOLE:
                try:
                    _put(new, table, values)
                except OverflowError:
                    continue


def _readings(row: Row) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """The tables that a row may be of, by its shape."""
    values = row.values
    if row.number is not None:
        if len(values) == 10 and values[0] is None:
            yield "cores", (row.number, *values[1:])
        return
    if len(values) == 4:
        yield "nodes", values
    elif len(values) == 3:
        yield ("pages" if isinstance(values[1], int) else "user_data"), values
    elif len(values) == 2:
        yield "directory", values


def _is_row(table: str, row: tuple[Value, ...]) -> bool:
    """Whether a row has the types that we wrote in this table."""
    match table, row:
        case "cores", (core_id, key, discovery_key, *rest):
            return is_core((core_id, key, *rest)) and _is_blob(discovery_key, HASH_BYTES)
        case "nodes", (int(), *rest):
            return is_node(rest)
        case "pages", (int(), int(page), bytes(bits)):
            return page >= 0 and len(bits) <= PAGE_BYTES
        case "user_data", (int(), bytes(), bytes()):
            return True
        case "directory", (bytes(), bytes()):
            return True
        case "chores", (bytes(), int(kind), int(offset), int(size)):
            return kind in (1, 2, 3) and offset >= 0 and size >= 0
        case "replaced", (bytes(), int(offset), bytes()):
            return offset >= 0
    return False


def _is_blob(value: object, size: int) -> bool:
    return isinstance(value, bytes) and len(value) == size


def _drop_orphans(new: sqlite3.Connection, rebuilt: Rebuilt) -> None:
    """Rows of cores that are not there any more, or whose own row is lost."""
    for table in ("nodes", "pages", "user_data"):
        gone = new.execute(
            f"DELETE FROM {table} WHERE core_id NOT IN (SELECT core_id FROM cores)"  # noqa: S608 (our own names)
        )
        if gone.rowcount and table == "nodes":
            rebuilt.lost.append(f"{gone.rowcount} tree nodes of cores whose own row is lost")


def _count(directory: Path, new: sqlite3.Connection, rebuilt: Rebuilt) -> None:
    known = {key.hex() for (key,) in new.execute("SELECT discovery_key FROM cores")}
    rebuilt.cores = len(known)
    for table in _TABLES:
        ((count,),) = new.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 (our own names)
        rebuilt.rows += count
    for path in sorted((directory / FOLDER).glob("*/*")):
        if path.name not in known:
            rebuilt.lost.append(
                f"all rows of the core with discovery key {path.name}; its bytes are kept in "
                f"{path} and taken in again as a peer proves what they are"
            )

"""Rows read without SQLite, against what SQLite reads."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pearbox_edge.data.storage.pages import Pages, Value

TABLES = """
CREATE TABLE numbered (id INTEGER PRIMARY KEY, a, b);
CREATE TABLE keyed (x INTEGER, y INTEGER, z BLOB, PRIMARY KEY (x, y)) WITHOUT ROWID;
"""


def make(path: Path, *, log: bool) -> tuple[set[tuple[Value, ...]], set[tuple[Value, ...]]]:
    """A database with rows of all sizes; copied while its log is still beside it, if `log`."""
    chance = random.Random("rows")
    numbers = [0, 1, -1, 127, -129, 1 << 15, -(1 << 23), 1 << 40, (1 << 63) - 1, -(1 << 63)]
    numbered: dict[int, tuple[Value, ...]] = {
        i: (i, chance.choice([*numbers, None]), chance.randbytes(chance.choice([0, 3, 300, 9000])))
        for i in [1, 2, 3, 200, 1 << 33, *range(1000, 1200)]
    }
    keyed: dict[tuple[int, int], tuple[Value, ...]] = {}
    for i in range(2000):
        keyed[i % 3, i] = (i % 3, i, chance.randbytes(chance.choice([0, 32, 32, 32, 700, 5000])))
    source = path.with_name("source.db")
    with closing(sqlite3.connect(source)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(TABLES)
        database.executemany("INSERT INTO numbered VALUES (?, ?, ?)", numbered.values())
        database.executemany("INSERT INTO keyed VALUES (?, ?, ?)", keyed.values())
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for key in [key for key in keyed if key[1] % 5 == 0]:
            database.execute("DELETE FROM keyed WHERE x = ? AND y = ?", key)
            del keyed[key]
        database.execute("UPDATE numbered SET a = 5 WHERE id = 200")
        numbered[200] = (200, 5, numbered[200][2])
        database.commit()
        if log:
            shutil.copy(f"{source}-wal", f"{path}-wal")
        else:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(source, path)
    return set(numbered.values()), set(keyed.values())


def read(path: Path, *, only_reached: bool = False) -> tuple[set[object], set[object]]:
    numbered: set[object] = set()
    keyed: set[object] = set()
    for row in Pages(path, path.with_name(f"{path.name}-wal")).rows():
        if only_reached and not row.reached:
            continue
        if row.number is not None and len(row.values) == 3:
            numbered.add((row.number, *row.values[1:]))
        elif row.number is None:
            keyed.add(row.values)
    return numbered, keyed


@pytest.mark.parametrize("log", [False, True])
def test_all_rows_are_found_as_sqlite_has_them(tmp_path: Path, *, log: bool) -> None:
    path = tmp_path / "it.db"
    numbered, keyed = make(path, log=log)
    assert read(path, only_reached=True) == (numbered, keyed)


def test_a_log_counts_up_to_its_last_sound_commit(tmp_path: Path) -> None:
    path = tmp_path / "it.db"
    make(path, log=True)
    log = tmp_path / "it.db-wal"
    data = bytearray(log.read_bytes())
    data[40] ^= 1
    log.write_bytes(data)
    with_damaged_log = read(path)
    log.unlink()
    assert read(path) == with_damaged_log


def test_a_wiped_page_costs_only_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "it.db"
    numbered, keyed = make(path, log=False)
    whole = path.read_bytes()
    for page in range(0, len(whole) // 4096, 40):
        path.write_bytes(whole[: page * 4096] + bytes(4096) + whole[page * 4096 + 4096 :])
        found = read(path)
        assert len(numbered - found[0]) < 60
        assert len(keyed - found[1]) < 200


def test_any_damage_gives_rows_or_none(tmp_path: Path) -> None:
    path = tmp_path / "it.db"
    make(path, log=True)
    whole, log = path.read_bytes(), (tmp_path / "it.db-wal").read_bytes()
    chance = random.Random("damage")
    for _ in range(10):
        for name, data in ((path, whole), (tmp_path / "it.db-wal", log)):
            changed = bytearray(data[: chance.choice([len(data), chance.randrange(len(data))])])
            for _ in range(chance.choice([0, 1, 1000])):
                if changed:
                    changed[chance.randrange(len(changed))] = chance.randrange(256)
            name.write_bytes(changed)
        read(path)


@pytest.mark.parametrize("data", [b"", b"x", bytes(100), b"not a database at all" * 1000])
def test_what_is_no_database_has_no_rows(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "it.db").write_bytes(data)
    assert read(tmp_path / "it.db") == (set(), set())

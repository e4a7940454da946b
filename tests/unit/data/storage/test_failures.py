"""The lines a person reads when the disk or the database fails."""

import errno
import sqlite3
from pathlib import Path

import pytest

from pearbox_edge.data.storage.failures import again, database_errors, disk_error, short_error
from pearbox_edge.errors import StorageError, UsageError

PATH = Path("/data/file")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_so_and_what_to_do(number: int) -> None:
    error = disk_error(OSError(number, "no"), PATH)
    assert error.code == "STORAGE_FULL"
    assert "/data/file" in str(error)
    assert "free some space" in str(error)


def test_another_failure_names_the_file_and_the_reason() -> None:
    error = disk_error(OSError(errno.EIO, "Input/output error"), PATH)
    assert error.code == "STORAGE_IO"
    assert str(error).startswith("/data/file cannot be used (Input/output error)")


def test_a_short_file_says_where_it_ends() -> None:
    assert "ends at byte 5, but bytes up to 9" in str(short_error(PATH, 5, 9))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (sqlite3.SQLITE_FULL, "STORAGE_FULL"),
        (sqlite3.SQLITE_CORRUPT, "STORAGE_DAMAGED"),
        (sqlite3.SQLITE_NOTADB, "STORAGE_DAMAGED"),
        (sqlite3.SQLITE_IOERR, "STORAGE_IO"),
        (sqlite3.SQLITE_IOERR_SHORT_READ, "STORAGE_IO"),
    ],
)
def test_what_sqlite_says_becomes_a_storage_error(number: int, code: str) -> None:
    wrong = sqlite3.DatabaseError("words of SQLite")
    wrong.sqlite_errorcode = number
    with pytest.raises(StorageError, match="/data/file") as caught, database_errors(PATH):
        raise wrong
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_what_we_gave_wrongly_is_our_bug() -> None:
    with pytest.raises(UsageError), database_errors(PATH):
        raise sqlite3.ProgrammingError("Incorrect number of bindings")


def test_each_waiter_gets_an_error_of_its_own() -> None:
    first = StorageError("line", code="STORAGE_FULL")
    copy = again(first)
    assert copy is not first
    assert (type(copy), str(copy), copy.code) == (StorageError, "line", "STORAGE_FULL")

"""What the disk or the database said, as the one line a person can act on."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pearbox_edge.errors import PearboxError, StorageError, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def disk_error(error: OSError, path: Path) -> StorageError:
    """Name the file or folder that the operating system failed on."""
    if error.errno in _FULL:
        return full_error(path)
    reason = error.strerror or str(error)
    return StorageError(
        f"{path} cannot be used ({reason}): check the disk and who may read and write there",
        code="STORAGE_IO",
    )


def full_error(path: Path) -> StorageError:
    """There is no room left where `path` lies."""
    return StorageError(
        f"the disk is full, {path} cannot grow: free some space, then try again",
        code="STORAGE_FULL",
    )


def short_error(path: Path, end: int, wanted: int) -> StorageError:
    """A data file ends before bytes that its core has."""
    return StorageError(
        f"{path} ends at byte {end}, but bytes up to {wanted} should be in it: the file was cut or "
        "lost; put it back from a backup, or let go of what is missing with "
        "`pearbox-edge drive verify --repair`: it is fetched again",
        code="STORAGE_SHORT",
    )


def database_error(error: sqlite3.Error, path: Path) -> StorageError:
    """Name the database that SQLite failed on."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return full_error(path)
    if code in _DAMAGED:
        return damaged_error(path, str(error))
    return StorageError(
        f"the database {path} cannot be used ({error}): check the disk and who may write there",
        code="STORAGE_IO",
    )


def damaged_error(path: Path, what: str) -> StorageError:
    """The database holds what we never wrote."""
    return StorageError(
        f"the database {path} is damaged ({what}): make a new one of what can be read with "
        "`pearbox-edge drive rebuild` (the damaged one is kept), or put it back from a backup",
        code="STORAGE_DAMAGED",
    )


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn what sqlite3 raises inside into our families."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError, OverflowError) as error:
        raise UsageError(f"the database was given what it cannot take: {error}") from error
    except sqlite3.Error as error:
        raise database_error(error, path) from error


def closed_error() -> StorageError:
    """Somebody asks after `close`, or the writer stopped."""
    return StorageError("the data directory is closed", code="STORAGE_CLOSED")


def again(error: PearboxError) -> PearboxError:
    """The same failure for one more waiter (an exception carries only one traceback)."""
    copy = type(error)(str(error), code=error.code)
    copy.__cause__ = error
    return copy

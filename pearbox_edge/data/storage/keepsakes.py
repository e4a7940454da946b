"""The few values that must outlive the database: a small file beside it, written once each.

DIR/keys    a line `NAME HEX` each, and a last line `sum HEX` (SHA-256 of those before it)
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pearbox_edge.errors import StorageError

from .failures import disk_error

KEYS_FILE = "keys"


class Keepsakes:
    """Reads and writes the file. Blocking: for threads. Raises StorageError."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / KEYS_FILE

    def load(self) -> dict[str, bytes]:
        """What is kept; nothing if there is no file. StorageError if it is damaged."""
        try:
            text = self._path.read_text("ascii", "replace")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise disk_error(error, self._path) from error
        body, _, last = text.rstrip("\n").rpartition("\n")
        if last != f"sum {_sum(body)}":
            raise StorageError(
                f"the file {self._path} is damaged: put it back from a backup, or move it away: "
                "it is made again of what the database still has",
                code="STORAGE_DAMAGED",
            )
        return {
            name: bytes.fromhex(value)
            for name, value in (line.rsplit(" ", 1) for line in body.splitlines())
        }

    def save(self, values: Mapping[str, bytes]) -> None:
        """Replace what is kept; on disk when it returns, whole or not at all."""
        body = "\n".join(f"{name} {value.hex()}" for name, value in sorted(values.items()))
        text = f"{body}\nsum {_sum(body)}\n"
        new = self._path.with_name(f"{KEYS_FILE}.new")
        try:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, text.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            new.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise disk_error(error, self._path) from error


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()

"""One process per data directory: a lock that the kernel drops when its holder dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from pearbox_edge.errors import StorageError

from .failures import disk_error

LOCK_FILE = "lock"


class DirectoryLock:
    """Held from `take` to `release`; the file also says which process holds it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> "DirectoryLock":
        """Claim a directory. Raises StorageError, naming the other process, if it is taken."""
        path = directory / LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise StorageError(
                f"another process{holder} uses the data directory {directory}: "
                "stop it first, or choose another with --data",
                code="STORAGE_LOCKED",
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise disk_error(error, path) from error
        # The number only serves the message; a full disk must not keep anybody from reading.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let others in. The file stays: removing it would let two in at once."""
        os.close(self._descriptor)


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 32, 0).strip()
    return f" (pid {int(text)})" if text.isdigit() else ""

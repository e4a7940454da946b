"""Bytes of a file as they lie inside another one, copied and compared without being carried."""

import errno
import os
from typing import NamedTuple

from pearbox_edge.errors import StorageError

COPY_SIZE = 8 << 20  # TUNING: bytes a copy call may take before others get a turn
_NO_COPY_RANGE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}


class Blob(NamedTuple):
    """Bytes of a file as they lie in another one: the storage's data file, an offset, a size."""

    path: str
    offset: int
    size: int


def copy_bytes(blob: Blob, handle: int) -> None:
    """Append the blob to the file behind `handle`: by the kernel, by hand where it cannot."""
    source = os.open(blob.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = 0
        by_kernel = True
        while done < blob.size:
            size = min(blob.size - done, COPY_SIZE)
            if by_kernel:
                try:
                    moved = os.copy_file_range(source, handle, size, blob.offset + done)
                except OSError as error:
                    if error.errno not in _NO_COPY_RANGE:
                        raise
                    by_kernel = False
                    continue
            else:
                moved = os.write(handle, os.pread(source, min(size, 1 << 20), blob.offset + done))
            if moved == 0:
                raise StorageError(f"{blob.path} is shorter than it should be: verify the data")
            done += moved
    finally:
        os.close(source)


def equal_bytes(blob: Blob, handle: int) -> bool:
    """Whether the file behind `handle` begins with exactly the bytes of the blob."""
    source = os.open(blob.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = 1 << 20
        for at in range(0, blob.size, size):
            want = min(size, blob.size - at)
            if os.pread(source, want, blob.offset + at) != os.pread(handle, want, at):
                return False
        return True
    finally:
        os.close(source)

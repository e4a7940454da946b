"""Reading a person's files for import: whole or in chunks, with the stamp they were read under."""

import os
from collections.abc import Generator
from typing import NamedTuple

from pearbox_edge.crypto import Fingerprint

from .blob import Blob, equal_bytes
from .scan import FoundFile, Skipped, Stamp, printable, stamp_of

CHUNK = 4 << 20  # TUNING: one append of a big file: 64 blocks, one signature, one sync

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ReadFile(NamedTuple):
    """All bytes of a file, and the stamp that stands for exactly them."""

    data: bytes
    stamp: Stamp


def read_whole(item: FoundFile) -> ReadFile | Skipped:
    """Read a small file at once; a file that has gone or closed itself is skipped."""
    try:
        handle = os.open(item.path, _READ)
        try:
            before = stamp_of(os.fstat(handle))
            data = _read(handle, before.size + 1)
            return ReadFile(data, _honest(before, handle, len(data)))
        finally:
            os.close(handle)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return Skipped(printable(item.drive_path), printable(item.path), reason)


def read_chunks(item: FoundFile) -> Generator[bytes | Stamp, None, None]:
    """The bytes of a file of any size, and last of all the stamp that stands for them.

    Raises OSError when the file cannot be read to its end.
    """
    handle = os.open(item.path, _READ)
    try:
        before = stamp_of(os.fstat(handle))
        size = 0
        while chunk := _read(handle, CHUNK):
            size += len(chunk)
            yield chunk
        yield _honest(before, handle, size)
    finally:
        os.close(handle)


def fingerprint_of(item: FoundFile) -> bytes | None:
    """The BLAKE3 fingerprint of a file; None if it cannot be read."""
    state = Fingerprint()
    try:
        for chunk in read_chunks(item):
            if not isinstance(chunk, Stamp):
                state.update(chunk)
    except OSError:
        return None
    return state.digest()


class ReadContent(NamedTuple):
    """The BLAKE3 of all bytes of a file, and the stamp that stands for exactly them."""

    fingerprint: bytes
    size: int
    stamp: Stamp


def read_content(item: FoundFile) -> ReadContent:
    """Read a file of any size only to know what is in it. OSError if it cannot be read."""
    state = Fingerprint()
    chunks = read_chunks(item)
    size = 0
    for chunk in chunks:
        if isinstance(chunk, Stamp):
            return ReadContent(state.digest(), size, chunk)
        state.update(chunk)
        size += len(chunk)
    raise AssertionError  # the stamp comes last


def is_same_content(path: str, blob: Blob) -> bool:
    """Whether a file has exactly the bytes of a blob."""
    try:
        handle = os.open(path, _READ)
    except OSError:
        return False
    try:
        return os.fstat(handle).st_size == blob.size and equal_bytes(blob, handle)
    finally:
        os.close(handle)


def _read(handle: int, size: int) -> bytes:
    parts = []
    while size > 0 and (part := os.read(handle, size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _honest(before: Stamp, handle: int, size: int) -> Stamp:
    """The stamp, or one that nothing matches if the file changed while it was read."""
    if stamp_of(os.fstat(handle)) == before and size == before.size:
        return before
    return before._replace(size=size, mtime_ns=-1, ctime_ns=-1)

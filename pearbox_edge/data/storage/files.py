"""The sparse data files: one a core, a block's place is its byte offset. Blocking: for threads.

    DIR/cores/ab/abcd...   named by the hex of the discovery key, fanned out by its first byte

Upstream keeps blocks in RocksDB; here a blob is one range of one file, read and served by offset.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pearbox_edge.errors import StorageError
from pearbox_edge.ids import DiscoveryKey
from pearbox_edge.wire import Buffer

from .failures import disk_error, short_error
from .holes import punch_hole
from .interface import BlockWrite, ByteRange
from .keepsakes import sync_folder

FOLDER = "cores"
_MAX_PARTS = 1024  # SPEC Linux IOV_MAX: buffers one pwritev takes
_MAX_CACHED_READ = 1 << 18  # TUNING: what may be copied on the event loop's own thread
_MAX_SPAN = 1 << 20  # TUNING: neighbouring reads joined up to here; more only costs memory


@dataclass(slots=True)
class _Handle:
    """An open data file, kept open while anybody uses it."""

    descriptor: int
    users: int = 0
    named: bool = False  # its folder entry is known to be on disk
    dropped: bool = False


class DataFiles:
    """All data files of one directory, with at most `max_open` kept open between uses."""

    def __init__(self, directory: Path, max_open: int) -> None:
        self._folder = directory / FOLDER
        self._max_open = max_open
        self._handles: OrderedDict[DiscoveryKey, _Handle] = OrderedDict()
        self._lock = Lock()
        self._may_ask = hasattr(os, "RWF_NOWAIT")

    def path(self, core: DiscoveryKey) -> Path:
        """Where the block bytes of a core are, or will be."""
        name = core.hex()
        return self._folder / name[:2] / name

    def write(self, core: DiscoveryKey, writes: Sequence[BlockWrite]) -> None:
        """Put bytes in place; durable only after `sync`. Raises StorageError."""
        with self._errors(core), self._open(core, create=True) as handle:
            for offset, parts in _joined(writes):
                _write_all(handle.descriptor, offset, parts)

    def sync(self, core: DiscoveryKey) -> None:
        """Return when all that was written to a file is on disk, its name too."""
        with self._errors(core), self._open(core, create=True) as handle:
            os.fdatasync(handle.descriptor)
            if not handle.named:
                self._sync_folders(core)
                handle.named = True

    def store(
        self, batches: Mapping[DiscoveryKey, Sequence[BlockWrite]]
    ) -> dict[DiscoveryKey, StorageError]:
        """Write and sync many files; returns the failure of each one that failed.

        All are written before the first is synced, so that the disk sees them together.
        """
        failed: dict[DiscoveryKey, StorageError] = {}
        for step in (self.write, lambda core, _: self.sync(core)):
            for core, writes in batches.items():
                if core not in failed:
                    try:
                        step(core, writes)
                    except StorageError as error:
                        failed[core] = error
        return failed

    def read(self, core: DiscoveryKey, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range, in order. Raises StorageError if the file ends before."""
        found: list[bytes] = []
        wanted = list(_spans(ranges))
        if not any(sum(sizes) for _, sizes in wanted):
            return [b""] * len(ranges)
        with self._errors(core), self._open(core) as handle:
            for offset, sizes in wanted:
                data = self._read_span(core, handle.descriptor, offset, sum(sizes))
                if len(sizes) == 1:
                    found.append(data)
                    continue
                start = 0
                for size in sizes:
                    found.append(data[start : start + size])
                    start += size
        return found

    def read_cached(self, core: DiscoveryKey, ranges: Sequence[ByteRange]) -> list[bytes] | None:
        """The bytes of a few small ranges if the kernel has them in memory; never waits.

        None when `read` in a thread has to do it. For entries of a bee, a hop to a thread costs
        ten times the read itself.
        """
        if not self._may_ask or sum(size for _, size in ranges) > _MAX_CACHED_READ:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            handle = self._handles.get(core)
            if handle is None:
                return None
            found: list[bytes] = []
            for offset, size in ranges:
                buffer = bytearray(size)
                if os.preadv(handle.descriptor, [buffer], offset, os.RWF_NOWAIT) < size:
                    return None
                found.append(bytes(buffer))
        except BlockingIOError:
            return None
        except OSError:  # not on this filesystem, or a failure that `read` will meet and name
            self._may_ask = False
            return None
        else:
            return found
        finally:
            self._lock.release()

    def existing(self, core: DiscoveryKey, ranges: Sequence[ByteRange]) -> list[BlockWrite]:
        """What the file holds now of each range: as much of it as lies before its end."""
        found: list[BlockWrite] = []
        with self._errors(core), suppress(FileNotFoundError), self._open(core) as handle:
            for offset, size in ranges:
                data = os.pread(handle.descriptor, size, offset)
                if data:
                    found.append(BlockWrite(offset, data))
        return found

    def size(self, core: DiscoveryKey) -> int:
        """Where the file ends; 0 if there is none."""
        with self._errors(core):
            try:
                return self.path(core).stat().st_size
            except FileNotFoundError:
                return 0

    def punch(self, core: DiscoveryKey, offset: int, size: int) -> None:
        """Give the disk space of a range back, where the filesystem can; else leave it."""
        with self._errors(core), suppress(FileNotFoundError), self._open(core) as handle:
            punch_hole(handle.descriptor, offset, size)

    def cut(self, core: DiscoveryKey, end: int) -> None:
        """Drop the bytes from `end` on; a shorter file stays as it is."""
        with self._errors(core), suppress(FileNotFoundError), self._open(core) as handle:
            if os.fstat(handle.descriptor).st_size > end:
                os.ftruncate(handle.descriptor, end)

    def remove(self, core: DiscoveryKey) -> None:
        """Delete the file, if there is one."""
        with self._lock:
            handle = self._handles.pop(core, None)
            if handle is not None:
                handle.dropped = True
                _close_unused(handle)
        with self._errors(core), suppress(FileNotFoundError):
            self.path(core).unlink()
            # If it came back after a power cut, a new core of this key would find it.
            sync_folder(self.path(core).parent)

    def close(self) -> None:
        """Close all files; none may be in use any more."""
        with self._lock:
            for handle in self._handles.values():
                os.close(handle.descriptor)
            self._handles.clear()

    @contextmanager
    def _errors(self, core: DiscoveryKey) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise short_error(self.path(core), 0, 1) from error
        except OSError as error:
            raise disk_error(error, self.path(core)) from error

    @contextmanager
    def _open(self, core: DiscoveryKey, *, create: bool = False) -> Iterator[_Handle]:
        """The open file, kept open inside; FileNotFoundError unless it is there or to be made."""
        with self._lock:
            handle = self._handles.get(core)
            if handle is None:
                handle = _Handle(self._descriptor(core, create=create))
                self._handles[core] = handle
            handle.users += 1
            self._handles.move_to_end(core)
            self._close_oldest()
        try:
            yield handle
        finally:
            with self._lock:
                handle.users -= 1
                _close_unused(handle)

    def _descriptor(self, core: DiscoveryKey, *, create: bool) -> int:
        path = self.path(core)
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if not create:
                raise
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _close_oldest(self) -> None:
        if len(self._handles) <= self._max_open:
            return
        for core, handle in list(self._handles.items()):
            if not handle.users:
                del self._handles[core]
                os.close(handle.descriptor)
                if len(self._handles) <= self._max_open:
                    return

    def _sync_folders(self, core: DiscoveryKey) -> None:
        fan = self.path(core).parent
        for folder in (fan, fan.parent, fan.parent.parent):
            sync_folder(folder)

    def _read_span(self, core: DiscoveryKey, descriptor: int, offset: int, size: int) -> bytes:
        data = os.pread(descriptor, size, offset)
        while len(data) < size:
            more = os.pread(descriptor, size - len(data), offset + len(data))
            if not more:
                end = os.fstat(descriptor).st_size
                raise short_error(self.path(core), end, offset + size)
            data += more
        return data


def _close_unused(handle: _Handle) -> None:
    if handle.dropped and not handle.users:
        os.close(handle.descriptor)


def _joined(writes: Sequence[BlockWrite]) -> Iterator[tuple[int, list[Buffer]]]:
    """Neighbouring writes as one: where it starts and its parts, no more than pwritev takes."""
    start = end = 0
    parts: list[Buffer] = []
    for offset, data in writes:
        if parts and (offset != end or len(parts) == _MAX_PARTS):
            yield start, parts
            parts = []
        if not parts:
            start = offset
        parts.append(data)
        end = offset + len(data)
    if parts:
        yield start, parts


def _write_all(descriptor: int, offset: int, parts: list[Buffer]) -> None:
    total = sum(map(len, parts))
    written = os.pwritev(descriptor, parts, offset)
    if written == total:
        return
    # A full disk, a signal or 2 GiB in one call: the rest byte by byte off one copy. Rare.
    rest = memoryview(b"".join(parts))[written:]
    while rest:
        offset += written
        written = os.pwrite(descriptor, rest, offset)
        rest = rest[written:]


def _spans(ranges: Sequence[ByteRange]) -> Iterator[tuple[int, list[int]]]:
    """Ranges that follow one another as one: where it starts and the sizes in it."""
    start = end = 0
    sizes: list[int] = []
    for offset, size in ranges:
        if sizes and (offset != end or end + size - start > _MAX_SPAN):
            yield start, sizes
            sizes = []
        if not sizes:
            start = offset
        sizes.append(size)
        end = offset + size
    if sizes:
        yield start, sizes

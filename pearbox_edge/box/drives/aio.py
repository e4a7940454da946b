"""The shell of mirrors: reads one end, writes the other, files from folders in threads."""

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from pearbox_edge.box.files import (
    Destination,
    FoundFile,
    FoundLink,
    Skipped,
    Source,
    Stamp,
    UnsafePath,
    link_target,
    printable,
    read_chunks,
    read_content,
    scan,
)
from pearbox_edge.crypto import Fingerprint
from pearbox_edge.data.blobs import from_chunks
from pearbox_edge.data.drive import (
    Content,
    DriveBatch,
    DriveReader,
    Entry,
    Hyperdrive,
    MirrorCount,
    MirrorFile,
    MirrorRecord,
    MirrorStep,
    NewFile,
    plan_mirror,
)
from pearbox_edge.errors import InputError
from pearbox_edge.wire import Buffer

from .selection import Selection, is_at_or_below

SMALL_FILE = 1 << 20  # TUNING: files up to here share an append with others
GROUP_BYTES = 4 << 20  # TUNING: content of one append
GROUP_FILES = 512

OnSkip = Callable[[Skipped], None]


@dataclass(frozen=True, slots=True)
class MirrorOptions:
    """prune: remove what only the destination has. include_equal: tell of equal files too."""

    prune: bool = True
    dry_run: bool = False
    include_equal: bool = False
    selection: Selection = field(default_factory=Selection)
    on_skip: OnSkip = lambda _: None


class End(ABC):
    """One side of a mirror. `files` is what was there when it was first asked."""

    has_metadata = False

    @abstractmethod
    def files(self) -> AsyncIterator[MirrorFile]:
        """All files and links that take part, sorted by the bytes of their paths."""

    @abstractmethod
    async def file(self, path: str) -> MirrorFile:
        """One of those again, a link with its target as a drive keeps it."""

    @abstractmethod
    def read(self, path: str) -> AsyncIterator[Buffer]:
        """Iterate over the bytes of a file."""

    async def content(self, path: str) -> Content:
        """What is in a file, by reading it."""
        state, size = Fingerprint(), 0
        async for part in self.read(path):
            state.update(part)
            size += len(part)
        return Content(size, state.digest())


async def mirror(
    source: End, destination: End, options: MirrorOptions, count: MirrorCount | None = None
) -> AsyncGenerator[MirrorRecord, None]:
    """Make `destination` equal `source`; yields each step as it is done, removals first.

    Nothing is removed at or below what the source could not read. InputError if both are folders
    or the destination is a drive of somebody else.
    """
    if isinstance(source, FolderEnd):
        if isinstance(destination, FolderEnd):
            raise InputError("a mirror needs a drive at one end at least")
        await source.must_exist()  # else a mistyped name would empty the drive

    async def same_content(one: MirrorFile, other: MirrorFile) -> bool:
        return await source.content(one.path) == await destination.content(other.path)

    steps = plan_mirror(
        source,
        destination,
        same_content,
        prune=options.prune,
        include_equal=options.include_equal,
        compare_metadata=source.has_metadata and destination.has_metadata,
        count=count,
    )
    async with AsyncExitStack() as stack:
        writer: _DriveWriter | _FolderWriter | None = None
        if not options.dry_run:
            chosen = _writer(source, destination, options.on_skip)
            if isinstance(chosen, _FolderWriter):
                writer = await stack.enter_async_context(chosen)
            else:
                writer = await stack.enter_async_context(chosen)
        async for step in steps:
            if step.step is MirrorStep.REMOVE and _is_kept(source, step.path):
                if count is not None:
                    count.remove -= 1
                continue
            if writer is not None and step.step is not MirrorStep.EQUAL:
                await writer.carry_out(step)
            yield step


def _is_kept(source: End, path: str) -> bool:
    return isinstance(source, FolderEnd) and any(
        is_at_or_below(path, skipped) for skipped in source.skipped
    )


def _writer(source: End, destination: End, on_skip: OnSkip) -> "_DriveWriter | _FolderWriter":
    if isinstance(destination, FolderEnd):
        return _FolderWriter(source, destination, on_skip)
    if isinstance(destination, DriveEnd) and isinstance(destination.reader, Hyperdrive):
        return _DriveWriter(source, destination.reader)
    raise InputError("an older version cannot be written: it can only be mirrored from")


class DriveEnd(End):
    """A drive, or a version of one."""

    has_metadata = True

    def __init__(self, reader: DriveReader, selection: Selection | None = None) -> None:
        self.reader = reader
        self._view = reader.snapshot() if isinstance(reader, Hyperdrive) else reader
        self._selection = selection or Selection()

    async def files(self) -> AsyncIterator[MirrorFile]:
        """All files and links that take part."""
        async for entry in self._view.list("/"):
            if self._selection.takes(entry.path):
                file = _mirror_file(entry)
                yield file._replace(linkname=_comparable(file.path, file.linkname))

    async def file(self, path: str) -> MirrorFile:
        """One of those again, a link with its target as it is kept."""
        entry = await self._view.entry(path)
        if entry is None:
            raise InputError(f"{printable(path)} went away meanwhile")
        return _mirror_file(entry)

    async def read(self, path: str) -> AsyncIterator[Buffer]:
        """The bytes of a file, a few blocks at a time."""
        async for part in self._view.read(path):
            yield part


class FolderEnd(End):
    """A folder on the disk; as a destination it may be missing."""

    def __init__(
        self,
        path: str,
        selection: Selection | None = None,
        *,
        excluded: Sequence[str] = (),
        on_skip: OnSkip = lambda _: None,
    ) -> None:
        """excluded: real paths of folders that never take part (the data directory)."""
        self.path = path
        self.skipped: set[str] = set()
        self._selection = selection or Selection()
        self._excluded = excluded
        self._on_skip = on_skip
        self._found: dict[str, FoundFile | FoundLink] | None = None

    async def files(self) -> AsyncIterator[MirrorFile]:
        """All files and links that take part."""
        if self._found is None:
            self._found = await asyncio.to_thread(self._look)
        for path in self._found:
            file = await self.file(path)
            yield file._replace(linkname=_comparable(path, file.linkname))

    async def file(self, path: str) -> MirrorFile:
        """One of those again, a link with its target as a drive keeps it."""
        item = self._item(path)
        if isinstance(item, FoundLink):
            return MirrorFile(path, linkname=item.target)
        return MirrorFile(path, item.stamp.size, item.stamp.executable)

    async def read(self, path: str) -> AsyncIterator[Buffer]:
        """The bytes of a file, some MiB at a time."""
        item = self._item(path)
        if isinstance(item, FoundFile):
            async for chunk in _read_file(item):
                yield chunk

    async def content(self, path: str) -> Content:
        """What is in a file."""
        item = self._item(path)
        if isinstance(item, FoundLink):
            return await super().content(path)
        read = await asyncio.to_thread(read_content, item)
        return Content(read.size, read.fingerprint)

    async def must_exist(self) -> None:
        """InputError unless it is a folder."""
        if not await asyncio.to_thread(os.path.isdir, self.path):
            raise InputError(f"{printable(self.path)} is no folder")

    def _item(self, path: str) -> FoundFile | FoundLink:
        return (self._found or {})[path]

    def _look(self) -> dict[str, FoundFile | FoundLink]:
        if not os.path.lexists(self.path):
            return {}
        found: list[FoundFile | FoundLink] = []
        for item in scan(Source(os.path.abspath(self.path), ""), excluded=self._excluded):
            if not self._selection.takes(item.drive_path or "/"):
                continue
            if isinstance(item, Skipped):
                self.skipped.add(item.drive_path)
                self._on_skip(item)
            else:
                found.append(item)
        found.sort(key=lambda item: item.drive_path.encode())
        return {item.drive_path: item for item in found}


class _DriveWriter:
    """Changes of a drive, small files in groups."""

    def __init__(self, source: End, drive: Hyperdrive) -> None:
        self._source = source
        self._drive = drive
        self._batch: DriveBatch | None = None
        self._group: list[NewFile] = []
        self._size = 0

    async def __aenter__(self) -> "_DriveWriter":
        self._batch = await self._drive.batch()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self._put_group()
            await self._open.flush()
        else:
            self._open.discard()

    @property
    def _open(self) -> DriveBatch:
        assert self._batch is not None  # noqa: S101 (for the type checker)
        return self._batch

    async def carry_out(self, step: MirrorRecord) -> None:
        """Do one step, or keep it for the next group."""
        path = step.path
        if step.step is MirrorStep.REMOVE:
            await self._open.delete(path)
            return
        file = await self._source.file(path)
        if file.linkname is not None:
            await self._open.symlink(path, file.linkname, metadata=file.metadata)
        elif step.metadata_only or file.size is None:
            entry = await self._open.entry(path)
            await self._open.put_entry(
                path,
                executable=file.executable,
                blob=entry.blob if entry and step.metadata_only else None,
                metadata=file.metadata,
            )
        elif file.size <= SMALL_FILE and not file.mapped:
            data = b"".join([part async for part in self._source.read(path)])
            self._group.append(NewFile(path, data, file.executable, file.metadata))
            self._size += len(data)
            if self._size >= GROUP_BYTES or len(self._group) >= GROUP_FILES:
                await self._put_group()
        else:
            await self._put_big(file)

    async def _put_group(self) -> None:
        group, self._group, self._size = self._group, [], 0
        if group:
            await self._open.put_many(group)

    async def _put_big(self, file: MirrorFile) -> None:
        path = file.path
        if file.size is not None and await self._open.may_hold(file.size):
            content = await self._source.content(path)
            if await self._open.put_same(
                path, content, executable=file.executable, metadata=file.metadata
            ):
                return
        await self._open.put_stream(
            path,
            from_chunks(self._source.read(path)),
            executable=file.executable,
            metadata=file.metadata,
        )


class _FolderWriter:
    """Changes of a folder, one file at a time, synced at the end."""

    def __init__(self, source: End, folder: FolderEnd, on_skip: OnSkip) -> None:
        self._source = source
        self._root = folder.path
        self._on_skip = on_skip
        self._destination: Destination | None = None

    async def __aenter__(self) -> "_FolderWriter":
        self._destination = await asyncio.to_thread(Destination, self._root)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await asyncio.to_thread(self._open.sync)
        finally:
            self._open.close()

    @property
    def _open(self) -> Destination:
        assert self._destination is not None  # noqa: S101 (for the type checker)
        return self._destination

    async def carry_out(self, step: MirrorRecord) -> None:
        """Do one step; a path that must not be written is told and left out."""
        try:
            await self._write(step)
        except UnsafePath as error:
            self._on_skip(Skipped(step.path, printable(step.path), str(error)))

    async def _write(self, step: MirrorRecord) -> None:
        path = step.path
        if step.step is MirrorStep.REMOVE:
            await asyncio.to_thread(self._open.remove, path)
            return
        file = await self._source.file(path)
        if file.linkname is not None:
            await asyncio.to_thread(self._open.write_link, path, file.linkname)
            return
        new = await asyncio.to_thread(self._open.begin, path, executable=file.executable)
        try:
            parts: list[Buffer] = []
            size = 0
            async for part in self._source.read(path):
                parts.append(part)
                size += len(part)
                if size >= GROUP_BYTES:
                    await asyncio.to_thread(new.write, parts)
                    parts, size = [], 0
            await asyncio.to_thread(new.write, parts)
        except BaseException:
            new.discard()
            raise
        await asyncio.to_thread(new.finish)


def _comparable(path: str, linkname: str | None) -> str | None:
    """A link's target in one form for both ends; what leads nowhere stays as it is."""
    if linkname is None:
        return None
    try:
        return link_target(path, linkname)
    except UnsafePath:
        return linkname


def _mirror_file(entry: Entry) -> MirrorFile:
    blob = entry.blob
    return MirrorFile(
        entry.path,
        blob.byte_length if blob else None,
        entry.executable,
        entry.linkname,
        entry.metadata,
        blob is not None and blob.block_map,
    )


async def import_file(drive: Hyperdrive, disk_path: str, path: str) -> int:
    """Put one file of the disk into a drive; no block is written if the drive has its bytes.

    InputError if it is no file that can be read. Gives the number of its bytes.
    """
    found = await asyncio.to_thread(_one_file, disk_path, path)
    executable = found.stamp.executable
    if await drive.may_hold(found.stamp.size):
        read = await asyncio.to_thread(read_content, found)
        if await drive.put_same(path, Content(read.size, read.fingerprint), executable=executable):
            return read.size
    size = 0

    async def chunks() -> AsyncIterator[Buffer]:
        nonlocal size
        async for chunk in _read_file(found):
            size += len(chunk)
            yield chunk

    await drive.put_stream(path, from_chunks(chunks()), executable=executable)
    return size


def _one_file(disk_path: str, path: str) -> FoundFile:
    if os.path.isdir(disk_path):
        raise InputError(f"{printable(disk_path)} is a folder: use `drive mirror` for those")
    found = next(scan(Source(disk_path, path)), None)
    if not isinstance(found, FoundFile):
        reason = found.reason if isinstance(found, Skipped) else "it is no file"
        raise InputError(f"cannot put {printable(disk_path)}: {reason}")
    return found


async def _read_file(item: FoundFile) -> AsyncIterator[bytes]:
    chunks = read_chunks(item)
    try:
        while not isinstance(chunk := await asyncio.to_thread(next, chunks), Stamp):
            yield chunk
    finally:
        chunks.close()

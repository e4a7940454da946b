"""Many changes of a drive, written together: bytes first, entries second."""

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple

from pearbox_edge.data.bee import Hyperbee
from pearbox_edge.data.blobs import APPEND_SIZE, BlobId, Hyperblobs, Json, Source, fill
from pearbox_edge.errors import InputError, UsageError
from pearbox_edge.wire import Buffer

from .content_index import SAVE_AT, Content, ContentIndex, HashedSource, content_of
from .entry import Entry, decode_entry, encode_value
from .paths import normalise

MAX_ENTRIES = 4096
"""TUNING: entries that wait for one append (some 2 MiB of blocks and tree in memory)."""


class NewFile(NamedTuple):
    """A file to write; `data` must not change before the flush."""

    path: str
    data: Buffer
    executable: bool = False
    metadata: Json = None


class DriveBatch:
    """Changes that become durable, and visible to others, with `flush` or the end of `async with`.

    Up to MAX_ENTRIES changes and 8 MiB of small files are one append each; past that, what is there
    is flushed on the way, so that memory stays bounded. Other writers wait from the first change
    to the flush; so would `drive.put`, hence use only the batch meanwhile.
    With an index, bytes that the drive holds already are named again instead of being stored.
    """

    def __init__(
        self, files: Hyperbee, blobs: Hyperblobs, index: ContentIndex | None = None
    ) -> None:
        self._entries = files.batch()
        self._files = files
        self._blobs = blobs.batch()
        self._core = blobs.core
        self._index = index
        self._new: dict[Content, BlobId] = {}
        self._base = 0

    async def __aenter__(self) -> "DriveBatch":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.flush()
        else:
            self.discard()

    def __len__(self) -> int:
        return len(self._entries)

    async def put(
        self, path: str, data: Buffer, *, executable: bool = False, metadata: Json = None
    ) -> None:
        """Write a file; `data` must not change before the flush."""
        await self.put_many([NewFile(path, data, executable, metadata)])

    async def put_many(self, files: Sequence[NewFile]) -> None:
        """Write several files: cheaper than one by one where there is an index to ask."""
        names = [normalise(file.path) for file in files]
        await self._begin()
        contents = [content_of(file.data) for file in files] if self._index is not None else []
        same = await self._find(contents) if contents else [None] * len(files)
        for at, (name, file) in enumerate(zip(names, files, strict=True)):
            blob = same[at]
            if blob is None and contents:
                blob = self._new.get(contents[at])
            if blob is None:
                blob = await self._blobs.put(file.data)
                if contents:
                    self._new[contents[at]] = blob
            await self._put(name, executable=file.executable, blob=blob, metadata=file.metadata)
        await self._relieve()

    async def may_hold(self, size: int) -> bool:
        """Whether the index knows bytes of this size; else asking by fingerprint is of no use."""
        if self._index is None or not size:
            return False
        fresh = any(content.size == size for content in self._new)
        return fresh or await self._index.may_hold(size)

    async def put_same(
        self, path: str, content: Content, *, executable: bool = False, metadata: Json = None
    ) -> bool:
        """Write a file of bytes that the drive holds already; False if it does not hold them."""
        name = normalise(path)
        await self._begin()
        [blob] = await self._find([content])
        if blob is None:
            return False
        await self._put(name, executable=executable, blob=blob, metadata=metadata)
        await self._relieve()
        return True

    async def put_stream(
        self, path: str, source: Source, *, executable: bool = False, metadata: Json = None
    ) -> None:
        """Write a file as it comes."""
        name = normalise(path)
        await self._begin()
        if self._index is None:
            blob = await self._blobs.put_stream(source)
            await self._put(name, executable=executable, blob=blob, metadata=metadata)
            await self._relieve()
            return
        start, whole = await whole_or_rest(source)
        if whole is None:
            await self.put(path, start, executable=executable, metadata=metadata)
            return
        hashed = HashedSource(whole)
        blob = await self._blobs.put_stream(hashed.read)
        await self.put_stored(path, blob, hashed.content, executable=executable, metadata=metadata)

    async def put_stored(
        self,
        path: str,
        blob: BlobId,
        content: Content,
        *,
        executable: bool = False,
        metadata: Json = None,
    ) -> None:
        """Write the entry of bytes just stored; were they there before, the new ones go."""
        name = normalise(path)
        await self._begin()
        [same] = await self._find([content])
        if same is not None and same != blob:
            await self._core.clear(blob.block_offset, blob.block_end)
            blob = same
        else:
            self._new[content] = blob
        await self._put(name, executable=executable, blob=blob, metadata=metadata)
        await self._relieve()

    async def copy(self, path: str, to: str) -> Entry:
        """Give a file or link a second name: one entry, no bytes. InputError if it is not there.

        Gives the entry that was copied.
        """
        entry = await self.entry(path)
        if entry is None:
            raise InputError(f"there is no {path} in this drive")
        await self.put_entry(
            to,
            executable=entry.executable,
            linkname=entry.linkname,
            blob=entry.blob,
            metadata=entry.metadata,
        )
        return entry

    async def rename(self, path: str, to: str) -> Entry:
        """Give a file or link another name; as `copy`."""
        entry = await self.copy(path, to)
        if normalise(path) != normalise(to):
            await self.delete(path)
        return entry

    async def put_entry(
        self,
        path: str,
        *,
        executable: bool = False,
        linkname: str | None = None,
        blob: BlobId | None = None,
        metadata: Json = None,
    ) -> None:
        """Write only an entry, for bytes that are there already."""
        name = normalise(path)
        await self._begin()
        await self._put(
            name, executable=executable, linkname=linkname, blob=blob, metadata=metadata
        )
        await self._relieve()

    async def symlink(self, path: str, target: str, *, metadata: Json = None) -> None:
        """Write a link; prefer absolute targets (see `resolve_link`)."""
        await self.put_entry(path, linkname=target, metadata=metadata)

    async def delete(self, path: str) -> bool:
        """Take a path away; False if it is not there. Its bytes stay until cleared."""
        name = normalise(path)
        await self._begin()
        return await self._entries.delete(name.encode())

    async def entry(self, path: str) -> Entry | None:
        """The entry of a path, seen through the changes so far (links are not followed)."""
        name = normalise(path)
        await self._begin()
        found = await self._entries.get(name.encode())
        return None if found is None else decode_entry(found.key, found.seq, found.value)

    async def flush(self) -> None:
        """Make all changes durable. The batch can be used again."""
        index = self._index
        try:
            await self._blobs.flush()
            await self._entries.flush()
            if index is not None and self._base:
                index.note(self._new)
                index.cover(self._base, self._files.version, self._files.core.fork)
                if index.waiting >= SAVE_AT:
                    await index.save()
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was not flushed and let others write."""
        self._new = {}
        self._base = 0
        self._entries.discard()
        self._blobs.close()

    async def _begin(self) -> None:
        # Always in this order: two batches never wait for each other.
        await self._entries.begin()
        await self._blobs.begin()
        self._base = self._base or self._files.version

    async def _find(self, contents: Sequence[Content]) -> list[BlobId | None]:
        if self._index is None:
            raise UsageError("a batch without an index")
        found = await self._index.find(contents)
        return [
            self._new.get(content) if blob is None else blob
            for content, blob in zip(contents, found, strict=True)
        ]

    async def _put(
        self,
        name: str,
        *,
        executable: bool = False,
        linkname: str | None = None,
        blob: BlobId | None = None,
        metadata: Json = None,
    ) -> None:
        value = encode_value(executable=executable, linkname=linkname, blob=blob, metadata=metadata)
        await self._entries.put(name.encode(), value)

    async def _relieve(self) -> None:
        """Flush if too much waits. Only between files: it lets other writers in."""
        if len(self._entries) >= MAX_ENTRIES:
            await self.flush()


async def whole_or_rest(source: Source) -> tuple[Buffer, Source | None]:
    """All of a source if it fits in one append, and None; else a source that gives all of it."""
    start = await fill(source, APPEND_SIZE)
    if len(start) < APPEND_SIZE:
        return start, None
    rest = memoryview(start)

    async def whole(size: int) -> Buffer:
        nonlocal rest
        if rest:
            given, rest = rest[:size], rest[size:]
            return given
        return await source(size)

    return start, whole

"""Blobs on a core: written one at a time, read in any part, from here or from peers."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple
from weakref import WeakKeyDictionary

from pearbox_edge.crypto import hash_bytes
from pearbox_edge.data.core import MAX_BLOCK_SIZE, Hypercore
from pearbox_edge.errors import InputError, PeerError, UnavailableError, UsageError
from pearbox_edge.logs import short
from pearbox_edge.wire import Buffer

from .blob_id import BlobId
from .block_map import (
    MAX_MAP_BLOCKS,
    MappedBlock,
    decode_block_map,
    encode_block_map,
    mapped_size,
    pieces,
)
from .reading import merged, read_pieces, read_plain
from .streams import BLOCK_SIZE, Source, cut, fill

APPEND_SIZE = 4 << 20
"""TUNING: bytes appended (signed, made durable) at once while a file is written."""

BATCH_SIZE = 8 << 20
"""TUNING: bytes of small files that wait for one append."""

MAX_GET_SIZE = 256 << 20
"""TUNING: bytes that `get` returns at once; larger blobs are read in parts."""

MAX_DOWNLOADS = 16
"""TUNING: runs of blocks asked for side by side."""


class BlobLocation(NamedTuple):
    """A blob as neighbouring bytes of a file on disk."""

    path: str
    offset: int
    length: int


_locks: WeakKeyDictionary[Hypercore, asyncio.Lock] = WeakKeyDictionary()
"""One writer for each core, however many objects are made on it."""


class Hyperblobs:
    """Files as runs of blocks. One writer at a time; others wait.

    Errors of reading: PeerError if an id does not fit the blocks, UnavailableError if blocks are
    missing that nobody can send (BLOCK_NOT_AVAILABLE) or if the blob is not there yet.
    Upstream: npm hyperblobs 2.12.1, `Hyperblobs`.
    """

    def __init__(self, core: Hypercore, *, block_size: int = BLOCK_SIZE) -> None:
        self.core = core
        self.block_size = block_size
        self._lock = _locks.setdefault(core, asyncio.Lock())
        self._core_id: int | None = None

    # Writing

    async def put(self, data: Buffer) -> BlobId:
        """Append a file's bytes; durable on return."""
        return (await self.put_many([data]))[0]

    async def put_many(self, files: Iterable[Buffer]) -> list[BlobId]:
        """Append several files as one; durable on return."""
        async with self.batch() as batch:
            return [await batch.put(data) for data in files]

    async def put_stream(self, source: Source) -> BlobId:
        """Append a file as it comes, in appends of APPEND_SIZE; durable on return.

        If the source fails, what was appended stays behind, named by nothing.
        """
        async with self.batch() as batch:
            return await batch.put_stream(source)

    async def put_mapped(
        self, chunks: Iterable[Buffer], *, dedup: bool = True, previous: BlobId | None = None
    ) -> BlobId:
        """Append a file as chunks with a map; a chunk seen before is named again, not stored again.

        previous: the blob (of this core) whose chunks count as seen.
        """
        async with self.batch() as batch:
            seen: dict[bytes, MappedBlock] = {}
            if dedup and previous is not None:
                seen = {hash_bytes(block): entry async for entry, block in self._mapped(previous)}
            entries: list[MappedBlock] = []
            for chunk in chunks:
                digest = hash_bytes(chunk) if dedup else b""
                entry = seen.get(digest) if dedup else None
                if entry is None:
                    entry = seen[digest] = await batch.put_block(chunk)
                entries.append(entry)
            return await batch.put_map(entries)

    def batch(self) -> "BlobsBatch":
        """Several files as few appends; other writers wait until its end."""
        return BlobsBatch(self.core, self._lock, self.block_size)

    # Reading

    async def get(self, blob: BlobId, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a blob from `start` on (all of them, or at most `length`).

        InputError above MAX_GET_SIZE: read those in parts.
        """
        await self._arrive(blob)
        size = await self.byte_length(blob) - start
        if min(size, size if length is None else length) > MAX_GET_SIZE:
            raise InputError(f"{size} bytes are too many to read at once")
        parts = [part async for run in self.read_runs(blob, start, length) for part in run]
        return b"".join(parts)

    async def read(
        self, blob: BlobId, start: int = 0, length: int | None = None
    ) -> AsyncIterator[Buffer]:
        """Iterate over the bytes of a blob, about a block at a time."""
        async for parts in self.read_runs(blob, start, length):
            for part in parts:
                yield part

    async def read_runs(
        self, blob: BlobId, start: int = 0, length: int | None = None
    ) -> AsyncIterator[list[Buffer]]:
        """Iterate over the bytes of a blob, some MiB at a time, as lists of buffers."""
        if start < 0 or (length is not None and length < 0):
            raise InputError("a range of bytes begins at 0 or later and has a length")
        try:
            await self._arrive(blob)
            runs = self._read_map if blob.block_map else self._read_plain
            async for parts in runs(blob, start, length):
                yield parts
        except PeerError as error:
            raise self._named(error) from error

    async def block_map(self, blob: BlobId) -> list[MappedBlock]:
        """The blocks of a mapped blob's content, in order."""
        if not blob.block_map:
            raise UsageError("this blob has no map")
        if blob.block_length > MAX_MAP_BLOCKS:
            raise self._named(PeerError(f"a block map of {blob.block_length} blocks"))
        await self._arrive(blob)
        try:
            entries = decode_block_map(await self.core.get_many(blob.block_offset, blob.block_end))
        except PeerError as error:
            raise self._named(error) from error
        if any(entry.block >= self.core.length for entry in entries):
            raise self._named(PeerError("a block map that names blocks past the end"))
        return entries

    async def byte_length(self, blob: BlobId) -> int:
        """Bytes of the content (for a mapped blob the map is read)."""
        return mapped_size(await self.block_map(blob)) if blob.block_map else blob.byte_length

    async def has(self, blob: BlobId) -> bool:
        """Whether all blocks of a blob are held here."""
        if not self._holds(blob):
            return False
        if not blob.block_map:
            return True
        return all(self.core.has(entry.block) for entry in await self.block_map(blob))

    async def location(self, blob: BlobId) -> BlobLocation | None:
        """Where a whole blob lies on disk, to be copied without passing through this process.

        None if it is encrypted, mapped, empty, not held entirely, or not on a disk.
        """
        path = await self._data_file()
        if path is None or self.core.encrypted or blob.block_map or not self._holds(blob):
            return None
        await self.core.settled()
        if blob.byte_length == 0 or not self._holds(blob):
            return None
        start = await self.core.byte_offset(blob.block_offset)
        if await self.core.byte_offset(blob.block_end) - start != blob.byte_length:
            raise self._named(PeerError("a blob id that does not fit its blocks"))
        return BlobLocation(path, start, blob.byte_length)

    # What is held here

    async def download(self, blobs: Sequence[BlobId]) -> None:
        """Return once all blocks of these blobs are held: maps first, then what they list."""
        maps = [blob for blob in blobs if blob.block_map]
        for blob in blobs:
            await self._arrive(blob)
        await self._download((blob.block_offset, blob.block_end) for blob in maps)
        runs = [(blob.block_offset, blob.block_end) for blob in blobs if not blob.block_map]
        for blob in maps:
            runs += [(entry.block, entry.block + 1) for entry in await self.block_map(blob)]
        await self._download(runs)

    async def clear(self, blob: BlobId) -> None:
        """Forget a blob's blocks here; of a mapped one also all that its map lists (if held)."""
        if blob.block_map and self._holds(blob):
            for entry in await self.block_map(blob):
                await self.core.clear(entry.block, entry.block + 1)
        await self.core.clear(blob.block_offset, blob.block_end)

    async def _data_file(self) -> str | None:
        if self._core_id is None:
            stored = await self.core.storage.open_core(self.core.discovery_key)
            if stored is None:
                return None
            self._core_id = stored.core_id
        return self.core.storage.data_file(self._core_id)

    def _holds(self, blob: BlobId) -> bool:
        if not blob.block_length:
            return True
        return blob.block_end <= self.core.length and self.core.has(
            blob.block_offset, blob.block_end
        )

    async def _arrive(self, blob: BlobId) -> None:
        """See that the core is long enough for a blob; its head may lag behind the entry's."""
        if blob.byte_length > blob.block_length * MAX_BLOCK_SIZE:
            raise self._named(PeerError("a blob id of more bytes than its blocks can hold"))
        if blob.block_length and blob.block_end > self.core.length:
            await self.core.update()
        if blob.block_length and blob.block_end > self.core.length:
            if self.core.writable:
                raise self._named(PeerError("a blob id past the end of the blobs"))
            raise UnavailableError(
                f"blobs {short(self.core.key)}: block {blob.block_end - 1} is past the end of what "
                "peers have; try again once its writer is online",
                code="BLOCK_NOT_AVAILABLE",
            )

    async def _read_plain(
        self, blob: BlobId, start: int, length: int | None
    ) -> AsyncIterator[list[Buffer]]:
        rest = max(blob.byte_length - start, 0)
        size = rest if length is None else min(length, rest)
        if not size and (start or length is not None or not blob.block_length):
            return
        if (start or size < rest) and blob.byte_offset + start + size > self.core.byte_length:
            raise PeerError("a blob id whose bytes lie past the end of the blobs")
        place = (blob.block_offset, 0)
        if start:
            place = await self.core.seek(blob.byte_offset + start)
        end = None
        if size < rest:
            end = (await self.core.seek(blob.byte_offset + start + size - 1))[0] + 1
        async with self._ahead([(place[0], min(end or blob.block_end, blob.block_end))]):
            async for parts in read_plain(self.core, blob, place, size, end):
                yield parts

    async def _read_map(
        self, blob: BlobId, start: int, length: int | None
    ) -> AsyncIterator[list[Buffer]]:
        entries = await self.block_map(blob)
        rest = max(mapped_size(entries) - start, 0)
        wanted = list(pieces(entries, start, rest if length is None else min(length, rest)))
        async with self._ahead([(piece.block, piece.block + 1) for piece in wanted]):
            async for parts in read_pieces(self.core, wanted):
                yield parts

    async def _mapped(self, blob: BlobId) -> AsyncIterator[tuple[MappedBlock, bytes]]:
        """Blocks of a blob, mapped or plain, with what a map says of each."""
        if blob.block_map:
            for entry in await self.block_map(blob):
                yield entry, await self.core.get(entry.block)
        else:
            for index in range(blob.block_offset, blob.block_end):
                block = await self.core.get(index)
                yield MappedBlock(index, len(block)), block

    @asynccontextmanager
    async def _ahead(self, runs: Iterable[tuple[int, int]]) -> AsyncIterator[None]:
        """Fetch what is missing of some runs while their beginning is read already."""
        missing = [run for run in merged(runs) if not self.core.has(*run)]
        if not missing:
            yield
            return
        task = asyncio.create_task(self._download(missing))
        try:
            yield
        finally:
            task.cancel()
            # Who reads a block that did not come hears why; this is only a head start.
            await asyncio.gather(task, return_exceptions=True)

    async def _download(self, runs: Iterable[tuple[int, int]]) -> None:
        waiting = iter(merged(runs))

        async def work() -> None:
            for start, end in waiting:
                await self.core.download(start, end)

        tasks = [asyncio.create_task(work()) for _ in range(MAX_DOWNLOADS)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _named(self, error: PeerError) -> PeerError:
        return PeerError(f"blobs {short(self.core.key)}: {error}", code=error.code)


class BlobsBatch:
    """Files written one after another; their ids are known at once, their bytes durable later.

    Small files wait for company until BATCH_SIZE bytes are there, or `flush`. Used with
    `async with` (which flushes unless there was an error), or `begin` and `close`.
    """

    def __init__(self, core: Hypercore, lock: asyncio.Lock, block_size: int) -> None:
        self._core = core
        self._lock = lock
        self._block_size = block_size
        self._held = False
        self._blocks: list[Buffer] = []
        self._size = 0
        self._index = 0
        self._bytes = 0

    async def __aenter__(self) -> "BlobsBatch":
        await self.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self.flush()
        finally:
            self.close()

    async def begin(self) -> None:
        """Become the writer (as soon as no other is); nothing if so already."""
        if self._held:
            return
        if not self._core.writable:
            raise UsageError("these blobs are not ours to write")
        await self._lock.acquire()
        self._held = True
        self._index, self._bytes = self._core.length, self._core.byte_length

    def close(self) -> None:
        """Let others write; what was not flushed is forgotten."""
        if self._held:
            self._held = False
            self._blocks, self._size = [], 0
            self._lock.release()

    async def put(self, data: Buffer) -> BlobId:
        """Add a file; its bytes must not change until they are flushed."""
        start = self._place()
        for block in cut(data, self._block_size):
            self._add(block)
        if self._size >= BATCH_SIZE:
            await self.flush()
        return self._since(start)

    async def put_stream(self, source: Source) -> BlobId:
        """Add a file as it comes, durable on return; the next part is read while one is written."""
        await self.flush()
        start = self._place()
        chunk = await fill(source, APPEND_SIZE)
        while chunk:
            for block in cut(chunk, self._block_size):
                self._add(block)
            if len(chunk) < APPEND_SIZE:
                break
            written, following = await asyncio.gather(
                self.flush(), fill(source, APPEND_SIZE), return_exceptions=True
            )
            if written is not None:
                raise written
            if isinstance(following, BaseException):
                raise following
            chunk = following
        await self.flush()
        return self._since(start)

    async def put_block(self, chunk: Buffer) -> MappedBlock:
        """Add one block of a mapped file."""
        entry = MappedBlock(self._index, len(chunk))
        self._add(chunk)
        if self._size >= BATCH_SIZE:
            await self.flush()
        return entry

    async def put_map(self, entries: Sequence[MappedBlock]) -> BlobId:
        """Add the map of a file; durable on return."""
        start = self._place()
        for block in encode_block_map(entries):
            self._add(block)
        await self.flush()
        return replace(self._since(start), block_map=True)

    async def flush(self) -> None:
        """Append what waits; durable on return."""
        blocks, self._blocks, self._size = self._blocks, [], 0
        if not blocks:
            return
        if self._core.length + len(blocks) != self._index:
            raise UnavailableError("the blobs changed under a writer; do it again")
        await self._core.append(blocks)

    def _add(self, block: Buffer) -> None:
        self._blocks.append(block)
        self._size += len(block)
        self._index += 1
        self._bytes += len(block)

    def _place(self) -> tuple[int, int]:
        if not self._held:
            raise UsageError("a batch of blobs that was not begun")
        return self._index, self._bytes

    def _since(self, start: tuple[int, int]) -> BlobId:
        index, size = start
        return BlobId(index, self._index - index, size, self._bytes - size)

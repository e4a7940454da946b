"""Many changes of a drive, written together: bytes first, entries second."""

from types import TracebackType

from pearbox_edge.data.bee import Hyperbee
from pearbox_edge.data.blobs import BlobId, Hyperblobs, Json, Source
from pearbox_edge.wire import Buffer

from .entry import Entry, decode_entry, encode_value
from .paths import normalise

MAX_ENTRIES = 4096
"""TUNING: entries that wait for one append (some 2 MiB of blocks and tree in memory)."""


class DriveBatch:
    """Changes that become durable, and visible to others, with `flush` or the end of `async with`.

    Up to MAX_ENTRIES changes and 8 MiB of small files are one append each; past that, what is there
    is flushed on the way, so that memory stays bounded. Other writers wait from the first change
    to the flush; so would `drive.put`, hence use only the batch meanwhile.
    """

    def __init__(self, files: Hyperbee, blobs: Hyperblobs) -> None:
        self._entries = files.batch()
        self._blobs = blobs.batch()

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
        name = normalise(path)
        await self._begin()
        blob = await self._blobs.put(data)
        await self._put(name, executable=executable, blob=blob, metadata=metadata)

    async def put_stream(
        self, path: str, source: Source, *, executable: bool = False, metadata: Json = None
    ) -> None:
        """Write a file as it comes."""
        name = normalise(path)
        await self._begin()
        blob = await self._blobs.put_stream(source)
        await self._put(name, executable=executable, blob=blob, metadata=metadata)

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
        try:
            await self._blobs.flush()
            await self._entries.flush()
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was not flushed and let others write."""
        self._entries.discard()
        self._blobs.close()

    async def _begin(self) -> None:
        # Always in this order: two batches never wait for each other.
        await self._entries.begin()
        await self._blobs.begin()

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
        if len(self._entries) >= MAX_ENTRIES:
            await self.flush()

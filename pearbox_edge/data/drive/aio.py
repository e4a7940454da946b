"""A drive: files and folders on two cores of a store, the entries' bee and the files' bytes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Self

from pearbox_edge.data.bee import BeeView, Hyperbee, Metadata
from pearbox_edge.data.blobs import BlobId, Hyperblobs, Json, Source, without
from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.store import Corestore, Name
from pearbox_edge.errors import (
    DeniedError,
    InputError,
    PeerError,
    StorageError,
    UnavailableError,
    UsageError,
)
from pearbox_edge.ids import KEY_SIZE, CoreKey, DiscoveryKey
from pearbox_edge.logs import short
from pearbox_edge.wire import Buffer

from .batch import DriveBatch, whole_or_rest
from .content_index import Content, ContentIndex, HashedSource
from .content_key import content_manifest
from .entry import Entry, encode_value
from .paths import normalise
from .reading import DriveReader, folder_range

_FILES = b"files"  # SPEC sheet 15: the sub of the bee that holds the entries


class Hyperdrive(DriveReader):
    """Files and folders under one key. Without `key`: our own, the core `name` of the store.

    `open` before use and `close` at the end, or `async with`. Reading methods see the newest
    version; writing ones raise DeniedError for a drive that is not ours.
    Upstream: npm hyperdrive 13.3.4, `Hyperdrive`.
    """

    def __init__(
        self,
        store: Corestore,
        key: CoreKey | None = None,
        *,
        name: Name = "db",
        encryption_key: bytes | None = None,
        dedup: bool = False,
    ) -> None:
        """dedup: store the same bytes once, by a BLAKE3 index in the store's directory."""
        self.store = store
        self.encryption_key = encryption_key
        self._dedup = dedup
        self._index: ContentIndex | None = None
        self._key = key
        self._name = name
        self._bee: Hyperbee | None = None
        self._files: Hyperbee | None = None
        self._blobs: Hyperblobs | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> Self:
        """Open the entries, and the bytes if it is known here which they are."""
        async with self._opening:
            if self._bee is not None:
                return self
            if self._key is not None:
                core = await self.store.get(key=self._key, encryption_key=self.encryption_key)
            else:
                core = await self.store.get(self._name, encryption_key=self.encryption_key)
            # The header names no blobs: an empty metadata message, as upstream writes it.
            self._bee = Hyperbee(core, metadata=Metadata())
            self._files = self._bee.sub(_FILES)
        if core.has(0) or (core.writable and core.length == 0):
            try:
                await self.get_blobs()
            except BaseException:
                await self.close()
                raise
        return self

    async def close(self) -> None:
        """Give the cores back to the store."""
        async with self._opening:
            bee, blobs, index = self._bee, self._blobs, self._index
            self._bee = self._files = self._blobs = self._index = None
        if index is not None and bee is not None and not bee.core.closed:
            with suppress(StorageError):  # it only costs space if it is not written down
                await index.save()
        if bee is not None:
            await bee.close()
            await bee.core.close()
        if blobs is not None:
            await blobs.core.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # What a drive is

    @property
    def bee(self) -> Hyperbee:
        """The entries; UsageError before `open`."""
        if self._bee is None:
            raise UsageError("the drive is not open")
        return self._bee

    @property
    def core(self) -> Hypercore:
        """The core of the entries, whose key is the drive's."""
        return self.bee.core

    @property
    def blobs(self) -> Hyperblobs | None:
        """The files' bytes, if they were opened already; see `get_blobs`."""
        return self._blobs

    @property
    def key(self) -> CoreKey:
        """What others read the drive with."""
        return self.core.key

    @property
    def discovery_key(self) -> DiscoveryKey:
        """What peers of the drive meet under."""
        return self.core.discovery_key

    @property
    def content_key(self) -> CoreKey | None:
        """The key of the files' bytes, None while unknown."""
        return None if self._blobs is None else self._blobs.core.key

    @property
    def version(self) -> int:
        """Length of the entries' core, at least 1."""
        return self.bee.version

    @property
    def writable(self) -> bool:
        """Whether the drive is ours to change."""
        return self.core.writable

    async def get_blobs(self, *, timeout: float | None = None) -> Hyperblobs:
        """The files' bytes, opened with the first call. UnavailableError while no peer helped."""
        if self._blobs is not None:
            return self._blobs
        bee = self.bee
        header_feed = await self._content_feed(timeout)
        async with self._opening:
            if self._bee is not bee:
                raise UnavailableError("the drive was closed", code="SESSION_CLOSED")
            if self._blobs is None:
                self._blobs = Hyperblobs(await self._open_blobs(bee.core, header_feed))
            return self._blobs

    async def _content_feed(self, timeout: float | None) -> bytes | None:
        """The key of the blobs if the header names one. Our own drive may have no header yet."""
        core = self.core
        if core.length == 0 and not core.writable:
            await core.update(timeout=timeout)
            if core.length == 0:
                raise UnavailableError(
                    f"drive {short(core.key)}: nothing of it is here yet and no peer has it"
                )
        header = await self.bee.header(timeout=timeout)
        if header is None or header.metadata is None:
            return None
        return header.metadata.content_feed or None

    async def _open_blobs(self, core: Hypercore, feed: bytes | None) -> Hypercore:
        if feed is not None:
            if len(feed) < KEY_SIZE:
                raise self.named(PeerError("a header that names no key of blobs"))
            return await self.store.get(
                key=CoreKey(feed[:KEY_SIZE]), encryption_key=self.encryption_key
            )
        derived = None if core.manifest is None else content_manifest(core.manifest, core.key)
        if derived is None:
            raise self.named(PeerError("a drive of old that names no blobs"))
        return await self.store.get(
            manifest=derived,
            key_pair=core.key_pair if core.writable else None,
            encryption_key=self.encryption_key,
        )

    # Versions

    async def update(self, *, timeout: float | None = None) -> bool:
        """Take the newest version that connected peers can prove; whether it changed."""
        return await self.core.update(timeout=timeout)

    def checkout(self, version: int) -> "DriveCheckout":
        """An older version, read only, held fast. It must lie at the end of an operation.

        InputError if there is none yet. Reading it fails (SNAPSHOT_NOT_AVAILABLE) once a
        truncation took it away. Bytes of files that were cleared cannot be read.
        """
        return DriveCheckout(self, self._sub.checkout(version))

    def snapshot(self) -> "DriveCheckout":
        """The newest version, held fast."""
        return self.checkout(self.version)

    async def watch(
        self, folder: str = "/"
    ) -> AsyncIterator[tuple["DriveCheckout", "DriveCheckout"]]:
        """After each change below a folder: (the drive now, and before). Ends with `close`."""
        async for now, before in self._sub.watch(folder_range(folder)):
            yield DriveCheckout(self, now), DriveCheckout(self, before)

    # Writing

    async def put(
        self, path: str, data: Buffer, *, executable: bool = False, metadata: Json = None
    ) -> None:
        """Write a file: its bytes, then its entry. Durable on return."""
        name = self._writable(path)
        if self._dedup:
            async with await self.batch() as batch:
                await batch.put(path, data, executable=executable, metadata=metadata)
            return
        blob = await (await self.get_blobs()).put(data)
        await self._put(name, executable=executable, blob=blob, metadata=metadata)

    async def put_stream(
        self, path: str, source: Source, *, executable: bool = False, metadata: Json = None
    ) -> None:
        """Write a file of any size as it comes; durable (and there at all) on return.

        With an index, a small file that is held already writes no block; a big one is stored as it
        comes and let go again at its end (see `put_same` for content known beforehand).
        """
        name = self._writable(path)
        blobs = await self.get_blobs()
        if not self._dedup:
            blob = await blobs.put_stream(source)
            await self._put(name, executable=executable, blob=blob, metadata=metadata)
            return
        start, rest = await whole_or_rest(source)
        if rest is None:
            await self.put(path, start, executable=executable, metadata=metadata)
            return
        # Other changes of the drive need not wait while a big file trickles in.
        hashed = HashedSource(rest)
        blob = await blobs.put_stream(hashed.read)
        async with await self.batch() as batch:
            await batch.put_stored(
                path, blob, hashed.content, executable=executable, metadata=metadata
            )

    async def put_same(
        self, path: str, content: Content, *, executable: bool = False, metadata: Json = None
    ) -> bool:
        """Write a file of bytes that the drive holds already; False if it does not hold them."""
        self._writable(path)
        async with await self.batch() as batch:
            return await batch.put_same(path, content, executable=executable, metadata=metadata)

    async def may_hold(self, size: int) -> bool:
        """Whether the index knows bytes of this size; else asking by fingerprint is of no use."""
        index = await self._content_index()
        return index is not None and size > 0 and await index.may_hold(size)

    async def copy(self, path: str, to: str) -> Entry:
        """Give a file or link a second name: one entry, no bytes. InputError if it is not there."""
        self._writable(to)
        async with await self.batch() as batch:
            return await batch.copy(path, to)

    async def rename(self, path: str, to: str) -> Entry:
        """Give a file or link another name; as `copy`."""
        self._writable(to)
        async with await self.batch() as batch:
            return await batch.rename(path, to)

    async def restore(self, path: str, version: int) -> Entry:
        """Bring back a file or link as it was at a version: one entry, no bytes.

        InputError if it was not there then, UnavailableError if its bytes were cleared since.
        """
        self._writable(path)
        name = normalise(path)
        entry = None
        # By the history: a version may lie within a batch, where the tree cannot be read.
        async for step in self.checkout(version).history(reverse=True):
            if step.path == name:
                entry = step.entry
                break
        if entry is None:
            raise InputError(f"version {version} has no {name}")
        async with await self.batch() as batch:
            if entry.blob is not None and not await (await self.get_blobs()).has(entry.blob):
                raise UnavailableError(
                    f"the bytes of {entry.path} as of version {version} are not held here any more",
                    code="BLOCK_NOT_AVAILABLE",
                )
            await batch.put_entry(
                path,
                executable=entry.executable,
                linkname=entry.linkname,
                blob=entry.blob,
                metadata=entry.metadata,
            )
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
        """Write only an entry, for bytes that are there already (a copy, a new name)."""
        name = self._writable(path)
        await self._put(
            name, executable=executable, linkname=linkname, blob=blob, metadata=metadata
        )

    async def symlink(self, path: str, target: str, *, metadata: Json = None) -> None:
        """Write a link. Use absolute targets: others count from the link's own path as a folder."""
        await self.put_entry(path, linkname=target, metadata=metadata)

    async def delete(self, path: str) -> bool:
        """Take a path away; False if it was not there. Its bytes stay until cleared."""
        return await self._sub.delete(self._writable(path).encode())

    async def batch(self) -> DriveBatch:
        """Many changes written together; use with `async with await drive.batch()`."""
        self.must_be_writable()
        return DriveBatch(self._sub, await self.get_blobs(), await self._content_index())

    async def rebuild_index(self) -> None:
        """Read all content once and write the index of it anew; nothing without `dedup`."""
        index = await self._content_index()
        if index is not None:
            await index.forget()
            await index.catch_up(self.snapshot(), self.core.fork, budget=None)
            await index.save()

    async def _content_index(self) -> ContentIndex | None:
        """The index, knowing all (or, of much that was stored without it, a part more)."""
        if not self._dedup or not self.writable:
            return None
        if self._index is None:
            self._index = ContentIndex(await self.get_blobs())
        await self._index.catch_up(self.snapshot(), self.core.fork)
        return self._index

    async def truncate(self, version: int, *, blobs_length: int | None = None) -> None:
        """Go back to an older version for good; its blobs' length is found if not given.

        Found is the length that it and all versions before it need (upstream keeps what it alone
        needs, so that an undelete after it fails).
        """
        self.must_be_writable()
        if not 1 <= version <= self.version:
            raise InputError(f"there is no version {version}; the newest is {self.version}")
        if blobs_length is None:
            ends = [
                step.entry.blob.block_end
                async for step in self.checkout(version).history()
                if step.entry is not None and step.entry.blob is not None
            ]
            blobs_length = max(ends, default=0)
        blobs = await self.get_blobs()
        # Entries first: never one whose bytes are gone.
        index = self._index
        if index is None and self._dedup:
            index = ContentIndex(await self.get_blobs())
        await self.core.truncate(version)
        if index is not None:
            await index.cut(version, self.core.fork)
        if blobs_length < blobs.core.length:
            await blobs.core.truncate(blobs_length)

    # What is held here

    async def clear(self, path: str) -> int:
        """Forget a file's bytes here; its entry stays. Gives the number of blocks freed.

        What other entries of the newest version share with it stays (as far as the entries are
        held here: what peers have can be fetched again). Older versions are not looked at.
        """
        normalise(path)
        blobs = self._blobs
        if blobs is None:
            return 0
        # Nobody may write an entry for these bytes while it is found out who needs them.
        lock = self._sub.batch()
        if self.writable:
            await lock.begin()
        try:
            return await self._clear(blobs, path)
        finally:
            lock.discard()

    async def _clear(self, blobs: Hyperblobs, path: str) -> int:
        try:
            entry = await self.entry(path, wait=False)
        except UnavailableError:
            return 0
        if entry is None or entry.blob is None:
            return 0
        own = await _blocks_of(blobs, entry.blob)
        shared: list[tuple[int, int]] = []
        with suppress(UnavailableError):
            async for found in self.entries_now().range(folder_range("/"), wait=False):
                other = self._entry(found)
                if other.path != entry.path and other.blob is not None:
                    shared += await _blocks_of(blobs, other.blob)
        freed = 0
        for start, end in without(own, shared):
            freed += end - start
            await blobs.core.clear(start, end)
        return freed

    async def clear_all(self) -> None:
        """Forget the bytes of all files here; entries stay."""
        if self._blobs is not None:
            await self._blobs.core.clear(0, self._blobs.core.length)

    async def purge(self) -> None:
        """Delete both cores from this store, and close. UnavailableError if others use them.

        Never write a purged drive of ours anew: its old heads are signed, readers may have them.
        """
        keys = [self.core.discovery_key]
        with suppress(UnavailableError):
            keys.append((await self.get_blobs(timeout=0)).core.discovery_key)
        if self._index is not None:
            await self._index.forget()
            self._index = None
        await self.close()
        for key in keys:
            await self.store.purge(key)

    async def download_range(
        self, entries: Sequence[tuple[int, int]] = (), blobs: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Return once runs of blocks (start, end) of the two cores are held here."""
        for start, end in entries:
            await self.core.download(start, end)
        if blobs:
            core = (await self.get_blobs()).core
            for start, end in blobs:
                await core.download(start, end)

    @property
    def _sub(self) -> Hyperbee:
        if self._files is None:
            raise UsageError("the drive is not open")
        return self._files

    def entries_now(self) -> BeeView:
        """The entries of the newest version, with paths as keys."""
        return self._sub.snapshot()

    def entries_at(self, version: int) -> BeeView:
        """The entries of another version."""
        return self._sub.checkout(version)

    def named(self, error: PeerError) -> PeerError:
        """The same error, saying which drive it is about."""
        return PeerError(f"drive {short(self.key)}: {error}", code=error.code)

    async def _download_entries(self) -> None:
        await self.core.download(0, self.core.length)

    def must_be_writable(self) -> None:
        """DeniedError unless the drive is ours to change."""
        if not self.writable:
            raise DeniedError("this drive is somebody else's: it can only be read")

    def _writable(self, path: str) -> str:
        name = normalise(path)
        self.must_be_writable()
        return name

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
        await self._sub.put(name.encode(), value)


async def _blocks_of(blobs: Hyperblobs, blob: BlobId) -> list[tuple[int, int]]:
    """The runs of blocks that a blob needs; of a mapped one also what its map lists, if held."""
    runs = [(blob.block_offset, blob.block_end)]
    if blob.block_map and await blobs.has(replace(blob, block_map=False)):
        runs += [(entry.block, entry.block + 1) for entry in await blobs.block_map(blob)]
    return runs


class DriveCheckout(DriveReader):
    """A drive as of one version, read only. Needs the drive to stay open."""

    def __init__(self, drive: Hyperdrive, view: BeeView) -> None:
        self._drive = drive
        self._entries = view

    @property
    def version(self) -> int:
        """The version that is held fast."""
        return self._entries.version

    async def get_blobs(self, *, timeout: float | None = None) -> Hyperblobs:
        """The files' bytes: of all versions alike."""
        return await self._drive.get_blobs(timeout=timeout)

    def entries_now(self) -> BeeView:
        """The entries of the newest version, with paths as keys."""
        return self._entries

    def entries_at(self, version: int) -> BeeView:
        """The entries of another version."""
        return self._drive.entries_at(version)

    def named(self, error: PeerError) -> PeerError:
        """The same error, saying which drive it is about."""
        return self._drive.named(error)

    async def _download_entries(self) -> None:
        await self._drive.core.download(0, self.version)

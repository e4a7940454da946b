"""Reading a drive as of one version: entries, folders, contents, differences."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from pearbox_edge.data.bee import BeeChange, BeeEntry, BeeView, KeyRange
from pearbox_edge.data.blobs import BlobLocation, Hyperblobs
from pearbox_edge.errors import InputError, PeerError
from pearbox_edge.wire import Buffer

from .entry import Entry, decode_entry
from .paths import normalise, normalise_folder, resolve_link

MAX_HOPS = 16  # SPEC sheet 15: links followed one after another


class Child(NamedTuple):
    """A name in a folder: a file or link, or a folder with the first file below it."""

    name: str
    is_folder: bool
    entry: Entry


class DriveChange(NamedTuple):
    """One path that differs between two versions; None where it does not exist."""

    left: Entry | None
    right: Entry | None


class DriveOperation(NamedTuple):
    """One step of the history: `path` came to be `entry`, or was deleted (None)."""

    seq: int
    path: str
    entry: Entry | None


class DriveReader(ABC):
    """A drive, read only. What takes a path also takes an Entry of this drive.

    Errors of every method: InputError for a path that cannot be, PeerError if the drive's writer
    broke the format, UnavailableError if data is missing that nobody can send now.
    """

    @property
    @abstractmethod
    def version(self) -> int:
        """Length of the entries' core, at least 1."""

    @abstractmethod
    def entries_now(self) -> BeeView:
        """The entries of this version, with paths as keys."""

    @abstractmethod
    def entries_at(self, version: int) -> BeeView:
        """The entries of another version."""

    @abstractmethod
    async def get_blobs(self, *, timeout: float | None = None) -> Hyperblobs:
        """The files' bytes; opened with the first call."""

    @abstractmethod
    def named(self, error: PeerError) -> PeerError:
        """The same error, saying which drive it is about."""

    async def entry(
        self,
        path: str,
        *,
        follow: bool = False,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Entry | None:
        """The entry of a path, or None; with `follow`, where links lead. Without `wait`, only
        from what is held here.
        """
        view = self.entries_now()
        name = normalise(path)
        for _ in range(MAX_HOPS):
            found = await view.get(name.encode(), wait=wait, timeout=timeout)
            if found is None:
                return None
            entry = self._entry(found)
            if not follow or entry.linkname is None:
                return entry
            try:
                name = resolve_link(entry.path, entry.linkname)
            except InputError as error:
                raise self.named(PeerError(str(error))) from error
        raise self.named(PeerError("links that lead in circles", code="RECURSIVE_SYMLINK"))

    async def exists(self, path: str) -> bool:
        """Whether there is a file or link of this name."""
        return await self.entry(path) is not None

    async def get(
        self, path: str | Entry, *, follow: bool = False, timeout: float | None = None
    ) -> bytes | None:
        """The whole content of a file (up to MAX_GET_SIZE), or None if there is none."""
        entry = await self._resolve(path, follow=follow, timeout=timeout)
        if entry is None or entry.blob is None:
            return None
        return await (await self.get_blobs(timeout=timeout)).get(entry.blob)

    async def read_runs(
        self,
        path: str | Entry,
        start: int = 0,
        length: int | None = None,
        *,
        follow: bool = False,
    ) -> AsyncIterator[list[Buffer]]:
        """Iterate over the content some MiB at a time, as lists of buffers (for `writev`).

        From byte `start`, at most `length` bytes. InputError if there is no such file.
        """
        entry = await self._resolve(path, follow=follow)
        if entry is None:
            raise InputError("there is no such file")
        if entry.blob is None:
            return
        blobs = await self.get_blobs()
        async for parts in blobs.read_runs(entry.blob, start, length):
            yield parts

    async def read(
        self,
        path: str | Entry,
        start: int = 0,
        length: int | None = None,
        *,
        follow: bool = False,
    ) -> AsyncIterator[Buffer]:
        """Iterate over the content about a block at a time; else as `read_runs`."""
        async for parts in self.read_runs(path, start, length, follow=follow):
            for part in parts:
                yield part

    async def size(self, entry: Entry) -> int:
        """Bytes of the content; of a mapped file its map is read."""
        if entry.size is not None or entry.blob is None:
            return entry.size or 0
        return await (await self.get_blobs()).byte_length(entry.blob)

    async def blob_location(self, entry: Entry) -> BlobLocation | None:
        """Where the whole content lies on disk: (path, offset, length); see Hyperblobs.location."""
        if entry.blob is None:
            return None
        return await (await self.get_blobs()).location(entry.blob)

    async def list(
        self,
        folder: str = "/",
        *,
        recursive: bool = True,
        after: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Entry]:
        """Iterate over all files and links below a folder, sorted by the bytes of their paths.

        Not recursive: of each subfolder only the first file below it (see `children`).
        after: the path of an earlier page's last entry, to go on behind it.
        """
        if not recursive:
            async for entry in self._shallow(folder, after, limit):
                yield entry
            return
        bounds = folder_range(folder)
        if after is not None:
            bounds = KeyRange(gt=max(after.encode(), bounds.gt or b""), lt=bounds.lt)
        async for found in self.entries_now().range(bounds, limit=limit):
            yield self._entry(found)

    async def _shallow(
        self, folder: str, after: str | None, limit: int | None
    ) -> AsyncIterator[Entry]:
        if after is not None:
            name, slash, _ = after[len(normalise_folder(folder)) + 1 :].partition("/")
            after = name + slash
        last = None
        async for child in self.children(folder, after=after):
            if limit is not None and limit <= 0:
                return
            if child.name != last:
                limit = None if limit is None else limit - 1
                yield child.entry
            last = child.name

    async def page(
        self, folder: str = "/", *, after: str | None = None, limit: int = 100
    ) -> Sequence[Entry]:
        """The first `limit` entries of `list`."""
        return [entry async for entry in self.list(folder, after=after, limit=limit)]

    async def children(
        self, folder: str = "/", *, after: str | None = None
    ) -> AsyncIterator[Child]:
        """Iterate over the names in a folder, sorted by bytes (folders as if they ended with /).

        after: the last name of an earlier page, with a slash behind it if that was a folder.
        """
        view = self.entries_now()
        bounds = folder_range(folder)
        prefix = bounds.gt or b""
        if after is not None:
            name, slash, _ = after.partition("/")
            key = prefix + name.encode()
            bounds = (
                KeyRange(gte=key + b"0", lt=bounds.lt) if slash else KeyRange(gt=key, lt=bounds.lt)
            )
        while True:
            jump = None
            async for found in view.range(bounds):
                first, slash_byte, _ = found.key[len(prefix) :].partition(b"/")
                entry = self._entry(found)
                yield Child(str(first, "utf-8", "replace"), bool(slash_byte), entry)
                if slash_byte:
                    # Past all that lies in it, unread: `0` is the byte after `/`.
                    jump = prefix + first + b"0"
                    break
            if jump is None:
                return
            bounds = KeyRange(gte=jump, lt=bounds.lt)

    async def readdir(self, folder: str = "/") -> AsyncIterator[str]:
        """Iterate over the names in a folder."""
        last = None
        async for child in self.children(folder):
            if child.name != last:
                yield child.name
            last = child.name

    async def diff(self, version: int, folder: str = "/") -> AsyncIterator[DriveChange]:
        """Iterate over the paths that differ: left as of this version, right as of `version`."""
        async for change in self.entries_now().diff(self.entries_at(version), folder_range(folder)):
            yield self._change(change)

    async def history(
        self, start: int = 1, end: int | None = None, *, reverse: bool = False
    ) -> AsyncIterator[DriveOperation]:
        """Iterate over what was done, in the order it was (or newest first), from block `start`."""
        async for step in self.entries_now().history(start, end, reverse=reverse):
            entry = None if step.deleted else self._entry(BeeEntry(*step[:3]))
            yield DriveOperation(step.seq, str(step.key, "utf-8", "replace"), entry)

    async def has(self, path: str = "/") -> bool:
        """Whether all bytes of a file (or of all files below a folder) are held here."""
        blobs = await self.get_blobs()
        if not path.endswith("/") and path:
            entry = await self.entry(path)
            if entry is not None:
                return entry.blob is not None and await blobs.has(entry.blob)
        found = False
        async for entry in self.list(path):
            found = True
            if entry.blob is not None and not await blobs.has(entry.blob):
                return False
        return found

    async def download(self, folder: str = "/") -> None:
        """Return once the content of a file, or of all files below a folder, is held here."""
        entries: list[Entry] = []
        if folder and not folder.endswith("/"):
            entry = await self.entry(folder)
            entries += [] if entry is None else [entry]
        if not entries:
            if not normalise_folder(folder):
                await self._download_entries()
            entries = [entry async for entry in self.list(folder)]
        await self._download(entries)

    async def download_diff(self, version: int, folder: str = "/") -> None:
        """Return once the content of all files that changed since `version` is held here."""
        changes = self.diff(version, folder)
        await self._download([change.left async for change in changes if change.left is not None])

    async def blobs_length(self) -> int:
        """Blocks of the blobs that the files of this version need."""
        await self._download_entries()
        ends = [entry.blob.block_end async for entry in self.list() if entry.blob is not None]
        return max(ends, default=0)

    @abstractmethod
    async def _download_entries(self) -> None:
        """Get all entries' blocks at once: cheaper than one by one where all are needed."""

    async def _download(self, entries: Sequence[Entry]) -> None:
        wanted = [entry.blob for entry in entries if entry.blob is not None]
        if wanted:
            await (await self.get_blobs()).download(wanted)

    async def _resolve(
        self, path: str | Entry, *, follow: bool, timeout: float | None = None
    ) -> Entry | None:
        if isinstance(path, Entry):
            if not follow or path.linkname is None:
                return path
            path = path.path
        return await self.entry(path, follow=follow, timeout=timeout)

    def _entry(self, found: BeeEntry) -> Entry:
        try:
            return decode_entry(found.key, found.seq, found.value)
        except PeerError as error:
            raise self.named(error) from error

    def _change(self, change: BeeChange) -> DriveChange:
        return DriveChange(
            None if change.left is None else self._entry(change.left),
            None if change.right is None else self._entry(change.right),
        )


def folder_range(folder: str) -> KeyRange:
    """All that lies in a folder: from `folder/` up to `folder0`, the byte after the slash."""
    name = normalise_folder(folder).encode()
    return KeyRange(gt=name + b"/", lt=name + b"0")

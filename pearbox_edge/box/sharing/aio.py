"""The shell: imports what changed, then follows the folder and imports again."""

import asyncio
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from pearbox_edge.box.files import (
    Blob,
    Found,
    FoundFile,
    Skipped,
    Source,
    Stamp,
    fingerprint_of,
    is_same_content,
    printable,
    read_chunks,
    read_content,
    read_whole,
    scan,
    scan_below,
)
from pearbox_edge.crypto import Fingerprint
from pearbox_edge.data.drive import Content, Entry, Hyperdrive, NewFile
from pearbox_edge.data.storage import Storage

from .plan import Known, Plan, make_plan
from .stamps import encode_stamp, is_settled
from .summary import decode_summary, encode_summary, restore, summarise

log = logging.getLogger(__name__)

WHOLE_FILE = 1 << 20  # TUNING: files up to here are read at once and share an append with others
BATCH_BYTES = 4 << 20  # TUNING: content of one append
BATCH_FILES = 512
QUIET_SECONDS = 0.5  # TUNING: a file that changed this recently may still be being written
RESCAN_SECONDS = 3.0  # TUNING: where nothing tells of changes; unchanged files are not read
PATIENCE_SECONDS = 10.0  # TUNING: and one that never rests is imported all the same


@dataclass(frozen=True, slots=True)
class Imported:
    """What one import did: counts of files and bytes now shared, and what changed for it."""

    files: int
    bytes: int
    changed: int
    removed: int
    version: int


class FolderShare:
    """Keeps a drive equal to the paths that a person shares."""

    def __init__(
        self,
        drive: Hyperdrive,
        storage: Storage,
        sources: Sequence[Source],
        *,
        excluded: Sequence[str] = (),
        on_skip: Callable[[Skipped], None] = lambda _: None,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        """on_progress gets bytes read and bytes to read; on_skip each thing left out, once."""
        self.drive = drive
        self._storage = storage
        self._sources = sources
        self._excluded = list(excluded)
        self._on_skip = on_skip
        self._on_progress = on_progress
        self._told: set[Skipped] = set()
        self._prefix = f"stamp/{drive.key.hex()}"
        self._summary = f"summary/{drive.key.hex()}"
        self._done = 0
        self._total = 0
        self._files = 0
        self._bytes = 0

    async def import_all(self) -> Imported:
        """Look at everything, and put into the drive what is new, changed or gone."""
        stamps = await self._stamps("/")
        known = await self._remembered(stamps)
        listed = known is None
        if known is None:
            known = {entry.path: _known(entry) async for entry in self.drive.list("/")}
        self._files = len(known)
        self._bytes = sum(entry.size or 0 for entry in known.values())
        imported = await self._carry_out(await self._plan(self._scan_all, known, stamps), known)
        if listed or imported.changed or imported.removed:
            await self._summarise()
        return imported

    async def follow(self) -> AsyncIterator[Imported]:
        """Import every change from now on; yields once for each import that changed the drive."""
        try:
            async for imported in self._watch():
                yield imported
        except OSError as error:
            # A folder below may not be read, or the system has no more watches to give.
            log.info("looking every %s s instead of watching: %s", RESCAN_SECONDS, error)
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            imported = await self.import_all()
            if imported.changed or imported.removed:
                yield imported

    async def _watch(self) -> AsyncIterator[Imported]:
        """The same by the system's watches. Raises OSError where they cannot be had."""
        from watchfiles import awatch  # half as long to load as all of ours: after `ready`

        waiting: dict[str, float] = {}
        # Editors put a new file in the place of the old one: a watch on the file alone ends there.
        files = {source.path: _written_at(source.path) for source in self._sources}
        changes = awatch(
            *(source.path for source in self._sources),
            watch_filter=None,
            debounce=400,
            step=100,
            rust_timeout=500,
            yield_on_timeout=True,
            recursive=True,
        )
        async for paths in changes:
            now = time.monotonic()
            for _, path in paths:
                if not self._is_excluded(path):
                    waiting.setdefault(path, now)
            for path, before in files.items():
                files[path] = _written_at(path)
                if files[path] != before:
                    waiting.setdefault(path, now)
            ready = await asyncio.to_thread(self._rested, waiting, now)
            if not ready:
                continue
            for path in ready:
                del waiting[path]
            imported = await self._import_paths(_topmost(ready))
            if imported.changed or imported.removed:
                yield imported

    # Looking.

    def _scan_all(self) -> Iterable[Found]:
        for source in self._sources:
            yield from scan(source, excluded=self._excluded)

    async def _import_paths(self, paths: Sequence[str]) -> Imported:
        covered: list[tuple[Source, str, str]] = []
        for source in self._sources:
            for path in paths:
                if path == source.path or path.startswith(f"{source.path}/"):
                    drive_path = source.drive_path + path[len(source.path) :]
                    covered.append((source, path, drive_path))
        known: dict[str, Known] = {}
        stamps: dict[str, bytes] = {}
        for _, _, drive_path in covered:
            entry = await self.drive.entry(drive_path) if drive_path else None
            if entry is not None:
                known[entry.path] = _known(entry)
            async for below in self.drive.list(drive_path or "/"):
                known[below.path] = _known(below)
            stamps.update(await self._stamps(drive_path))

        def look() -> Iterable[Found]:
            for source, path, _ in covered:
                yield from scan_below(source, path, excluded=self._excluded)

        return await self._carry_out(await self._plan(look, known, stamps), known)

    async def _plan(
        self,
        look: Callable[[], Iterable[Found]],
        known: dict[str, Known],
        stamps: dict[str, bytes],
    ) -> Plan:
        return await asyncio.to_thread(lambda: make_plan(look(), known, stamps))

    def _is_excluded(self, path: str) -> bool:
        return any(path == folder or path.startswith(f"{folder}/") for folder in self._excluded)

    @staticmethod
    def _rested(waiting: dict[str, float], now: float) -> list[str]:
        """Those of the changed paths that nobody seems to be writing to any more."""
        wall = time.time()
        ready = []
        for path, since in waiting.items():
            try:
                quiet = wall - os.lstat(path).st_mtime
            except OSError:
                quiet = QUIET_SECONDS
            if not 0 <= quiet < QUIET_SECONDS or now - since > PATIENCE_SECONDS:
                ready.append(path)
        return ready

    # Changing the drive.

    async def _carry_out(self, plan: Plan, known: dict[str, Known]) -> Imported:
        for skipped in plan.skipped:
            self._tell(skipped)
        await self._sort_out(plan)
        self._done, self._total = 0, sum(item.stamp.size for item in plan.put)
        changed = 0
        for group in _groups(item for item in plan.put if item.stamp.size <= WHOLE_FILE):
            changed += await self._put_group(group, known)
        for item in plan.put:
            if item.stamp.size > WHOLE_FILE:
                changed += await self._put_big(item, known)
        if plan.links or plan.gone:
            async with await self.drive.batch() as batch:
                for link in plan.links:
                    await batch.symlink(link.drive_path, link.target)
                    self._count(known.get(link.drive_path), Known(None, False, link.target))
                for path in plan.gone:
                    await batch.delete(path)
                    self._count(known[path], None)
            await self._remember(dict.fromkeys(plan.gone))
        if self.drive.core.length == 0:
            # An empty drive has no head to prove; taking away what is not there writes its header.
            await self.drive.delete("/nothing")
        changed += len(plan.links)
        version = self.drive.version
        return Imported(self._files, self._bytes, changed, len(plan.gone), version)

    async def _sort_out(self, plan: Plan) -> None:
        """Read the files that may be unchanged; those that differ move to the ones to put."""
        same: dict[str, bytes | None] = {}
        for item in plan.check:
            if await self._is_same(item):
                same[item.drive_path] = self._stamp(item.stamp)
            else:
                plan.put.append(item)
        await self._remember(same)

    async def _is_same(self, item: FoundFile) -> bool:
        entry = await self.drive.entry(item.drive_path)
        if entry is None:
            return False
        location = await self.drive.blob_location(entry)
        if location is not None:
            return await asyncio.to_thread(is_same_content, item.path, Blob(*location))
        # Its bytes do not lie in one piece on the disk (an encrypted drive).
        kept = Fingerprint()
        async for parts in self.drive.read_runs(entry):
            for part in parts:
                kept.update(part)
        return await asyncio.to_thread(fingerprint_of, item) == kept.digest()

    async def _put_group(self, group: Sequence[FoundFile], known: dict[str, Known]) -> int:
        contents = await asyncio.to_thread(lambda: [read_whole(item) for item in group])
        stamps: dict[str, bytes | None] = {}
        files: list[NewFile] = []
        for item, read in zip(group, contents, strict=True):
            if isinstance(read, Skipped):
                self._tell(read)
                continue
            files.append(NewFile(item.drive_path, read.data, read.stamp.executable))
            stamps[item.drive_path] = self._stamp(read.stamp)
            self._count(known.get(item.drive_path), Known(len(read.data), False, None))
        async with await self.drive.batch() as batch:
            await batch.put_many(files)
        await self._remember(stamps)
        self._advance(sum(item.stamp.size for item in group))
        return len(stamps)

    async def _put_big(self, item: FoundFile, known: dict[str, Known]) -> int:
        stamp = item.stamp
        chunks = read_chunks(item)

        async def source(size: int) -> bytes:
            nonlocal stamp
            chunk = await asyncio.to_thread(next, chunks, stamp)
            if isinstance(chunk, Stamp):
                stamp = chunk
                return b""
            self._advance(len(chunk))
            return chunk

        executable = item.stamp.executable
        try:
            # Moved, copied or put back: then the drive has the bytes, and one entry is all.
            known_size = await self.drive.may_hold(stamp.size)
            read = await asyncio.to_thread(read_content, item) if known_size else None
            if read is not None and await self.drive.put_same(
                item.drive_path, Content(read.size, read.fingerprint), executable=executable
            ):
                stamp = read.stamp
                self._advance(stamp.size)
            else:
                await self.drive.put_stream(item.drive_path, source, executable=executable)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self._tell(Skipped(item.drive_path, printable(item.path), reason))
            return 0
        finally:
            chunks.close()
        await self._remember({item.drive_path: self._stamp(stamp)})
        self._count(known.get(item.drive_path), Known(stamp.size, False, None))
        return 1

    def _count(self, old: Known | None, new: Known | None) -> None:
        self._files += (new is not None) - (old is not None)
        self._bytes += ((new and new.size) or 0) - ((old and old.size) or 0)

    def _tell(self, skipped: Skipped) -> None:
        if skipped not in self._told:
            self._told.add(skipped)
            self._on_skip(skipped)

    def _advance(self, size: int) -> None:
        self._done += size
        self._on_progress(self._done, max(self._total, self._done))

    # Remembering.

    def _stamp(self, stamp: Stamp) -> bytes | None:
        return encode_stamp(stamp) if is_settled(stamp, time.time_ns()) else None

    async def _stamps(self, folder: str) -> dict[str, bytes]:
        values = await self._storage.list_values(self._prefix + folder)
        return {name[len(self._prefix) :]: value for name, value in values.items()}

    async def _remembered(self, stamps: dict[str, bytes]) -> dict[str, Known] | None:
        """All entries of the drive, if it is as the last import left it."""
        summary = decode_summary(await self._storage.get_value(self._summary))
        state = (self.drive.version, self.drive.core.fork)
        if summary is None or (summary.version, summary.fork) != state:
            return None
        return restore(summary, stamps)

    async def _summarise(self) -> None:
        known = {entry.path: _known(entry) async for entry in self.drive.list("/")}
        stamps = await self._stamps("/")
        summary = summarise(self.drive.version, self.drive.core.fork, known, stamps)
        value = None if summary is None else encode_summary(summary)
        await self._storage.set_values({self._summary: value})

    async def _remember(self, stamps: dict[str, bytes | None]) -> None:
        if stamps:
            await self._storage.set_values(
                {self._prefix + path: stamp for path, stamp in stamps.items()}
            )


def _written_at(path: str) -> tuple[int, int] | None:
    """What changes when a file is written or replaced; None if there is no file."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return (info.st_ino, info.st_mtime_ns) if stat.S_ISREG(info.st_mode) else None


def _known(entry: Entry) -> Known:
    size = entry.blob.byte_length if entry.blob else None
    return Known(size, entry.executable, entry.linkname)


def _groups(items: Iterable[FoundFile]) -> Iterable[list[FoundFile]]:
    group: list[FoundFile] = []
    size = 0
    for item in items:
        group.append(item)
        size += item.stamp.size
        if size >= BATCH_BYTES or len(group) >= BATCH_FILES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _topmost(paths: Sequence[str]) -> list[str]:
    """Without those that lie below another one."""
    kept: list[str] = []
    for path in sorted(paths):
        if not kept or not path.startswith(f"{kept[-1]}/"):
            kept.append(path)
    return kept

"""The shell: brings a drive here and writes its files, and gives up when nothing moves any more."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pearbox_edge.box.files import (
    Blob,
    Destination,
    NewFile,
    Skipped,
    UnsafePath,
    printable,
    real_path,
)
from pearbox_edge.data.blobs import Hyperblobs
from pearbox_edge.data.drive import DriveReader, Entry, Hyperdrive, normalise_folder
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import InputError, PearboxError, PeerError, UnavailableError

from .plan import Item, batches, in_order_of_blocks, place
from .write import Ready, remove_all, write_all

CHECK_SECONDS = 0.25  # TUNING: how often progress is told and a standstill looked for
HELD_GRACE = 5.0  # TUNING: seconds to look for a newer version when some version is here already


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """Bytes fetched in this run; bytes here of how many (None: not known yet); files written."""

    fetched_bytes: int
    done: int
    total: int | None
    files: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """A version that is completely there; `skipped` entries could not be written."""

    files: int
    bytes: int
    fetched_bytes: int
    seconds: float
    version: int
    skipped: int


class DriveFetch:
    """Makes a folder equal to a drive (or to one path of it), as often as asked."""

    def __init__(
        self,
        drive: Hyperdrive,
        store: Corestore,
        destination: str,
        *,
        path: str = "",
        patience: float = 60.0,
        on_progress: Callable[[FetchProgress], None] = lambda _: None,
        on_skip: Callable[[Skipped], None] = lambda _: None,
    ) -> None:
        """patience: seconds in which nothing arrives before it gives up."""
        self.drive = drive
        self._store = store
        self._destination = destination
        self._path = normalise_folder(path)
        self._patience = patience
        self._on_progress = on_progress
        self._on_skip = on_skip
        self._began = 0.0
        self._fetched_before = 0
        self._done = 0
        self._total: int | None = None
        self._files = 0
        self._skipped = 0

    async def run(self, version: int | None = None) -> Fetched:
        """Fetch the newest version (or the given one) and write it.

        Raises UnavailableError when nobody has it or nothing moves any more, InputError when the
        drive has no such path or version, StorageError when the disk refuses.
        """
        self._start()
        with self._store.finding_peers():
            return await self._watched(self._run(version))

    async def follow(self) -> AsyncIterator[Fetched]:
        """Mirror each newer version as it comes, for ever; yields when one is completely there."""
        async for now, before in self.drive.watch(self._path or "/"):
            self._start()
            changed: list[Entry] = []
            gone: list[Entry] = []
            async for change in now.diff(before.version, self._path or "/"):
                if change.left is not None:
                    changed.append(change.left)
                elif change.right is not None:
                    gone.append(change.right)
            yield await self._bring(now, place(changed, self._path), place(gone, self._path))

    # Which version, which entries.

    async def _run(self, version: int | None) -> Fetched:
        with await asyncio.to_thread(Destination, self._destination):
            pass  # before anything is fetched for a place that cannot be written
        await self._reach(version)
        view = self.drive.snapshot() if version is None else self.drive.checkout(version)
        await self.drive.core.download(0, view.version)
        items = await self._items(view)
        gone = await self._gone(view, {item.target for item in items})
        return await self._bring(view, items, gone)

    async def _reach(self, version: int | None) -> None:
        """Take the newest head there is, and wait for one at all."""
        core = self.drive.core
        with suppress(UnavailableError):
            # When something is here already, a newer version counts if it comes in time.
            await core.update(timeout=HELD_GRACE if core.length else self._patience)
        while core.length < (version or 1):
            if version is not None and core.length > 0:
                newest = self.drive.version
                raise InputError(f"the drive has no version {version}: its newest is {newest}")
            await core.update()

    async def _items(self, view: DriveReader) -> list[Item]:
        if not self._path:
            return place([entry async for entry in view.list()], "")
        entry = await view.entry(self._path)
        entries = [entry] if entry else [below async for below in view.list(self._path)]
        if not entries:
            raise InputError(f"there is no {printable(self._path)} in this drive")
        return place(entries, self._path)

    async def _gone(self, view: DriveReader, targets: set[str]) -> list[Item]:
        """What an earlier run wrote here and the drive has no more."""
        stored = await self._store.storage.get_value(self._memory)
        earlier = int.from_bytes(stored or b"", "big")
        if not 0 < earlier < view.version:
            return []
        try:
            old = self.drive.checkout(earlier)
            entries = [entry async for entry in old.list(self._path or "/")]
        except PearboxError:
            return []  # that version was taken back, or its blocks are not here any more
        return [item for item in place(entries, self._path) if item.target not in targets]

    @property
    def _memory(self) -> str:
        place = real_path(self._destination)
        return f"fetched/{self.drive.key.hex()}{self._path}:{printable(place)}"

    # Blocks here, files there.

    async def _bring(
        self, view: DriveReader, items: Sequence[Item], gone: Sequence[Item]
    ) -> Fetched:
        self._total = sum(item.size for item in items)
        ordered = in_order_of_blocks(items)
        blobs = await view.get_blobs() if any(item.entry.blob for item in ordered) else None
        destination = await asyncio.to_thread(Destination, self._destination)
        with destination:
            for item, reason in await asyncio.to_thread(
                lambda: list(remove_all(destination, gone))
            ):
                self._skip(item, reason)
            async with asyncio.TaskGroup() as group:
                # All is asked for at once, in the order in which it will be written.
                ahead = group.create_task(_download(blobs, ordered))
                for batch in batches(ordered):
                    await self._place(blobs, destination, batch)
                ahead.cancel()
            await asyncio.to_thread(destination.sync)
        await self._store.storage.set_values({self._memory: view.version.to_bytes(8, "big")})
        self._tell()
        return Fetched(
            files=self._files,
            bytes=self._done,
            fetched_bytes=self._fetched,
            seconds=time.monotonic() - self._began,
            version=view.version,
            skipped=self._skipped,
        )

    async def _place(
        self, blobs: Hyperblobs | None, destination: Destination, batch: Sequence[Item]
    ) -> None:
        """Wait until a batch is here whole, then give its files their names."""
        await _download(blobs, batch)
        ready: list[Ready] = []
        for item in batch:
            blob = item.entry.blob
            try:
                if blobs is None or blob is None or blob.byte_length == 0:
                    ready.append(Ready(item, None))
                    continue
                while not await blobs.has(blob):
                    # Alone, so that what is wrong with it is told of it.
                    with suppress(UnavailableError):
                        await blobs.download([blob])
                        continue
                    await asyncio.sleep(CHECK_SECONDS)  # nobody can prove so much just now
                location = await blobs.location(blob)
                if location is not None:
                    ready.append(Ready(item, Blob(*location)))
                else:
                    await _write_through(blobs, destination, item)
            except (PeerError, UnsafePath) as error:
                self._skip(item, str(error))
        for item, reason in await asyncio.to_thread(lambda: list(write_all(destination, ready))):
            self._skip(item, reason)
        self._files += len(batch)
        self._done += sum(item.size for item in batch)

    def _skip(self, item: Item, reason: str) -> None:
        self._skipped += 1
        self._files -= 1
        self._on_skip(Skipped(item.entry.path, printable(item.entry.path), reason))

    # How far it is, and whether it moves.

    @property
    def _fetched(self) -> int:
        return self._store.traffic.bytes_received - self._fetched_before

    def _start(self) -> None:
        self._began = time.monotonic()
        self._fetched_before = self._store.traffic.bytes_received
        self._files = self._done = self._skipped = 0
        self._total = None

    def _tell(self) -> None:
        self._on_progress(FetchProgress(self._fetched, self._done, self._total, self._files))

    async def _watched(self, work: Coroutine[object, object, Fetched]) -> Fetched:
        """Do the work; raises UnavailableError once nothing has moved for `patience` seconds."""
        task = asyncio.ensure_future(work)
        moved_at, last = time.monotonic(), (-1, -1, -1)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=CHECK_SECONDS)
                state = (self._fetched, self._done, self.drive.core.length)
                if state != last:
                    moved_at, last = time.monotonic(), state
                    self._tell()
                elif time.monotonic() - moved_at > self._patience:
                    raise UnavailableError(self._standstill())
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _standstill(self) -> str:
        seconds = f"{self._patience:g} s"
        if self.drive.core.length == 0:
            return (
                f"nobody who has this drive was found in {seconds}: is it being shared, and are "
                "both on one network? (--peer HOST:PORT names a machine)"
            )
        return f"nothing arrived for {seconds}: run the same command again to go on from here"


async def _download(blobs: Hyperblobs | None, items: Sequence[Item]) -> None:
    """Bring all blobs of these items here, as far as nothing is wrong with one of them."""
    wanted = [item.entry.blob for item in items if item.entry.blob]
    if blobs is not None and wanted:
        with suppress(PeerError, UnavailableError):
            await blobs.download(wanted)


async def _write_through(blobs: Hyperblobs, destination: Destination, item: Item) -> None:
    """Write a blob that does not lie in one piece on the disk (encrypted or mapped)."""
    blob = item.entry.blob
    assert blob is not None  # noqa: S101 (for the type checker: the caller looked)
    file: NewFile = await asyncio.to_thread(
        destination.begin, item.target, executable=item.entry.executable
    )
    try:
        async for parts in blobs.read_runs(blob):
            await asyncio.to_thread(file.write, parts)
    except BaseException:
        file.discard()
        raise
    await asyncio.to_thread(file.finish)

"""Storage on disk: one SQLite database and one sparse data file a core.

DIR/lock         held by the one process that uses the directory
DIR/pearbox.db   heads, nodes, bits, values (database.py)
DIR/keys         the few values that must outlive the database (keepsakes.py)
DIR/cores/       block bytes at their byte offsets (files.py)
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pearbox_edge.errors import StorageError, UsageError
from pearbox_edge.ids import CoreKey, DiscoveryKey

from .chores import do_chores
from .committer import Committer
from .database import DATABASE_FILE, Database
from .failures import closed_error, disk_error
from .files import FOLDER, DataFiles
from .interface import ByteRange, Changeset, StoredCore, TreeNode
from .keepsakes import Keepsakes
from .lock import DirectoryLock
from .rebuilding import NEW_FILE, Rebuilt, rebuild_database
from .rules import check_changeset, check_range

_THREADS = 3  # TUNING: one for the writer, two so that a slow read does not hold up the next

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """How much memory and how many files a data directory may take."""

    cache_kib: int = 1024
    """SQLite's page cache, for each of two connections."""
    max_open_files: int = 64
    """Data files kept open between uses."""
    keepsakes: tuple[str, ...] = ("corestore/primary-key", "identity/seed")
    """Names of values that are kept beside the database too, so that they outlive it."""


class SqliteStorage:
    """A `Storage` in a directory of its own. Made by `open`; ends with `close` or `async with`."""

    def __init__(
        self,
        database: Database,
        files: DataFiles,
        keeper: "_Keeper",
        threads: ThreadPoolExecutor,
        resources: AsyncExitStack,
    ) -> None:
        self._keeper = keeper
        self._database = database
        self._files = files
        self._threads = threads
        self._resources = resources
        self._known: dict[int, DiscoveryKey] = {}
        self._making = asyncio.Lock()
        self._committer = Committer(database, files, threads)
        self._writer = asyncio.create_task(self._committer.run())
        self._closed = False

    @classmethod
    async def open(cls, path: str | Path, options: StorageOptions | None = None) -> Self:
        """Open a data directory, or make it, and put right what a crash left half-done.

        Raises StorageError when another process uses it, or the disk or the database fails.
        """
        options = options or StorageOptions()
        async with AsyncExitStack() as resources:
            directory, lock = _claim(path)
            resources.callback(lock.release)
            if (directory / NEW_FILE).exists():
                raise StorageError(
                    f"the database in {directory} is being rebuilt and that was interrupted: "
                    "run `pearbox-edge drive rebuild` again, it goes on where it was",
                    code="STORAGE_DAMAGED",
                )
            database = await Database.open(directory, options.cache_kib)
            resources.push_async_callback(database.close)
            files = DataFiles(directory, options.max_open_files)
            resources.callback(files.close)
            threads = ThreadPoolExecutor(_THREADS, "storage")
            resources.callback(threads.shutdown)  # first of all: threads use the files
            await _recover(database, files, threads)
            keeper = _Keeper(Keepsakes(directory), options.keepsakes, threads)
            await keeper.compare(database)
            return cls(database, files, keeper, threads, resources.pop_all())

    @classmethod
    async def rebuild(cls, path: str | Path) -> Rebuilt:
        """Replace a damaged database by a new one with all rows that can still be read.

        The damaged one is kept; the data files stay as they are. Afterwards every core should be
        verified with repair, for what was found may not fit together.
        """
        directory, lock = _claim(path)
        try:
            return await asyncio.to_thread(rebuild_database, directory)
        finally:
            lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish queued commits and release everything; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        async with self._resources:
            await self._committer.stop()
            await self._writer

    # --- cores ---

    async def open_core(self, discovery_key: DiscoveryKey) -> StoredCore | None:
        """Look a core up by discovery key; None if this storage does not have it."""
        self._check_open()
        found = await self._database.find_core(discovery_key)
        if found is not None:
            self._known[found.core_id] = discovery_key
        return found

    async def create_core(
        self, key: CoreKey, discovery_key: DiscoveryKey, manifest: bytes | None
    ) -> StoredCore:
        """Make room for a core (or give the one that is there).

        A new one whose data file is there already is marked as LEFT_OVER.
        """
        async with self._making:
            found = await self.open_core(discovery_key)
            if found is None:
                left_over = await self._thread(partial(self._files.size, discovery_key)) > 0
                await self._database.add_core(key, discovery_key, manifest, left_over=left_over)
                found = await self.open_core(discovery_key)
        if found is None:
            raise StorageError("a core that was just stored is not there", code="STORAGE_DAMAGED")
        return found

    async def cores(self) -> list[DiscoveryKey]:
        """Discovery keys of all cores held here, oldest first."""
        self._check_open()
        return await self._database.cores()

    async def delete_core(self, core_id: int) -> None:
        """Forget a core and give its disk space back; steps under way come first."""
        self._check_open()
        async with self._making:
            core = self._core(core_id)
            del self._known[core_id]
            try:
                with suppress(StorageError):
                    await self._committer.commit(core, Changeset(core_id))
                chores = await self._database.delete_core(core_id, core)
            except BaseException:
                self._known[core_id] = core
                raise
            await self._thread(partial(do_chores, self._files, chores))
            self._database.strike(chores)

    # --- reading ---

    async def nodes(self, core_id: int, indices: Sequence[int]) -> dict[int, TreeNode]:
        """The tree nodes held among `indices`; those not held are absent."""
        self._core(core_id)
        return await self._database.nodes(core_id, indices)

    async def nodes_from(self, core_id: int, first: int, limit: int) -> list[TreeNode]:
        """The first `limit` tree nodes held that are numbered `first` or more, by number."""
        self._core(core_id)
        return await self._database.nodes_from(core_id, first, limit)

    async def pages(self, core_id: int) -> dict[int, bytes]:
        """All bitfield pages of a core that have a bit set, by page number."""
        self._core(core_id)
        return await self._database.pages(core_id)

    async def read(self, core_id: int, byte_offset: int, size: int) -> bytes:
        """Exactly `size` block bytes at a place; StorageError if the file ends before."""
        (data,) = await self.read_many(core_id, (ByteRange(byte_offset, size),))
        return data

    async def read_many(self, core_id: int, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Several reads in one go, in the order given."""
        core = self._core(core_id)
        for byte_offset, size in ranges:
            check_range(byte_offset, size)
        found = self._files.read_cached(core, ranges)
        if found is None:
            found = await self._thread(partial(self._files.read, core, ranges))
        return found

    async def data_size(self, core_id: int) -> int:
        """Where the block bytes of a core end now, whoever wrote them; 0 if there are none."""
        return await self._thread(partial(self._files.size, self._core(core_id)))

    async def check(self) -> list[str]:
        """What is wrong with the tables themselves, a line each; reads all of them."""
        self._check_open()
        return await self._database.check()

    def data_file(self, core_id: int) -> str | None:
        """Path of the sparse file with the block bytes; it is made by the first write."""
        return str(self._files.path(self._core(core_id)))

    # --- writing ---

    async def commit(self, changeset: Changeset) -> None:
        """Make one step durable; returns when it is. Concurrent calls share one sync."""
        check_changeset(changeset)
        await self._committer.commit(self._core(changeset.core_id), changeset)

    async def get_value(self, name: str) -> bytes | None:
        """A value of the whole directory."""
        self._check_open()
        return await self._database.value(name)

    async def get_values(self, names: Sequence[str]) -> dict[str, bytes]:
        """Several values of the directory in one go."""
        self._check_open()
        return await self._database.values_of(names)

    async def set_values(self, values: dict[str, bytes | None]) -> None:
        """Change values of the whole directory together; None removes one."""
        self._check_open()
        async with self._making:
            await self._keeper.keep(values)
            await self._database.set_values(values)

    async def list_values(self, prefix: str) -> dict[str, bytes]:
        """All values whose name starts with `prefix`, in name order."""
        self._check_open()
        return await self._database.values(prefix)

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error()

    def _core(self, core_id: int) -> DiscoveryKey:
        self._check_open()
        core = self._known.get(core_id)
        if core is None:
            raise UsageError(f"core {core_id} is not open in this storage")
        return core

    async def _thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class _Keeper:
    """Keeps the file of keepsakes and the database alike."""

    def __init__(
        self, file: Keepsakes, names: tuple[str, ...], threads: ThreadPoolExecutor
    ) -> None:
        self._file = file
        self._names = names
        self._threads = threads
        self._kept: dict[str, bytes] = {}

    async def compare(self, database: Database) -> None:
        """Give the database what only the file has, and the file what the database has."""
        stored = await database.values_of(self._names)
        loop = asyncio.get_running_loop()
        try:
            self._kept = await loop.run_in_executor(self._threads, self._file.load)
        except StorageError:
            if len(stored) < len(self._names):
                raise
        lost = {name: value for name, value in self._kept.items() if name not in stored}
        if lost:
            await database.set_values(dict(lost))
        await self._save({**self._kept, **stored})

    async def keep(self, values: Mapping[str, bytes | None]) -> None:
        """Before the database changes these values."""
        changed = {name: values[name] for name in self._names if name in values}
        if changed:
            kept = {**self._kept, **changed}
            await self._save({name: value for name, value in kept.items() if value is not None})

    async def _save(self, values: dict[str, bytes]) -> None:
        if values != self._kept:
            save = partial(self._file.save, values)
            await asyncio.get_running_loop().run_in_executor(self._threads, save)
            self._kept = values


def _claim(path: str | Path) -> tuple[Path, DirectoryLock]:
    """Make the directory and its files, for our eyes only, and take the lock."""
    directory = Path(path).absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / FOLDER).mkdir(mode=0o700, exist_ok=True)
        # SQLite gives its log the mode of the database, so that is made first.
        (directory / DATABASE_FILE).touch(mode=0o600)
    except OSError as error:
        raise disk_error(error, directory) from error
    return directory, DirectoryLock.take(directory)


async def _recover(database: Database, files: DataFiles, threads: ThreadPoolExecutor) -> None:
    """Put replaced bytes back and give space back that a crash left owing."""
    loop = asyncio.get_running_loop()
    replaced = await database.replaced()
    if replaced:
        failed = await loop.run_in_executor(threads, files.store, replaced)
        for error in failed.values():
            raise error
        await database.drop_replaced()
    chores = await database.chores()
    await loop.run_in_executor(threads, do_chores, files, chores)
    database.strike(chores)

"""Storages for tests: open either kind, and one that fails when told to."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TypeVar

from pearbox_edge.data.storage import (
    ByteRange,
    Changeset,
    MemoryStorage,
    SqliteStorage,
    Storage,
    StoredCore,
    TreeNode,
)
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import CoreKey, DiscoveryKey

_T = TypeVar("_T")


class StorageKind(Enum):
    """The storages that keep the one contract."""

    MEMORY = "memory"
    SQLITE = "sqlite"


class StorageBox:
    """Opens storages of one kind and closes them; `reopen` is what a restart does to them."""

    def __init__(self, kind: StorageKind, path: Path) -> None:
        self.kind = kind
        self.path = path
        self._open: MemoryStorage | SqliteStorage | None = None

    async def open(self) -> Storage:
        if self._open is None:
            if self.kind is StorageKind.SQLITE:
                self._open = await SqliteStorage.open(self.path)
            else:
                self._open = MemoryStorage()
        return self._open

    async def reopen(self) -> Storage:
        if self.kind is StorageKind.SQLITE:
            await self.close()
        return await self.open()

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None


class FaultyStorage:
    """A storage whose Nth operation fails with StorageError; counts from 1.

    fail_at: the operation to fail, None for none. only: count these operations (method names).
    done_anyway: the operation is carried out and then fails, as when the answer is lost.
    for_good: all operations after it fail too, until `heal`.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        fail_at: int | None = None,
        only: Sequence[str] = (),
        done_anyway: bool = False,
        for_good: bool = False,
    ) -> None:
        self.inner = inner
        self.fail_at = fail_at
        self.count = 0
        self.failures = 0
        self._only = frozenset(only)
        self._done_anyway = done_anyway
        self._for_good = for_good

    def heal(self) -> None:
        """Fail no more."""
        self.fail_at = None

    async def _run(self, name: str, call: Callable[[], Awaitable[_T]]) -> _T:
        if self._only and name not in self._only:
            return await call()
        self.count += 1
        fails = self.fail_at is not None and (
            self.count == self.fail_at or (self._for_good and self.count > self.fail_at)
        )
        if not fails:
            return await call()
        self.failures += 1
        if self._done_anyway:
            await call()
        raise StorageError(f"operation {self.count} ({name}) was made to fail", code="STORAGE_FULL")

    async def open_core(self, discovery_key: DiscoveryKey) -> StoredCore | None:
        return await self._run("open_core", lambda: self.inner.open_core(discovery_key))

    async def create_core(
        self, key: CoreKey, discovery_key: DiscoveryKey, manifest: bytes | None
    ) -> StoredCore:
        return await self._run(
            "create_core", lambda: self.inner.create_core(key, discovery_key, manifest)
        )

    async def cores(self) -> list[DiscoveryKey]:
        return await self._run("cores", self.inner.cores)

    async def delete_core(self, core_id: int) -> None:
        await self._run("delete_core", lambda: self.inner.delete_core(core_id))

    async def nodes(self, core_id: int, indices: Sequence[int]) -> dict[int, TreeNode]:
        return await self._run("nodes", lambda: self.inner.nodes(core_id, indices))

    async def nodes_from(self, core_id: int, first: int, limit: int) -> list[TreeNode]:
        return await self._run("nodes_from", lambda: self.inner.nodes_from(core_id, first, limit))

    async def data_size(self, core_id: int) -> int:
        return await self._run("data_size", lambda: self.inner.data_size(core_id))

    async def check(self) -> list[str]:
        return await self._run("check", self.inner.check)

    async def pages(self, core_id: int) -> dict[int, bytes]:
        return await self._run("pages", lambda: self.inner.pages(core_id))

    async def read(self, core_id: int, byte_offset: int, size: int) -> bytes:
        return await self._run("read", lambda: self.inner.read(core_id, byte_offset, size))

    async def read_many(self, core_id: int, ranges: Sequence[ByteRange]) -> list[bytes]:
        return await self._run("read_many", lambda: self.inner.read_many(core_id, ranges))

    def data_file(self, core_id: int) -> str | None:
        return self.inner.data_file(core_id)

    async def commit(self, changeset: Changeset) -> None:
        await self._run("commit", lambda: self.inner.commit(changeset))

    async def get_value(self, name: str) -> bytes | None:
        return await self._run("get_value", lambda: self.inner.get_value(name))

    async def get_values(self, names: Sequence[str]) -> dict[str, bytes]:
        return await self._run("get_values", lambda: self.inner.get_values(names))

    async def set_values(self, values: dict[str, bytes | None]) -> None:
        await self._run("set_values", lambda: self.inner.set_values(values))

    async def list_values(self, prefix: str) -> dict[str, bytes]:
        return await self._run("list_values", lambda: self.inner.list_values(prefix))

    async def close(self) -> None:
        await self.inner.close()

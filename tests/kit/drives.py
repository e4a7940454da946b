"""Drives in stores in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.storage import MemoryStorage, Storage
from pearbox_edge.data.store import Corestore

PRIMARY_KEY = bytes(range(32))


@asynccontextmanager
async def new_drive(
    *,
    storage: Storage | None = None,
    primary_key: bytes = PRIMARY_KEY,
    namespace: str | None = None,
    encryption_key: bytes | None = None,
    dedup: bool = False,
) -> AsyncIterator[Hyperdrive]:
    """A drive of our own, empty in a new storage."""
    async with Corestore(storage or MemoryStorage(), primary_key=primary_key) as store:
        place = store if namespace is None else store.namespace(namespace)
        async with Hyperdrive(place, encryption_key=encryption_key, dedup=dedup) as drive:
            yield drive

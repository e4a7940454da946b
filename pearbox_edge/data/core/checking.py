"""A walk over all cores of a storage, none of which is open."""

from collections.abc import AsyncIterator

from pearbox_edge.data.storage import LEFT_OVER, Storage, StoredCore
from pearbox_edge.errors import StorageError

from .aio import Hypercore, offload
from .findings import Finding, FindingKind
from .verifying import check_at_rest


async def verify_storage(storage: Storage, *, repair: bool = False) -> AsyncIterator[Finding]:
    """Everything that is wrong in a storage; see `Hypercore.verify`. No core may be open.

    repair: also mends what an open core cannot (a lost head), and takes in the bytes that lie
    there unnoticed after a database was rebuilt. One damaged core does not end the walk.
    """
    for problem in await storage.check():
        yield Finding(None, FindingKind.TABLES, 0, 0, problem)
    for discovery_key in await storage.cores():
        try:
            stored = await storage.open_core(discovery_key)
        except StorageError as error:
            yield Finding(None, FindingKind.TABLES, 0, 0, str(error))
            continue
        if stored is None:
            continue
        try:
            async for finding in check_at_rest(storage, stored, offload, repair=repair):
                yield finding
            if repair and LEFT_OVER in stored.user_data:
                await _adopt(storage, stored)
        except StorageError as error:
            yield Finding(stored.key, FindingKind.TABLES, 0, 0, str(error))


async def _adopt(storage: Storage, stored: StoredCore) -> None:
    core = await Hypercore.open(storage, key=stored.key)
    try:
        await core.adopt(0, core.length)
    finally:
        await core.close()

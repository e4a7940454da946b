"""Getting what a step lacks: tree pages and block bytes from storage, many in one go."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeVar

from pearbox_edge.crypto import leaf_hash
from pearbox_edge.data.storage import ByteRange, Storage, StoredCore, TreeNode
from pearbox_edge.errors import StorageError
from pearbox_edge.wire import Buffer

from .flat_tree import full_roots
from .node_cache import ColdPagesError
from .reading import gather, plan_reads
from .state import CoreState, head_lost

T = TypeVar("T")

_LOADS = 64  # TUNING: a step needs a few pages; more loads mean that the cache is too small for it

_CHECKED_TOGETHER = 64  # TUNING: blocks read at once when all are checked; 4 MiB of usual ones


async def load_roots(storage: Storage, stored: StoredCore) -> tuple[TreeNode, ...]:
    """The roots of a stored core; StorageError if one is gone."""
    wanted = full_roots(stored.head.length)
    found = await storage.nodes(stored.core_id, wanted) if wanted else {}
    missing = [index for index in wanted if index not in found]
    if missing:
        raise head_lost(stored.key, f"root {missing[0]} of its tree is gone")
    return tuple(found[index] for index in wanted)


class Loader:
    """Reads for one core. `lock` keeps page loads one after the other."""

    def __init__(
        self, storage: Storage, state: CoreState, lock: AbstractAsyncContextManager[None]
    ) -> None:
        self._storage = storage
        self._state = state
        self._lock = lock

    async def run(self, step: Callable[[], T]) -> T:
        """Do a step; load the tree pages it lacks and do it again."""
        for _ in range(_LOADS):
            try:
                return step()
            except ColdPagesError as cold:
                await self.load(cold.pages)
        raise StorageError("tree nodes do not stay in memory")

    async def warm(self, blocks: Iterable[int]) -> None:
        """Load the tree pages on the ways of all these blocks, with one question to storage."""
        cold: set[int] = set()
        cache = self._state.cache
        for index in blocks:
            cold.update(cache.warm(2 * index))
        if cold:
            await self.load(cold)

    async def load(self, pages: Iterable[int]) -> None:
        """Load tree pages."""
        async with self._lock:
            cache = self._state.cache
            wanted = cache.begin_load(pages)
            try:
                found = await self._storage.nodes(self._state.core_id, wanted) if wanted else {}
            except BaseException:
                cache.drop_load()
                raise
            cache.finish_load(found)

    async def read(self, blocks: Sequence[int]) -> list[Buffer | None]:
        """Blocks as stored, in order; None for one that is not held (any more)."""
        state = self._state
        shrinks = state.shrinks
        await self.warm(index for index in blocks if state.bitfield.has(index))
        found = []
        for index in blocks:
            try:
                found.append(state.locate(index))
            except ColdPagesError:
                found.append(await self.run(partial(state.locate, index)))
        if not any(isinstance(place, ByteRange) for place in found):
            return [place for place in found if not isinstance(place, ByteRange)]
        values = await self.read_places([p for p in found if isinstance(p, ByteRange)], shrinks)
        rest = iter(values)
        return [next(rest) if isinstance(place, ByteRange) else place for place in found]

    async def damaged(self, blocks: Sequence[int]) -> list[int]:
        """Held blocks among these whose bytes at rest are not what the tree vouches for."""
        wrong = []
        for start in range(0, len(blocks), _CHECKED_TOGETHER):
            part = blocks[start : start + _CHECKED_TOGETHER]
            for index, block in zip(part, await self.read(part), strict=True):
                if block is not None:
                    node = await self.run(partial(self._state.cache.get, 2 * index))
                    if node is None or node.hash != leaf_hash(block):
                        wrong.append(index)
        return wrong

    async def read_places(
        self, places: Sequence[ByteRange], shrinks: int
    ) -> Sequence[Buffer | None]:
        """Bytes of blocks located when `state.shrinks` was `shrinks`; None for all if it changed.

        Bytes may be given back, or written anew, under a read: what was read then is no block.
        """
        if not places:
            return []
        reads = plan_reads(places)
        try:
            pieces = await self._storage.read_many(self._state.core_id, reads)
        except StorageError:
            if self._state.shrinks == shrinks:
                raise
            pieces = []
        if self._state.shrinks != shrinks:
            return [None] * len(places)
        return gather(places, reads, pieces)

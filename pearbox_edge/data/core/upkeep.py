"""What an open core does for its data at rest: check it, mend it, take in bytes that lie there."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from operator import methodcaller

from pearbox_edge.data.storage import LEFT_OVER, BlockWrite, Changeset, Storage, StoredCore
from pearbox_edge.errors import StorageError
from pearbox_edge.logs import short

from .changeset import HEAD_LOST, Mend, mended
from .findings import Finding
from .hooks import CoreListener
from .state import CoreState
from .verifying import Access, CoreCheck, Offload

_LEAVES = 2048  # TUNING: tree nodes looked through at a time for blocks to take in

Tell = Callable[[Callable[[CoreListener], None]], None]


class Upkeep:
    """Checks and repairs of one open core. `exclusive`: nothing changes inside, all is durable."""

    def __init__(
        self,
        storage: Storage,
        state: CoreState,
        exclusive: Callable[[], AbstractAsyncContextManager[None]],
        tell: Tell,
        offload: Offload,
    ) -> None:
        self._storage = storage
        self._state = state
        self._exclusive = exclusive
        self._tell = tell
        self._offload = offload

    async def check(self, stored: StoredCore, *, repair: bool) -> AsyncIterator[Finding]:
        """Everything that is wrong with the core."""
        async for finding in self._checker(stored, repair=repair).run():
            yield finding

    def _checker(self, stored: StoredCore, *, repair: bool) -> CoreCheck:
        access = Access(
            self._exclusive, lambda: self._state.bitfield, self._mend if repair else None
        )
        return CoreCheck(self._storage, stored, access, self._offload)

    async def _mend(self, mend: Mend) -> bool:
        """Inside `exclusive`. A core whose head is lost must be closed before that is mended."""
        state = self._state
        if mend.reset:
            return False
        state.shrinks += 1
        held = [run for span in mend.forget for run in state.bitfield.runs(*span)]
        try:
            await self._storage.commit(mended(state.core_id, mend, state.bitfield))
        except StorageError:
            for start, end in held:
                state.bitfield.set_range(start, end)
            raise
        state.relearn(mend.nodes)
        for start, end in held:
            self._tell(methodcaller("on_clear", start, end - start))
        return True

    async def adopt(self, stored: StoredCore, start: int, end: int) -> list[tuple[int, int]]:
        """Take in blocks whose bytes lie at their place and are what their leaves say."""
        checker = self._checker(stored, repair=False)
        found: list[tuple[int, int]] = []
        at = 2 * start
        while at < 2 * end:
            async with self._exclusive():
                last = min(end, self._state.head.length)
                nodes = await self._storage.nodes_from(self._state.core_id, at, _LEAVES)
                at = nodes[-1].index + 1 if nodes else 2 * end
                has = self._state.bitfield.has
                leaves = [n.index // 2 for n in nodes if not n.index & 1]
                blocks = await checker.sound([i for i in leaves if i < last and not has(i)])
                if blocks:
                    await self._take(blocks)
            for index in blocks:
                if found and found[-1][1] == index:
                    found[-1] = (found[-1][0], index + 1)
                else:
                    found.append((index, index + 1))
        for low, high in found:
            self._tell(methodcaller("on_blocks", low, high - low))
        return found

    async def regain(self, user_data: dict[str, bytes]) -> None:
        """Let a core whose rows were lost be written again once a peer gave a head as long.

        Appending to a shorter one would sign a second head of one length, which ends the core.
        """
        state = self._state
        size = await self._storage.data_size(state.core_id)
        is_unknown = user_data.get(LEFT_OVER) == HEAD_LOST and state.head.length == 0
        if is_unknown or state.head.byte_length < size:
            raise StorageError(
                f"the newest head of core {short(state.key)} was lost here: connect to a peer that "
                "has all of it before anything is written to it",
                code="STORAGEHEAD_LOST",
            )
        await self._storage.commit(Changeset(state.core_id, user_data={LEFT_OVER: None}))
        user_data.pop(LEFT_OVER, None)

    async def _take(self, blocks: Sequence[int]) -> None:
        bitfield = self._state.bitfield
        for index in blocks:
            bitfield.set(index)
        try:
            await self._storage.commit(
                Changeset(
                    self._state.core_id,
                    # No bytes to write, but what lies there must be synced before it counts.
                    blocks=[BlockWrite(0, b"")],
                    pages=bitfield.take_changed(),
                    contiguous_length=bitfield.contiguous,
                )
            )
        except StorageError:
            for index in blocks:
                bitfield.clear_range(index, index + 1)
            raise

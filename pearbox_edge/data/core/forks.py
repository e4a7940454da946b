"""Taking over a head of a higher fork: verify it, find what is common, keep that, drop the rest."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager

from pearbox_edge.data.storage import Storage

from .changeset import reorged
from .hooks import Accepted, CoreListener
from .loading import Loader
from .narrowing import Narrowing
from .proof import HashPart, HashRequest, Proof
from .proof_verifier import misfit
from .snapshot import Snapshot
from .state import CoreState

Tell = Callable[[Callable[[CoreListener], None]], None]


class Forks:
    """The forks of one open core. `exclusive`: nothing changes inside, and all is durable."""

    def __init__(
        self,
        storage: Storage,
        state: CoreState,
        loader: Loader,
        exclusive: Callable[[], AbstractAsyncContextManager[None]],
        tell: Tell,
        snapshots: Iterable[Snapshot],
    ) -> None:
        self._storage = storage
        self._state = state
        self._loader = loader
        self._exclusive = exclusive
        self._tell = tell
        self._snapshots = snapshots

    async def examine(self, proof: Proof) -> Narrowing:
        """Verify a head of a higher fork (an upgrade from 0); PeerError if it does not hold."""
        fork = self._state.head.fork
        reorg = await self._loader.run(lambda: self._state.examine_reorg(proof))
        return Narrowing(reorg, fork)

    async def narrow(self, search: Narrowing, part: HashPart | None = None) -> HashRequest | None:
        """Take in an answer, if there is one; what to ask for next, None at the end.

        It is asked with the new fork. PeerError if the answer is bad.
        """
        state = self._state
        if part is not None:
            search.take(part)
        if search.fork != state.head.fork:
            return None
        return await self._loader.run(lambda: search.next(state.tree, state.bitfield))

    async def switch(self, search: Narrowing) -> Accepted:
        """Take over the head, durably. PeerError if another fork was taken over meanwhile."""
        async with self._exclusive():
            return await self.apply(search)

    async def apply(self, search: Narrowing, proof: Proof | None = None) -> Accepted:
        """As `switch`, inside `exclusive`; keeps a block that `proof` brought along."""
        state, fork = self._state, search.reorg.head.fork
        if search.fork != state.head.fork:
            raise misfit(f"fork {fork}, after {state.head.fork} was taken")
        reorg = search.reorg._replace(nodes=search.nodes())
        state.shrinks += 1
        await self._storage.commit(reorged(state.core_id, reorg, state.bitfield))
        state.commit_reorg(reorg)
        for view in self._snapshots:
            view.cut(reorg.common)
        block = proof.block if proof is not None else None
        if block is not None:
            await self._loader.run(lambda: state.take_block(block))
        self._tell(lambda listener: listener.on_truncate(reorg.common, fork))
        return Accepted(block.index if block is not None else None, upgraded=True, truncated=True)

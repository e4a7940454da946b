"""The shell of a core: one lock for its head, one task that makes accepted data durable."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar
from weakref import WeakSet

from pearbox_edge.crypto import KeyPair, discovery_key
from pearbox_edge.data.storage import Changeset, Head, Storage, StoredCore, TreeNode
from pearbox_edge.errors import PeerError, StorageError, UnavailableError, UsageError
from pearbox_edge.ids import CoreKey
from pearbox_edge.logs import short
from pearbox_edge.wire import Buffer

from .bitfield import Bitfield
from .changeset import appended, cleared, head_of, truncated
from .encryption import EncryptionMode
from .findings import Finding
from .flat_tree import depth, left_span
from .forks import Forks
from .hooks import Accepted, CoreListener, Refusal
from .loading import Loader, load_roots
from .manifest import Manifest
from .merkle_tree import hash_of, leaf, roots_at, seek
from .narrowing import Narrowing
from .node_cache import ColdPagesError
from .proof import HashRequest, Proof, ProofRequest, SeekRequest
from .serving import prove_all
from .snapshot import Snapshot
from .state import CoreState, load_manifest
from .upkeep import Upkeep
from .view import CONFLICT_NAME, CoreView

logger = logging.getLogger(__name__)
T = TypeVar("T")
offload = asyncio.to_thread

MAX_BLOCK_SIZE = 15 << 20  # SPEC sheet 11: writers refuse more; it must fit one message
STAGED_BYTES = 16 << 20
"""TUNING: accepted bytes not yet durable; `accept_many` waits above it."""
COMMIT_BYTES = 4 << 20
"""TUNING: staged bytes that are committed without waiting for more."""
COMMIT_DELAY = 0.03
"""TUNING: seconds that fewer bytes wait for company; a commit costs as much as some 20 blocks."""
_TRIES = 8  # TUNING: a block that goes as fast as it comes is given up


class Hypercore(CoreView):
    """One signed append-only log, in memory and at rest. Made by `open`, shared by counting.

    Reading gives plain blocks; what replication proves and accepts are blocks as stored.
    UnavailableError (code SESSION_CLOSED) once closed. A disk error fails every later change with
    StorageError, while reading and proving go on.
    Upstream: npm hypercore 11.39.5, `Hypercore`.
    """

    def __init__(
        self, storage: Storage, stored: StoredCore, state: CoreState, key_pair: KeyPair | None
    ) -> None:
        super().__init__(storage, stored, state, key_pair)
        self._loader = Loader(storage, state, asyncio.Lock())
        self._lock = asyncio.Lock()
        self._sessions = 1
        self._snapshots: WeakSet[Snapshot] = WeakSet()
        self._steps: set[asyncio.Task[object]] = set()
        self._committer: asyncio.Task[None] | None = None
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._waiters: list[asyncio.Future[None]] = []
        self._stored = stored
        self._upkeep = Upkeep(storage, state, self._exclusive, self._tell, offload)
        self.forks = Forks(
            storage, state, self._loader, self._exclusive, self._tell, self._snapshots
        )

    @classmethod
    async def open(
        cls,
        storage: Storage,
        *,
        key: CoreKey | None = None,
        manifest: Manifest | None = None,
        key_pair: KeyPair | None = None,
        encryption_key: bytes | None = None,
        encryption_mode: EncryptionMode | None = None,
    ) -> "Hypercore":
        """Open a core by key, by manifest, or as the one a key pair writes; made if new.

        `encryption_mode` None takes the one that fits the core (BLOCK must be asked for).
        UsageError if key, manifest and key pair do not belong together.
        """
        if manifest is None and key_pair is not None:
            own = Manifest.default(key_pair.public_key)
            if key is None or own.fits(key):
                manifest = own
        if key is None:
            if manifest is None:
                raise UsageError("a core needs a key, a manifest or a key pair")
            key = manifest.key
        if manifest is not None and not manifest.fits(key):
            raise UsageError("the manifest belongs to another core")
        encoded = manifest.encode() if manifest is not None else None
        stored = await storage.create_core(key, discovery_key(key), encoded)
        if stored.manifest is not None:
            manifest = load_manifest(stored)
        elif encoded is not None:
            await storage.commit(Changeset(stored.core_id, manifest=encoded))
        roots = await load_roots(storage, stored)
        bitfield = Bitfield(await storage.pages(stored.core_id))
        core = cls(storage, stored, CoreState(stored, manifest, roots, bitfield), key_pair)
        if encryption_key is not None:
            core.set_encryption(encryption_key, encryption_mode)
        return core

    @property
    def sessions(self) -> int:
        """Users that have not closed yet; a store closes a core that only it still has."""
        return self._sessions

    def session(self) -> "Hypercore":
        """One more user of this core; each must `close`."""
        self._check_open()
        self._sessions += 1
        return self

    async def close(self) -> None:
        """One user less; the last one makes everything durable and ends the core."""
        self._sessions -= 1
        if self._sessions > 0 or self.closed:
            return
        async with self._lock:
            try:
                if self.failure is None:
                    await self._flush()
            finally:
                self.closed = True
                if self._committer is not None:
                    self._committer.cancel()
                    await asyncio.gather(self._committer, return_exceptions=True)

    def snapshot(self, length: int | None = None) -> Snapshot:
        """A view pinned to a length (now's if None); UsageError if the core is shorter."""
        at = self.length if length is None else length
        if not 0 <= at <= self.length:
            raise UsageError(f"a snapshot of {at} blocks of {self.length}")
        view = Snapshot(self, at)
        self._snapshots.add(view)
        return view

    # Reading

    async def get(self, index: int, *, timeout: float | None = None) -> bytes:
        """A block, decrypted; fetched if it is not held. UnavailableError if nobody has it."""
        if index < 0:
            raise UsageError(f"block {index}")
        for _ in range(_TRIES):
            self._check_open()
            [block] = await self._loader.read([index])
            if block is not None:
                return self._plain(index, block)
            if self._state.bitfield.has(index):
                # Something else was truncated or cleared under the read: only read again.
                continue
            if self.fetcher is None:
                raise _nobody(f"block {index} is")
            await _within(timeout, self.fetcher.fetch(index))
        raise UnavailableError(f"block {index} does not stay", code="BLOCK_NOT_AVAILABLE")

    async def get_many(self, start: int, end: int, *, timeout: float | None = None) -> list[bytes]:
        """The blocks from `start` up to `end` (not included), decrypted, in order."""
        if not 0 <= start <= end:
            raise UsageError(f"blocks {start} to {end}")
        await _within(timeout, self.download(start, end))
        blocks = await self._loader.read(range(start, end))
        return [
            await self.get(index, timeout=timeout) if block is None else self._plain(index, block)
            for index, block in zip(range(start, end), blocks, strict=True)
        ]

    async def download(self, start: int, end: int) -> None:
        """Return once all blocks from `start` up to `end` (not included) are held."""
        self._check_open()
        if self._state.bitfield.has_range(start, end):
            return
        if self.fetcher is None:
            raise _nobody(f"some blocks from {start} to {end} are")
        await self.fetcher.fetch_range(start, end)

    async def update(self, *, timeout: float | None = None) -> bool:
        """Take the newest head that connected peers can prove; whether it changed."""
        self._check_open()
        if self.fetcher is None:
            return False
        before = self._state.head
        await _within(timeout, self.fetcher.update())
        return self._state.head != before

    async def byte_offset(self, index: int) -> int:
        """Stored bytes before block `index`; UnavailableError if the way there is not held."""
        self._check_open()
        place = await self._loader.run(lambda: self._state.place(index))
        if place is None:
            raise UnavailableError(f"the place of block {index} is not known")
        return place

    async def seek(self, byte_offset: int, *, timeout: float | None = None) -> tuple[int, int]:
        """The block that holds a plain byte, and the byte's place in it; may ask peers."""
        if byte_offset < 0:
            raise UsageError(f"seek to {byte_offset}")
        for _ in range(_TRIES):
            self._check_open()
            found = await self._loader.run(
                lambda: seek(self._state.tree, byte_offset, self.padding)
            )
            if found is None:
                raise UnavailableError(f"byte {byte_offset} is past the end")
            if not found.node & 1:
                return found.node // 2, found.rest
            if self.fetcher is None:
                break
            await _within(timeout, self.fetcher.seek(byte_offset))
        raise UnavailableError(f"the place of byte {byte_offset} is not known")

    async def verify(self, *, repair: bool = False) -> AsyncIterator[Finding]:
        """Re-read everything at rest: head, tree nodes, bits and held blocks. What is wrong.

        repair: mend what the rest tells, and let the rest go, so that it is fetched again. Reading
        and writing go on meanwhile. StorageError if the disk fails altogether.
        """
        self._check_open()
        async for finding in self._upkeep.check(self._stored, repair=repair):
            yield finding

    async def adopt(self, start: int, end: int) -> list[tuple[int, int]]:
        """Hold the blocks from `start` up to `end` whose bytes lie at rest already; which ones.

        Only those whose leaf is known (from proofs) and matches. For a core with `has_left_over`.
        """
        self._check_changeable()
        return await self._upkeep.adopt(self._stored, start, end)

    async def damaged(self, start: int, end: int) -> list[int]:
        """Re-read the held blocks from `start` up to `end`: which are not what was signed.

        StorageError if they cannot be read at all.
        """
        self._check_open()
        runs = self._state.bitfield.runs(start, min(end, self.length))
        return await self._loader.damaged([i for low, high in runs for i in range(low, high)])

    async def seek_request(self, byte_offset: int) -> ProofRequest | None:
        """What to ask a peer next to find the block of a plain byte; None once it is known.

        None also for a byte past the end.
        """
        found = await self._loader.run(lambda: seek(self._state.tree, byte_offset, self.padding))
        if found is None or not found.node & 1:
            return None
        below = HashRequest(left_span(found.node), depth(found.node))
        return ProofRequest(self.fork, hash=below, seek=SeekRequest(byte_offset, self.padding))

    # Writing

    async def append(self, blocks: Sequence[Buffer], *, signature: bytes | None = None) -> int:
        """Append blocks; durable on return. Gives the new length. All or none, signed once.

        `signature`: what several signers made of `draft`, empty for the prologue; else the own.
        UsageError if the core is not writable, a block is over MAX_BLOCK_SIZE, or it does not fit.
        """
        if any(len(block) > MAX_BLOCK_SIZE for block in blocks):
            raise UsageError(f"a block is larger than {MAX_BLOCK_SIZE} bytes")
        # Plain blocks hash alike wherever they land, so this need not wait for other appends.
        leaves = None if self.encrypted else [leaf(0, block) for block in blocks]
        return await self._owned(self._append(blocks, leaves, signature))

    async def draft(self, blocks: Sequence[Buffer]) -> Head:
        """The head, not signed yet, that `append` would make: what other signers must sign."""
        async with self._lock:
            grown = self._state.grow(self._sealed(blocks), None)
            return head_of(grown, self.fork, b"")

    async def _append(
        self,
        blocks: Sequence[Buffer],
        leaves: list[TreeNode] | None,
        signature: bytes | None,
    ) -> int:
        state = self._state
        async with self._lock:
            await self._prepare_to_write(is_signed=signature is not None)
            before = state.head
            if not blocks:
                return before.length
            blocks = self._sealed(blocks)
            grown = state.grow(blocks, leaves)
            after = head_of(grown, before.fork, self._signature(grown, before.fork, signature))
            # Nobody may see a head of ours that a crash could take back: first to disk.
            await self.storage.commit(
                appended(state.core_id, before, after, grown.nodes, blocks, state.bitfield)
            )
            state.commit_append(after, grown)
        self._tell(lambda listener: listener.on_head())
        self._tell(lambda listener: listener.on_blocks(before.length, after.length - before.length))
        return after.length

    async def truncate(self, length: int, fork: int | None = None) -> None:
        """Drop all blocks from `length` on and raise the fork (or set a chosen higher one)."""
        await self._owned(self._truncate(length, fork))

    async def _truncate(self, length: int, fork: int | None) -> None:
        state = self._state
        async with self._lock:
            await self._prepare_to_write()
            before = state.head
            fork = before.fork + 1 if fork is None else fork
            if not 0 <= length <= before.length or fork <= before.fork:
                raise UsageError(f"truncate to {length} blocks and fork {fork}")
            prologue = state.manifest.prologue if state.manifest is not None else None
            if prologue is not None and length < prologue.length:
                raise UsageError("the prologue of a core cannot be truncated")
            roots = await self._loader.run(lambda: roots_at(state.tree, length))
            if roots is None:
                raise UnavailableError(f"the tree at {length} blocks is not known")
            digest = hash_of(roots)
            size = sum(root.size for root in roots)
            after = Head(length, size, fork, digest, self._sign(length, fork, digest))
            state.shrinks += 1
            await self.storage.commit(truncated(state.core_id, after, state.bitfield))
            state.cut(length, after, roots)
            for view in self._snapshots:
                view.cut(length)
        self._tell(lambda listener: listener.on_truncate(length, after.fork))

    async def clear(self, start: int, end: int) -> None:
        """Forget blocks held here from `start` up to `end`; the core stays as long as it is."""
        await self._owned(self._clear(start, end))

    async def _clear(self, start: int, end: int) -> None:
        state = self._state
        async with self._lock:
            self._check_changeable()
            await self._flush()
            runs = list(state.bitfield.runs(start, min(end, state.head.length)))
            if not runs:
                return
            ranges = []
            for low, high in runs:
                await self._loader.warm([low, high - 1])
                ranges.append(await self._loader.run(partial(state.span, low, high)))
            # Out of the bits first: nobody may read where bytes are about to go.
            state.shrinks += 1
            for low, high in runs:
                state.bitfield.clear_range(low, high)
            try:
                await self.storage.commit(cleared(state.core_id, ranges, state.bitfield))
            except StorageError:
                for low, high in runs:
                    state.bitfield.set_range(low, high)
                raise
        for low, high in runs:
            for listener in tuple(self._listeners):
                listener.on_clear(low, high - low)

    async def set_user_data(self, name: str, value: bytes | None) -> None:
        """Keep a value beside the core (never sent); None removes it. Durable on return."""
        self._check_changeable()
        await self.storage.commit(Changeset(self._state.core_id, user_data={name: value}))
        if value is None:
            self.user_data.pop(name, None)
        else:
            self.user_data[name] = value

    # Replication

    async def prove_many(self, requests: Sequence[ProofRequest]) -> list[Proof | Refusal]:
        """Answer requests in order; blocks come as views of what neighbours were read with."""
        self._check_open()
        return await prove_all(self._loader, self._state, requests)

    async def accept_many(self, proofs: Sequence[Proof]) -> list[Accepted | PeerError]:
        """Verify proofs in order and stage what holds; one bad one does not spoil the others.

        Returns before anything is durable (`settled` waits), but waits while too much is staged.
        """
        if any(proof.fork > self.fork for proof in proofs):
            results = await self._owned(self._accept_all(proofs))
        else:
            results = await self._accept_all(proofs)
        while self._state.staging.size > STAGED_BYTES:
            await self._next_commit()
        return results

    async def _accept_all(self, proofs: Sequence[Proof]) -> list[Accepted | PeerError]:
        state = self._state
        results: list[Accepted | PeerError] = []
        async with self._lock:
            self._check_changeable()
            await self._loader.warm(p.block.index for p in proofs if p.block is not None)
            before = state.head, state.manifest
            for proof in proofs:
                try:
                    results.append(await self._accept(proof))
                except PeerError as error:
                    results.append(error)
            changed = before != (state.head, state.manifest)
        if changed:
            self._tell(lambda listener: listener.on_head())
        self._wake()
        return results

    async def _accept(self, proof: Proof) -> Accepted:
        if proof.fork > self.fork:
            await self._flush()
            return await self.forks.apply(await self.forks.examine(proof), proof)
        try:
            return self._state.accept(proof)
        except ColdPagesError as cold:
            await self._loader.load(cold.pages)
        return await self._loader.run(lambda: self._state.accept(proof))

    async def switch(self, search: Narrowing) -> Accepted:
        """Take over a head that `forks` examined, even if the caller goes away meanwhile."""
        return await self._owned(self.forks.switch(search))

    async def check_conflict(self, proof: Proof) -> bool:
        """Whether a proof (upgrade from 0, own fork) is a signed head that contradicts the own one.

        If so the core is frozen for good: it changes no more, and should not be replicated.
        PeerError if the proof itself does not hold.
        """
        async with self._lock:
            self._check_open()
            if not await self._loader.run(lambda: self._state.contradicts(proof)):
                return False
            if self.conflicted:
                return True
            self.conflicted = True
            logger.error("core %s was signed twice: frozen", short(self.key))
            mark = {CONFLICT_NAME: b"\x01"}
            await self.storage.commit(Changeset(self._state.core_id, user_data=dict(mark)))
        self._tell(lambda listener: listener.on_conflict())
        return True

    async def missing_nodes(self, index: int) -> int:
        """The `nodes` of a request for block `index`: steps to a stored node; 0 past the end."""
        return await self._loader.run(lambda: self._state.missing_nodes(2 * index))

    def missing_nodes_sync(self, index: int) -> int | None:
        """As `missing_nodes`; None if the disk would have to be asked."""
        try:
            return self._state.missing_nodes(2 * index)
        except ColdPagesError:
            return None

    async def missing_hash_nodes(self, node: int) -> int:
        """The `nodes` of a request for a tree node (by its number)."""
        return await self._loader.run(lambda: self._state.missing_nodes(node))

    async def warm(self, blocks: Sequence[int]) -> None:
        """Load the tree nodes around blocks, so that `missing_nodes_sync` can tell."""
        await self._loader.warm(blocks)

    async def can_upgrade_from(self, length: int) -> bool:
        """Whether the way from a tree of `length` blocks to the own head can be proved."""
        if length > self.length:
            return False
        return await self._loader.run(lambda: roots_at(self._state.tree, length)) is not None

    async def settled(self) -> None:
        """Everything accepted so far is durable. StorageError if it cannot be."""
        await self._flush()

    def _tell(self, what: Callable[[CoreListener], None]) -> None:
        for listener in tuple(self._listeners):
            what(listener)

    # Durability

    async def _owned(self, step: Coroutine[None, None, T]) -> T:
        """Finish a step even if its caller is cancelled, so that memory and disk agree."""
        task = asyncio.get_running_loop().create_task(step)
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_look)
            raise

    def _wake(self, *, hurry: bool = False) -> None:
        staging = self._state.staging
        if not staging.is_waiting:
            return
        if self._committer is None:
            self._committer = asyncio.get_running_loop().create_task(self._commit_staged())
            self._committer.add_done_callback(self._committer_ended)
        self._work.set()
        if hurry or staging.waiting_size >= COMMIT_BYTES:
            self._hurry.set()

    async def _commit_staged(self) -> None:
        state = self._state
        while True:
            await self._work.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_DELAY):
                    await self._hurry.wait()
            self._work.clear()
            self._hurry.clear()
            if not state.staging.is_waiting:
                continue
            batch = state.staging.take(state.bitfield)
            await self.storage.commit(batch.changeset)
            state.staging.done()
            state.cache.settle(batch.changeset.nodes)
            self._wake_waiters(None)
            for start, end in batch.runs:
                for listener in tuple(self._listeners):
                    listener.on_blocks(start, end - start)

    def _committer_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            error = StorageError("the core was closed before all was durable")
        else:
            cause = task.exception()
            error = cause if isinstance(cause, StorageError) else StorageError(f"a bug: {cause!r}")
            logger.error("core %s: nothing more is stored: %s", short(self.key), error)
            self.failure = error
        self._wake_waiters(error)

    def _wake_waiters(self, error: StorageError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    async def _flush(self) -> None:
        """Wait until what is staged now is durable."""
        staging = self._state.staging
        target = staging.next_batch
        while staging.finished < target:
            self._wake(hurry=True)
            await self._next_commit()

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        """Inside, nothing else changes the core, and all that was accepted is durable."""
        async with self._lock:
            self._check_open()
            await self._flush()
            yield

    async def _prepare_to_write(self, *, is_signed: bool = False) -> None:
        self._check_changeable() if is_signed else self._check_writable()
        await self._flush()
        if self.has_left_over:
            await self._upkeep.regain(self.user_data)

    async def _next_commit(self) -> None:
        if self.failure is not None:
            raise self.failure
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter


def _look(task: asyncio.Task[T]) -> None:
    """Take notice of how a step ended that nobody waits for any more."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.warning("a step whose caller went away failed: %s", error)


def _nobody(what: str) -> UnavailableError:
    return UnavailableError(f"{what} not held and nobody can be asked", code="BLOCK_NOT_AVAILABLE")


async def _within(timeout: float | None, what: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(timeout):
            return await what
    except TimeoutError as error:
        raise UnavailableError("nobody answered in time", code="REQUEST_TIMEOUT") from error

"""The shell of a bee: loads blocks for the tree algorithms and hears when the core changes."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar
from weakref import WeakKeyDictionary

from pearbox_edge.data.core import Hypercore
from pearbox_edge.errors import PeerError, StorageError, UnavailableError
from pearbox_edge.logs import short

from .messages import Node, decode_node
from .pins import Cuts
from .source import NodeCache, Walk
from .views import Pin

T = TypeVar("T")

_locks: WeakKeyDictionary[Hypercore, asyncio.Lock] = WeakKeyDictionary()
"""One writer for each core, however many bees are made on it."""

READ_SIZE = 4 << 20
"""TUNING: bytes read ahead in one go; usual blocks are 200 bytes, a stranger's up to 15 MiB."""

GAP = 8
"""TUNING: unasked blocks read along between two asked ones: cheaper than reading twice."""

MAX_FETCHES = 256
"""TUNING: blocks being fetched from peers ahead of need for one bee; hints beyond are dropped."""

FETCH_RUN = 32
"""TUNING: neighbouring blocks fetched as one; more would let one slow block hold up many."""


class NodeLoader:
    """Blocks of one core, decoded: from the cache, from disk in runs, from peers all at once.

    Also what all views and writers of that bee share: its truncations and its write lock.
    """

    def __init__(self, core: Hypercore) -> None:
        self.core = core
        self.nodes = NodeCache()
        self.cuts = Cuts()
        self.lock = _locks.setdefault(core, asyncio.Lock())
        self.closed = False
        self._changes: set[Change] = set()
        self._fetches: dict[int, asyncio.Task[None]] = {}
        core.add_listener(self)

    async def close(self) -> None:
        """Stop listening and fetching ahead; the core stays open."""
        if self.closed:
            return
        self.closed = True
        self.core.remove_listener(self)
        for change in self._changes:
            change.end()
        tasks = set(self._fetches.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def watch(self) -> "Change":
        """Be told of changes of the core from now on, until `Change.stop`."""
        change = Change(self._changes)
        if self.closed:
            change.end()
        self._changes.add(change)
        return change

    def named(self, error: PeerError) -> PeerError:
        """The same error, saying which core it is about."""
        return PeerError(f"bee {short(self.core.key)}: {error}", code=error.code)

    async def run(self, walk: Walk[T], pin: Pin, *, wait: bool, timeout: float | None) -> T:
        """Drive an algorithm, loading what it asks for. Without `wait`, only from held blocks."""
        try:
            pin.check()
            wanted = next(walk)
            async with asyncio.timeout(timeout):
                while True:
                    await self._load(list(wanted), pin, wait=wait)
                    wanted = next(walk)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except TimeoutError:
            raise UnavailableError("the blocks of the index did not come in time") from None
        except PeerError as error:
            raise self.named(error) from error
        finally:
            walk.close()

    async def load_run(self, start: int, end: int, pin: Pin, *, last: bool) -> list[Node]:
        """The first of the blocks from `start` up to `end`, or the `last` ones; at least one."""
        pin.check()
        if not self.core.has(start, end):
            await self.core.download(start, end)
        while end - start > 1 and await self._size(start, end) > READ_SIZE:
            middle = (start + end) // 2
            start, end = (middle, end) if last else (start, middle)
        blocks = await self.core.get_many(start, end)
        pin.check()
        try:
            return [decode_node(seq, block) for seq, block in enumerate(blocks, start)]
        except PeerError as error:
            raise self.named(error) from error

    async def _load(self, wanted: list[int], pin: Pin, *, wait: bool) -> None:
        """Bring the first block into the cache, of the others what is held; ask for the rest."""
        first = wanted[0]
        has = self.core.has
        if wait:
            if not has(first):
                self._fetch_ahead([first])
            self._fetch_ahead([seq for seq in wanted[1:] if not has(seq)])
        elif not has(first):
            raise UnavailableError(f"block {first} is not held here", code="BLOCK_NOT_AVAILABLE")
        budget = READ_SIZE
        for start, end in _runs(sorted(filter(has, wanted)), GAP):
            if end - start > 1:
                if not has(start, end):
                    continue
                budget -= await self._size(start, end)
                if budget < 0:
                    break
            await self._read(start, end, pin)
        if first not in self.nodes:
            await self._read(first, first + 1, pin)
        self.nodes.get(first)  # now the last one to go

    async def _read(self, start: int, end: int, pin: Pin) -> None:
        blocks = await self.core.get_many(start, end)
        # What was read before a truncation must not be cached after it.
        pin.check()
        for seq, block in enumerate(blocks, start):
            if seq not in self.nodes:
                self.nodes.put(decode_node(seq, block))

    async def _size(self, start: int, end: int) -> int:
        """Stored bytes of a run of held blocks."""
        return await self.core.byte_offset(end) - await self.core.byte_offset(start)

    def _fetch_ahead(self, missing: list[int]) -> None:
        """Ask peers for blocks without waiting for them."""
        wanted = sorted(seq for seq in set(missing) if seq not in self._fetches)
        for start, end in _runs(wanted, 0, FETCH_RUN):
            if self.closed or len(self._fetches) + end - start > MAX_FETCHES:
                return
            task = asyncio.create_task(self._fetch_run(start, end))
            self._fetches.update(dict.fromkeys(range(start, end), task))

    async def _fetch_run(self, start: int, end: int) -> None:
        """Get a run held; who then needs a block of it hears why it is not."""
        try:
            with suppress(UnavailableError, PeerError, StorageError):
                await self.core.download(start, end)
        finally:
            for seq in range(start, end):
                del self._fetches[seq]

    # What the core tells (CoreListener)

    def on_head(self) -> None:
        """The core grew."""
        self._tell()

    def on_blocks(self, start: int, count: int) -> None:
        """Blocks came: nothing to do."""

    def on_clear(self, start: int, count: int) -> None:
        """Blocks went: what is decoded of them stays right."""

    def on_truncate(self, length: int, fork: int) -> None:
        """The core was cut: views of what is gone end."""
        self.cuts.add(length)
        self.nodes.truncate(length)
        self._tell()

    def on_conflict(self) -> None:
        """The core is frozen: what was read stays readable."""

    def _tell(self) -> None:
        for change in self._changes:
            change.tell()


class Change:
    """Waits for the core to change; changes in between are one."""

    def __init__(self, registered: set["Change"]) -> None:
        self._registered = registered
        self._event = asyncio.Event()
        self._ended = False

    def tell(self) -> None:
        """The core changed."""
        self._event.set()

    def end(self) -> None:
        """The bee was closed."""
        self._ended = True
        self._event.set()

    async def wait(self) -> bool:
        """Return True once something changed since the last call, False once the bee closed."""
        await self._event.wait()
        self._event.clear()
        return not self._ended

    def stop(self) -> None:
        """Be told no more."""
        self._registered.discard(self)


def _runs(seqs: list[int], gap: int, longest: int = 1 << 20) -> Iterator[tuple[int, int]]:
    """Neighbouring numbers (rising) as runs (start, end), gaps of up to `gap` closed."""
    if not seqs:
        return
    start = last = seqs[0]
    for seq in seqs[1:]:
        if seq - last > gap + 1 or seq - start >= longest:
            yield start, last + 1
            start = seq
        last = seq
    yield start, last + 1

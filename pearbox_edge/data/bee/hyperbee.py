"""A bee: sorted keys and values on a core, read at any version, written in batches."""

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TypeVar

from pearbox_edge.data.core import Hypercore
from pearbox_edge.errors import InputError, PeerError, UnavailableError, UsageError

from .aio import NodeLoader
from .batch import Accept, TreeBatch
from .cursor import KeyRange
from .messages import (
    Header,
    Metadata,
    Node,
    decode_header,
    decode_node,
    encode_header,
)
from .pins import VersionPin
from .source import Walk
from .views import EVERYTHING, SEPARATOR, BeeChange, BeeEntry, BeeOperation, BeeView

T = TypeVar("T")

Compare = Callable[[BeeEntry], bool]
"""Compare-and-swap: given the present entry of a key, whether to write."""


class Hyperbee:
    """A sorted map on a core. Reading methods see the newest version; `snapshot` holds one fast.

    metadata: goes into the header with the first write. always_duplicate False: putting the value
    that is there already writes nothing.
    Errors of reading: see BeeView. One writer at a time; others wait.
    Upstream: npm hyperbee 2.27.3, `Hyperbee`.
    """

    def __init__(
        self,
        core: Hypercore,
        *,
        metadata: Metadata | None = None,
        always_duplicate: bool = True,
    ) -> None:
        self._loader = NodeLoader(core)
        self._prefix = b""
        self.core = core
        self.metadata = metadata
        self.always_duplicate = always_duplicate

    @property
    def version(self) -> int:
        """Core length, at least 1: an empty bee has version 1."""
        return max(1, self.core.length)

    @property
    def prefix(self) -> bytes:
        """What all keys of this bee begin with in the core; empty but for a sub."""
        return self._prefix

    def sub(self, name: bytes, separator: bytes = SEPARATOR) -> "Hyperbee":
        """The part whose keys begin with a name and the separator; they go without it there."""
        inner = object.__new__(Hyperbee)
        inner._loader = self._loader
        inner._prefix = self._prefix + name + separator
        inner.core = self.core
        inner.metadata = self.metadata
        inner.always_duplicate = self.always_duplicate
        return inner

    async def header(self, *, wait: bool = True, timeout: float | None = None) -> Header | None:
        """Block 0, or None while there is none (or, without `wait`, it is not held).

        PeerError if the core is not a bee, UnavailableError if nobody can send the block.
        """
        if self.core.length == 0 or (not wait and not self.core.has(0)):
            return None
        try:
            return decode_header(await self.core.get(0, timeout=timeout))
        except PeerError as error:
            raise self._loader.named(error) from error

    async def update(self, *, timeout: float | None = None) -> bool:
        """Take the newest version that connected peers can prove; whether it changed."""
        return await self.core.update(timeout=timeout)

    def snapshot(self) -> BeeView:
        """The newest version, held fast."""
        return self.checkout(self.version)

    def checkout(self, version: int) -> BeeView:
        """An older version; it must lie at the end of an operation or batch (others are garbage).

        InputError if there is no such version yet.
        """
        if not 0 <= version <= self.version:
            raise InputError(f"there is no version {version}; the newest is {self.version}")
        pin = VersionPin(self._loader.cuts, max(1, version))
        return BeeView(self._loader, pin, self._prefix)

    async def get(
        self, key: bytes, *, wait: bool = True, timeout: float | None = None
    ) -> BeeEntry | None:
        """The entry of a key, or None. Without `wait`, only from blocks held here."""
        return await self.snapshot().get(key, wait=wait, timeout=timeout)

    async def peek(
        self, bounds: KeyRange = EVERYTHING, *, reverse: bool = False
    ) -> BeeEntry | None:
        """The first entry of a range, or None."""
        return await self.snapshot().peek(bounds, reverse=reverse)

    def range(
        self, bounds: KeyRange = EVERYTHING, *, reverse: bool = False, limit: int | None = None
    ) -> AsyncIterator[BeeEntry]:
        """Iterate over a range of keys in order (or in reverse), at most `limit`."""
        return self.snapshot().range(bounds, reverse=reverse, limit=limit)

    def diff(self, version: int, bounds: KeyRange = EVERYTHING) -> AsyncIterator[BeeChange]:
        """Iterate over what differs, in key order: left as of now, right as of `version`."""
        return self.snapshot().diff(self.checkout(version), bounds)

    def history(
        self, start: int = 1, end: int | None = None, *, reverse: bool = False
    ) -> AsyncIterator[BeeOperation]:
        """Iterate over all operations in the order made, from block `start` up to `end`."""
        return self.snapshot().history(start, end, reverse=reverse)

    async def watch(self, bounds: KeyRange = EVERYTHING) -> AsyncIterator[tuple[BeeView, BeeView]]:
        """After each change within a range: (the view now, the view before). Ends with `close`.

        After a truncation the view before may be unreadable.
        """
        change = self._loader.watch()
        try:
            before, fork = self.snapshot(), self.core.fork
            while await change.wait():
                now = self.snapshot()
                if now.version == before.version and fork == self.core.fork:
                    continue
                differs = fork != self.core.fork
                if not differs:
                    try:
                        async for _ in now.diff(before, bounds, limit=1):
                            differs = True
                    except UnavailableError:
                        # Cut meanwhile, or nobody can send it now: what changed cannot be told.
                        differs = True
                if differs:
                    yield now, before
                before, fork = now, self.core.fork
        finally:
            change.stop()

    async def put(self, key: bytes, value: bytes | None, *, compare: Compare | None = None) -> bool:
        """Set a key; durable on return. False if nothing was written (see `always_duplicate`).

        compare: asked with the present entry, if there is one, whether to go on.
        """
        async with self.batch() as batch:
            return await batch.put(key, value, compare=compare)

    async def delete(self, key: bytes, *, compare: Compare | None = None) -> bool:
        """Take a key away; durable on return. False if it was not there."""
        async with self.batch() as batch:
            return await batch.delete(key, compare=compare)

    def batch(self) -> "BeeBatch":
        """Several operations as one append: all of them or none."""
        return BeeBatch(self._loader, self)

    async def close(self) -> None:
        """End watches and fetches; the core stays open and is its owner's to close."""
        await self._loader.close()


class BeeBatch:
    """Operations that become durable together with `flush` (or at the end of `async with`).

    From the first operation on, other writers of this bee wait.
    """

    def __init__(self, loader: NodeLoader, bee: Hyperbee) -> None:
        self._loader = loader
        self._bee = bee
        self._tree: TreeBatch | None = None
        self._fork = 0
        self._pin = VersionPin(loader.cuts, 1)

    async def __aenter__(self) -> "BeeBatch":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.flush()
        else:
            self.discard()

    def __len__(self) -> int:
        return 0 if self._tree is None else len(self._tree)

    @property
    def size(self) -> int:
        """About how many bytes of blocks wait for `flush`."""
        return 0 if self._tree is None else self._tree.size

    async def begin(self) -> None:
        """Become the writer now (as soon as no other is), before the first operation."""
        await self._begin()

    async def get(self, key: bytes) -> BeeEntry | None:
        """The entry of a key, seen through the operations so far."""
        tree = await self._begin()
        node = await self._run(tree.get(self._bee.prefix + key))
        return None if node is None else self._entry(node)

    async def put(self, key: bytes, value: bytes | None, *, compare: Compare | None = None) -> bool:
        """Set a key; False if `compare` or an equal value kept it from being written."""
        tree = await self._begin()
        return await self._run(tree.put(self._bee.prefix + key, value, self._accept(compare)))

    async def delete(self, key: bytes, *, compare: Compare | None = None) -> bool:
        """Take a key away; False if it is not there or `compare` declined."""
        tree = await self._begin()
        return await self._run(tree.delete(self._bee.prefix + key, self._accept(compare)))

    async def flush(self) -> None:
        """Append all operations as one; durable on return. The batch can be used again."""
        tree = self._tree
        if tree is None:
            return
        try:
            core = self._bee.core
            if max(1, core.length) != tree.base or core.fork != self._fork:
                raise UnavailableError("the bee changed under a batch; do it again")
            blocks = tree.blocks()
            header = Header(metadata=self._bee.metadata)
            first = [encode_header(header)] if core.length == 0 else []
            if first or blocks:
                await core.append([*first, *blocks])
                for seq, block in enumerate(blocks, tree.base):
                    self._loader.nodes.put(decode_node(seq, block))
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget all operations that were not flushed."""
        if self._tree is not None:
            self._tree = None
            self._loader.lock.release()

    async def _begin(self) -> TreeBatch:
        if self._tree is None:
            if not self._bee.core.writable:
                raise UsageError("this bee is not ours to write")
            await self._loader.lock.acquire()
            base = self._bee.version
            self._fork = self._bee.core.fork
            self._pin = VersionPin(self._loader.cuts, base)
            self._tree = TreeBatch(
                self._loader.nodes, base, always_duplicate=self._bee.always_duplicate
            )
        return self._tree

    async def _run(self, walk: Walk[T]) -> T:
        return await self._loader.run(walk, self._pin, wait=True, timeout=None)

    def _accept(self, compare: Compare | None) -> Accept | None:
        return None if compare is None else lambda node: compare(self._entry(node))

    def _entry(self, node: Node) -> BeeEntry:
        return BeeEntry(node.seq, node.key[len(self._bee.prefix) :], node.value)

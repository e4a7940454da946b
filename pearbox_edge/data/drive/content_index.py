"""The BLAKE3 index: which bytes a drive's blobs hold already, so that none are stored twice.

It lives among the directory's values and is only a memory aid: what it says is believed only if
the tree still says the same of those blocks, so a stale, partial or lost index costs space at most.

same/DRIVE                    up to which operation of the entries everything was seen
same/DRIVE/SIZE/FINGERPRINT   where these bytes are (Format: ours, `_encode`)
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from pearbox_edge.crypto import Fingerprint, fingerprint
from pearbox_edge.data.blobs import BlobId, Hyperblobs, Source
from pearbox_edge.data.core import flat_tree
from pearbox_edge.errors import PeerError, StorageError, UnavailableError
from pearbox_edge.wire import Buffer, Reader, Writer

from .reading import DriveReader

SAVE_AT = 256
"""TUNING: new places kept in memory; a crash forgets these, and they are read again."""

CATCH_UP_BYTES = 256 << 20
"""TUNING: content that was stored without us and is read in one go to know it (some 0.2 s)."""

CHECK_SIZE = 16
"""Bytes that tie a place to the tree; they tell stale from valid, nobody chooses them."""

_VERSION = 1


class Content(NamedTuple):
    """Bytes by their number and their BLAKE3."""

    size: int
    fingerprint: bytes


class HashedSource:
    """A source that tells what went through it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hash = Fingerprint()
        self._size = 0

    async def read(self, size: int) -> Buffer:
        """The next bytes of the source."""
        chunk = await self._source(size)
        self._hash.update(chunk)
        self._size += len(chunk)
        return chunk

    @property
    def content(self) -> Content:
        """All bytes so far."""
        return Content(self._size, self._hash.digest())


def content_of(data: Buffer) -> Content:
    """What names these bytes."""
    return Content(len(data), fingerprint(data))


class ContentIndex:
    """Where bytes lie in the blobs of one drive of ours, by what they are.

    Used by whoever holds the drive's write lock, but for `may_hold`, which only hints.
    """

    def __init__(self, blobs: Hyperblobs) -> None:
        core = blobs.core
        self._blobs = blobs
        self._core = core
        self._storage = core.storage
        self._prefix = f"same/{core.discovery_key.hex()[:32]}"
        self._core_id: int | None = None
        self._fork = core.fork
        self._waiting: dict[Content, BlobId] = {}
        self._covered: tuple[int, int] | None = None

    @property
    def waiting(self) -> int:
        """Places that `save` would write."""
        return len(self._waiting)

    async def find(self, wanted: Sequence[Content]) -> list[BlobId | None]:
        """Where each of these is, all of it held here; None for those to be stored."""
        self._drop_stale()
        found: list[BlobId | None] = [self._waiting.get(content) for content in wanted]
        asked = {
            self._name(content): content
            for content, blob in zip(wanted, found, strict=True)
            if blob is None and content.size
        }
        stored = await self._storage.get_values(list(asked)) if asked else {}
        places: dict[Content, tuple[BlobId, bytes]] = {}
        for name, value in stored.items():
            content = asked[name]
            try:
                places[content] = _decode(value, content.size)
            except PeerError:
                continue  # damaged: as if it were not there
        checks = await self._checks({content: blob for content, (blob, _) in places.items()})
        valid: dict[Content, BlobId] = {}
        for content, (blob, check) in places.items():
            if checks.get(content) == check:
                valid[content] = await self._placed(blob)
        best = [blob or valid.get(content) for content, blob in zip(wanted, found, strict=True)]
        return [blob if blob is not None and self._holds(blob) else None for blob in best]

    async def may_hold(self, size: int) -> bool:
        """Whether anything of this size is known: only then it pays to read a file beforehand."""
        if any(content.size == size for content in self._waiting):
            return True
        return bool(await self._storage.list_values(f"{self._prefix}/{size:x}/"))

    def note(self, places: Mapping[Content, BlobId]) -> None:
        """These bytes are stored there now, durably."""
        self._drop_stale()
        self._waiting.update((content, blob) for content, blob in places.items() if content.size)

    def cover(self, before: int, after: int, fork: int) -> None:
        """Everything that the entries say from operation `before` up to `after` was noted."""
        if self._covered == (before, fork):
            self._covered = (after, fork)

    async def save(self) -> None:
        """Write down what waits."""
        self._drop_stale()
        waiting = dict(self._waiting)
        checks = await self._checks(waiting)
        values: dict[str, bytes | None] = {
            self._name(content): _encode(waiting[content], check)
            for content, check in checks.items()
        }
        if self._covered is not None:
            writer = Writer()
            writer.uint(_VERSION)
            writer.uint(self._covered[0])
            writer.uint(self._covered[1])
            values[self._prefix] = bytes(writer.finish())
        if values:
            await self._storage.set_values(values)
        for content in waiting:
            self._waiting.pop(content, None)

    async def catch_up(
        self, drive: DriveReader, fork: int, *, budget: int | None = CATCH_UP_BYTES
    ) -> bool:
        """Read what was stored without us; whether all is known now.

        fork: of the entries' core. budget: bytes to read at most (but one file), None: all.
        """
        if self._covered is None:
            self._covered = await self._stored_cover()
        if self._covered[1] != fork or self._covered[0] > drive.version:
            self._covered = (1, fork)
        if self._covered[0] >= drive.version:
            return True
        seen: set[tuple[int, int]] = set()
        async for step in drive.history(self._covered[0]):
            if budget is not None and budget <= 0:
                break
            blob = None if step.entry is None else step.entry.blob
            if blob is not None and not blob.block_map and blob.byte_length:
                run = (blob.block_offset, blob.block_length)
                if run not in seen and self._holds(blob):
                    budget = None if budget is None else budget - blob.byte_length
                    seen.add(run)
                    await self._read(blob)
            self._covered = (step.seq + 1, fork)
            if len(self._waiting) >= SAVE_AT:
                await self.save()
        else:
            self._covered = (drive.version, fork)
        return self._covered[0] >= drive.version

    async def cut(self, version: int, fork: int) -> None:
        """The drive was truncated to a version: what was seen up to there stays seen.

        Called before the blobs are: what waits is tied to their tree while it is all there.
        """
        await self.save()
        if self._covered is None:
            self._covered = await self._stored_cover()
        self._covered = (min(self._covered[0], version), fork)
        await self.save()

    async def forget(self) -> None:
        """Remove the index."""
        self._waiting.clear()
        self._covered = (1, 0)
        names = [self._prefix, *await self._storage.list_values(f"{self._prefix}/")]
        await self._storage.set_values(dict.fromkeys(names))

    # Inside

    def _name(self, content: Content) -> str:
        text = urlsafe_b64encode(content.fingerprint).rstrip(b"=").decode()
        return f"{self._prefix}/{content.size:x}/{text}"

    def _drop_stale(self) -> None:
        """What waits is tied to the tree only when it is saved, so a truncation ends it."""
        if self._core.fork != self._fork:
            self._fork = self._core.fork
            self._waiting.clear()

    def _holds(self, blob: BlobId) -> bool:
        core = self._core
        return blob.block_end <= core.length and core.has(blob.block_offset, blob.block_end)

    async def _read(self, blob: BlobId) -> None:
        state = Fingerprint()
        size = 0
        try:
            async for parts in self._blobs.read_runs(blob):
                for part in parts:
                    state.update(part)
                    size += len(part)
        except (PeerError, StorageError, UnavailableError):
            return  # broken or gone meanwhile: not for sharing
        if size == blob.byte_length:
            self.note({Content(size, state.digest()): blob})

    async def _stored_cover(self) -> tuple[int, int]:
        stored = await self._storage.get_value(self._prefix)
        with suppress(PeerError):  # none yet, or damaged
            reader = Reader(stored or b"")
            if reader.uint() == _VERSION:
                return reader.uint(), reader.uint()
        return 1, 0

    async def _placed(self, blob: BlobId) -> BlobId:
        """The same run with the plain bytes that lie before it now."""
        core = self._core
        before = await core.byte_offset(blob.block_offset) - core.padding * blob.block_offset
        return BlobId(blob.block_offset, blob.block_length, before, blob.byte_length)

    async def _checks(self, places: Mapping[Content, BlobId]) -> dict[Content, bytes]:
        """What ties content to the tree over its blocks; absent where the tree does not fit.

        Only of runs held here, and of no size but their own.
        """
        covers = {
            content: flat_tree.growth(blob.block_offset, blob.block_end)
            for content, blob in places.items()
            if blob.block_length and self._holds(blob)
        }
        if not covers:
            return {}
        if self._core_id is None:
            stored = await self._storage.open_core(self._core.discovery_key)
            if stored is None:
                return {}
            self._core_id = stored.core_id
        wanted = sorted({node for cover in covers.values() for node in cover})
        nodes = await self._storage.nodes(self._core_id, wanted)
        checks: dict[Content, bytes] = {}
        for content, cover in covers.items():
            if not all(node in nodes for node in cover):
                continue
            padding = self._core.padding * places[content].block_length
            if sum(nodes[node].size for node in cover) == content.size + padding:
                hashes = b"".join(nodes[node].hash for node in cover)
                checks[content] = fingerprint(content.fingerprint + hashes)[:CHECK_SIZE]
        return checks


def _encode(blob: BlobId, check: bytes) -> bytes:
    writer = Writer()
    writer.uint(_VERSION)
    writer.uint(blob.block_offset)
    writer.uint(blob.block_length)
    writer.fixed(check, CHECK_SIZE)
    return bytes(writer.finish())


def _decode(value: bytes, size: int) -> tuple[BlobId, bytes]:
    """The place (its byte offset left open) and what the tree must say of it."""
    reader = Reader(value)
    if reader.uint() != _VERSION:
        raise PeerError("an index of another version")
    offset, length = reader.uint(), reader.uint()
    return BlobId(offset, length, 0, size), reader.fixed(CHECK_SIZE)

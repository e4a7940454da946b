"""A core as it was at one length."""

from typing import Protocol

from pearbox_edge.errors import UnavailableError, UsageError


class BlockSource(Protocol):
    """What a snapshot reads from: a core."""

    @property
    def fork(self) -> int:
        """The core's fork now."""
        ...

    def has(self, index: int) -> bool:
        """Whether a block is held."""
        ...

    async def get(self, index: int, *, timeout: float | None = None) -> bytes:
        """A block."""
        ...

    async def get_many(self, start: int, end: int, *, timeout: float | None = None) -> list[bytes]:
        """Blocks in a row."""
        ...


class Snapshot:
    """A view pinned to a length: later appends do not show.

    Once the core is truncated below that length, the blocks lost are UnavailableError (code
    SNAPSHOT_NOT_AVAILABLE), even if others took their places.
    """

    def __init__(self, core: BlockSource, length: int) -> None:
        self.core = core
        self.length = length
        self.fork = core.fork
        self.intact_length = length

    def cut(self, length: int) -> None:
        """The core was truncated."""
        self.intact_length = min(self.intact_length, length)

    async def get(self, index: int, *, timeout: float | None = None) -> bytes:
        """A block of the snapshot, decrypted."""
        self._check(index)
        block = await self.core.get(index, timeout=timeout)
        self._check(index)
        return block

    async def get_many(self, start: int, end: int, *, timeout: float | None = None) -> list[bytes]:
        """Blocks of the snapshot from `start` up to `end` (not included)."""
        if start >= end:
            return []
        self._check(end - 1)
        blocks = await self.core.get_many(start, end, timeout=timeout)
        self._check(end - 1)
        return blocks

    def has(self, index: int) -> bool:
        """Whether a block of the snapshot is held."""
        return index < self.intact_length and self.core.has(index)

    def _check(self, index: int) -> None:
        if not 0 <= index < self.length:
            raise UsageError(f"block {index} of a snapshot of {self.length}")
        if index >= self.intact_length:
            raise UnavailableError(
                f"block {index} was truncated away", code="SNAPSHOT_NOT_AVAILABLE"
            )

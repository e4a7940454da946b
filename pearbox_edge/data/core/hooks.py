"""What others plug into a core: who fetches for it, and who hears of its changes."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol


class Fetcher(Protocol):
    """Gets from peers what a core does not hold. Replication fills this in.

    Every method may be cancelled, and raises UnavailableError when nobody can help now.
    """

    async def fetch(self, index: int) -> None:
        """Return once block `index` is held (also one past the end, once it exists)."""
        ...

    async def fetch_range(self, start: int, end: int) -> None:
        """Return once all blocks from `start` up to `end` (not included) are held."""
        ...

    async def update(self) -> bool:
        """Take the newest head that connected peers can prove; whether the core changed."""
        ...

    async def seek(self, byte_offset: int) -> None:
        """Return once `Hypercore.seek_request(byte_offset)` is None: the block is known."""
        ...


class CoreListener(Protocol):
    """Hears of changes of a core, synchronously, in the loop. Must not raise; may ignore any."""

    def on_head(self) -> None:
        """The length grew (or the manifest came to be known)."""
        return

    def on_blocks(self, start: int, count: int) -> None:
        """Neighbouring blocks came to be held, and that is durable."""
        return

    def on_clear(self, start: int, count: int) -> None:
        """Neighbouring blocks are no longer held (the core is as long as before)."""
        return

    def on_truncate(self, length: int, fork: int) -> None:
        """All past `length` is gone; the fork is now `fork`."""
        return

    def on_conflict(self) -> None:
        """Two different signed heads of one length and fork were seen: the core is frozen."""
        return


class RefusalReason(IntEnum):
    """Why a request gets no data; the numbers are those of a noData message."""

    NOT_AVAILABLE = 1
    INVALID_REQUEST = 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that cannot be proved."""

    reason: RefusalReason


class Accepted(NamedTuple):
    """What one proof brought: a block (or None), whether the head grew, whether all was re-rooted.

    `duplicate`: the block was held already.
    """

    block: int | None = None
    upgraded: bool = False
    truncated: bool = False
    duplicate: bool = False

"""The contract of every storage: what a core keeps at rest, and how it changes atomically."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pearbox_edge.ids import CoreKey, DiscoveryKey
from pearbox_edge.wire import Buffer

PAGE_BITS = 1 << 15
"""TUNING: blocks in one stored bitfield page (4 KiB of bits)."""

LEFT_OVER = "storage/left-over"
"""The user data that marks a core whose rows were lost while its bytes may still be there."""


class TreeNode(NamedTuple):
    """One node of a Merkle tree, flat-tree numbered: bytes below it and their hash (32 bytes)."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a node
    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest signed state of a core.

    `byte_length` counts stored bytes (with encryption padding); `signature` is the blob of
    sheet 11 and may be empty only for a static core or one that was never signed.
    """

    length: int = 0
    byte_length: int = 0
    fork: int = 0
    tree_hash: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class StoredCore:
    """All that is known of one core when it is opened, except nodes, bits and blocks."""

    core_id: int
    key: CoreKey
    discovery_key: DiscoveryKey
    manifest: bytes | None
    head: Head
    contiguous_length: int
    user_data: dict[str, bytes]


class BlockWrite(NamedTuple):
    """Bytes of one or more neighbouring blocks and the place of the first in the core."""

    byte_offset: int
    data: Buffer


class ByteRange(NamedTuple):
    """Bytes of a core: where they begin and how many."""

    byte_offset: int
    size: int


@dataclass(slots=True)
class Changeset:
    """Everything one step changes in one core: all of it becomes durable, or none of it.

    Order inside a commit: `blocks` are written and synced, then all the rest in one transaction,
    then `cleared` ranges give their disk space back (what they read as afterwards is unspecified).
    `truncate_to` (in blocks) drops nodes and bits past that length before `nodes` and `pages`
    apply; it needs a `head`, and afterwards the block bytes end at `head.byte_length`.
    `dropped` are ranges of node numbers (first, past the last) whose nodes go before `nodes` apply;
    block bytes stay.
    `pages` holds whole bitfield pages (PAGE_BITS / 8 bytes; bit i of byte b is block
    page * PAGE_BITS + 8 * b + i) as they are after the step.
    """

    core_id: int
    blocks: list[BlockWrite] = field(default_factory=list)
    nodes: list[TreeNode] = field(default_factory=list)
    pages: dict[int, bytes] = field(default_factory=dict)
    head: Head | None = None
    contiguous_length: int | None = None
    manifest: bytes | None = None
    truncate_to: int | None = None
    dropped: list[tuple[int, int]] = field(default_factory=list)
    cleared: list[ByteRange] = field(default_factory=list)
    user_data: dict[str, bytes | None] = field(default_factory=dict)


class Storage(Protocol):
    """One data directory. One process, one writer; commits of many cores are grouped.

    Every method raises StorageError when the disk fails, is full or holds damaged data.
    """

    async def open_core(self, discovery_key: DiscoveryKey) -> StoredCore | None:
        """Look a core up by discovery key; None if this storage does not have it."""
        ...

    async def create_core(
        self, key: CoreKey, discovery_key: DiscoveryKey, manifest: bytes | None
    ) -> StoredCore:
        """Make room for a core (or give the one that is there)."""
        ...

    async def cores(self) -> list[DiscoveryKey]:
        """Discovery keys of all cores held here, oldest first."""
        ...

    async def delete_core(self, core_id: int) -> None:
        """Forget a core and give its disk space back."""
        ...

    async def nodes(self, core_id: int, indices: Sequence[int]) -> dict[int, TreeNode]:
        """The tree nodes held among `indices`; those not held are absent."""
        ...

    async def nodes_from(self, core_id: int, first: int, limit: int) -> list[TreeNode]:
        """The first `limit` tree nodes held that are numbered `first` or more, by number."""
        ...

    async def pages(self, core_id: int) -> dict[int, bytes]:
        """All bitfield pages of a core that have a bit set, by page number."""
        ...

    async def read(self, core_id: int, byte_offset: int, size: int) -> bytes:
        """Exactly `size` block bytes at a place; StorageError if the file ends before."""
        ...

    async def read_many(self, core_id: int, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Several reads in one go, in the order given."""
        ...

    async def data_size(self, core_id: int) -> int:
        """Where the block bytes of a core end now, whoever wrote them; 0 if there are none."""
        ...

    async def check(self) -> list[str]:
        """What is wrong with the tables themselves, a line each; reads all of them."""
        ...

    def data_file(self, core_id: int) -> str | None:
        """Path of the sparse file with the block bytes, or None where there is none (memory).

        For copying a contiguous blob out without carrying its bytes through this process.
        """
        ...

    async def commit(self, changeset: Changeset) -> None:
        """Make one step durable; returns when it is. Concurrent calls share one sync.

        Steps of one core apply in the order of the calls. One that fails changes nothing, and the
        steps of its core that were given before the failure was told fail with it: go back to
        what is stored. Cancelling the wait does not undo a step. Its buffers must stay unchanged
        until the end of the call.
        """
        ...

    async def get_value(self, name: str) -> bytes | None:
        """A value of the whole directory (primary key, aliases, caches of the box)."""
        ...

    async def get_values(self, names: Sequence[str]) -> dict[str, bytes]:
        """Several values of the directory in one go; names that have none are absent."""
        ...

    async def set_values(self, values: dict[str, bytes | None]) -> None:
        """Change values of the whole directory together; None removes one."""
        ...

    async def list_values(self, prefix: str) -> dict[str, bytes]:
        """All values whose name starts with `prefix`, in name order."""
        ...

    async def close(self) -> None:
        """Finish queued commits and release everything."""
        ...

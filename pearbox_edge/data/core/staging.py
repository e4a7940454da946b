"""What was accepted but is not yet durable: readable at once, written in one step later."""

from typing import NamedTuple

from pearbox_edge.data.storage import BlockWrite, Changeset, Head, TreeNode
from pearbox_edge.wire import Buffer

from .bitfield import Bitfield

COPY_BELOW = 1 << 14
"""TUNING: smaller blocks are copied, since a view would keep a whole receive buffer alive."""


class StagedBlock(NamedTuple):
    """A block's place in bytes, and the block as stored."""

    byte_offset: int
    data: Buffer


class Batch(NamedTuple):
    """One changeset and the neighbouring blocks in it, as (first, past the last)."""

    changeset: Changeset
    runs: list[tuple[int, int]]


class Staging:
    """Blocks, nodes and head of one core on their way to storage, one batch at a time."""

    def __init__(self, core_id: int) -> None:
        self._core_id = core_id
        self._waiting: dict[int, StagedBlock] = {}
        self._moving: dict[int, StagedBlock] = {}
        self._nodes: list[TreeNode] = []
        self._head: Head | None = None
        self._manifest: bytes | None = None
        self._moving_size = 0
        self._taken = 0
        self.waiting_size = 0
        self.finished = 0

    @property
    def is_waiting(self) -> bool:
        """Whether anything is staged that no batch has taken."""
        return bool(self._waiting or self._nodes or self._head or self._manifest)

    @property
    def next_batch(self) -> int:
        """Once `finished` reaches this number, all that is staged now is durable."""
        return self._taken + 1 if self.is_waiting else self._taken

    @property
    def size(self) -> int:
        """Bytes of blocks that are not durable yet."""
        return self.waiting_size + self._moving_size

    def get(self, index: int) -> Buffer | None:
        """A staged block as stored, or None."""
        block = self._waiting.get(index) or self._moving.get(index)
        return block.data if block is not None else None

    def add_block(self, index: int, byte_offset: int, data: Buffer) -> None:
        """Stage a block."""
        size = len(data)
        if size < COPY_BELOW and not isinstance(data, bytes):
            data = bytes(data)
        self._waiting[index] = StagedBlock(byte_offset, data)
        self.waiting_size += size

    def add_nodes(self, nodes: list[TreeNode]) -> None:
        """Stage tree nodes."""
        self._nodes += nodes

    def set_head(self, head: Head) -> None:
        """Stage a newer head."""
        self._head = head

    def set_manifest(self, manifest: bytes) -> None:
        """Stage the manifest."""
        self._manifest = manifest

    def take(self, bitfield: Bitfield) -> Batch:
        """Everything staged, as one changeset; it is under way until `done`."""
        blocks = sorted(self._waiting.items())
        changeset = Changeset(
            self._core_id,
            blocks=[BlockWrite(block.byte_offset, block.data) for _, block in blocks if block.data],
            nodes=self._nodes,
            pages=bitfield.take_changed(),
            head=self._head,
            contiguous_length=bitfield.contiguous,
            manifest=self._manifest,
        )
        runs: list[tuple[int, int]] = []
        for index, _ in blocks:
            if runs and runs[-1][1] == index:
                runs[-1] = (runs[-1][0], index + 1)
            else:
                runs.append((index, index + 1))
        self._moving, self._waiting = self._waiting, {}
        self._moving_size, self.waiting_size = self.waiting_size, 0
        self._nodes = []
        self._head = self._manifest = None
        self._taken += 1
        return Batch(changeset, runs)

    def done(self) -> None:
        """The batch under way is durable."""
        self._moving = {}
        self._moving_size = 0
        self.finished = self._taken

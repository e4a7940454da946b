"""What one peer asks of a core and what another answers, as values (sheet 12, request and data)."""

from dataclasses import dataclass
from typing import NamedTuple

from pearbox_edge.data.storage import TreeNode
from pearbox_edge.wire import Buffer

from .manifest import Manifest


class BlockRequest(NamedTuple):
    """A block, with the path up to `nodes` parent steps above its leaf."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    nodes: int


class HashRequest(NamedTuple):
    """A tree node (by flat-tree number), with the path up to `nodes` parent steps above it."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    nodes: int


class SeekRequest(NamedTuple):
    """The place of a byte; `padding` bytes in each block do not count."""

    byte_offset: int
    padding: int = 0


class UpgradeRequest(NamedTuple):
    """The way from a tree of `start` blocks to one of `start + length`."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """All that one request message can ask for."""

    fork: int
    block: BlockRequest | None = None
    hash: HashRequest | None = None
    seek: SeekRequest | None = None
    upgrade: UpgradeRequest | None = None
    manifest: bool = False


class BlockPart(NamedTuple):
    """A block as stored, and the siblings that climb from it."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    value: Buffer
    nodes: list[TreeNode]


class HashPart(NamedTuple):
    """A node first in `nodes`, then the siblings that climb from it."""

    index: int  # type: ignore[assignment]  # tuple.index is of no use here
    nodes: list[TreeNode]


class SeekPart(NamedTuple):
    """The node that a byte position led to, and the siblings that climb from it."""

    byte_offset: int
    nodes: list[TreeNode]


class UpgradePart(NamedTuple):
    """The nodes that make a tree grow, those beyond what was asked, and the head's signature."""

    start: int
    length: int
    nodes: list[TreeNode]
    additional_nodes: list[TreeNode]
    signature: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    """All that one data message can carry."""

    fork: int
    block: BlockPart | None = None
    hash: HashPart | None = None
    seek: SeekPart | None = None
    upgrade: UpgradePart | None = None
    manifest: Manifest | None = None

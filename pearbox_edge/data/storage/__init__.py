"""Blocks, tree nodes and bits of cores at rest: one directory, one writer, atomic steps.

Upstream: does the job of hypercore-storage 3.x (hypercore 11); the format on disk is our own.
Door: `Storage` with its values (`Changeset`, `Head`, ...); `SqliteStorage` and `MemoryStorage`.
Must not know: what a signature, a proof or a peer is; it keeps bytes and numbers as given.
Law: a commit is durable when it returns; bytes are on disk before the rows that name them.
"""

from .interface import (
    LEFT_OVER,
    PAGE_BITS,
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    Storage,
    StoredCore,
    TreeNode,
)
from .memory import MemoryStorage
from .rebuilding import Rebuilt
from .sqlite import SqliteStorage, StorageOptions

__all__ = [
    "LEFT_OVER",
    "PAGE_BITS",
    "BlockWrite",
    "ByteRange",
    "Changeset",
    "Head",
    "MemoryStorage",
    "Rebuilt",
    "SqliteStorage",
    "Storage",
    "StorageOptions",
    "StoredCore",
    "TreeNode",
]

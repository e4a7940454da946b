"""Sorted keys and values on a core: a B-tree in which every write appends one block.

Upstream: npm hyperbee 2.27.3 (sheet 13), byte for byte.
Door: `Hyperbee` and the views it gives; `KeyRange` bounds; `TreeBatch` and walks for the curious.
Must not know: what the keys mean (a drive's paths are the drive's), how blocks travel.
Tree algorithms are generators that ask for blocks; only `aio.py` waits for any.
"""

from .batch import TreeBatch
from .cursor import KeyRange
from .extension import Cache, Extension, Get, Iterator, decode_extension, encode_extension
from .hyperbee import BeeBatch, Hyperbee
from .messages import (
    MAX_KEY_SIZE,
    Header,
    Level,
    Metadata,
    Node,
    decode_header,
    decode_node,
    encode_header,
    encode_index,
    encode_node,
)
from .pins import VERSION_GONE
from .views import BeeChange, BeeEntry, BeeOperation, BeeView

__all__ = [
    "MAX_KEY_SIZE",
    "VERSION_GONE",
    "BeeBatch",
    "BeeChange",
    "BeeEntry",
    "BeeOperation",
    "BeeView",
    "Cache",
    "Extension",
    "Get",
    "Header",
    "Hyperbee",
    "Iterator",
    "KeyRange",
    "Level",
    "Metadata",
    "Node",
    "TreeBatch",
    "decode_extension",
    "decode_header",
    "decode_node",
    "encode_extension",
    "encode_header",
    "encode_index",
    "encode_node",
]

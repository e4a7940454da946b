"""Files as runs of blocks on a core, read in any part; also files whose blocks lie anywhere.

Upstream: npm hyperblobs 2.12.1 (sheet 14).
Door: `Hyperblobs`, its `BlobsBatch`, `BlobId`, `Source`.
Must not know: the files' names, entries or versions (the drive's), how blocks travel.
The block of a byte is found by the tree, never computed: blocks have any size.
"""

from .aio import APPEND_SIZE, BATCH_SIZE, MAX_GET_SIZE, BlobLocation, BlobsBatch, Hyperblobs
from .blob_id import BlobId, Json
from .block_map import MappedBlock, decode_block_map, encode_block_map, mapped_size
from .reading import without
from .streams import BLOCK_SIZE, Source, fill, from_chunks

__all__ = [
    "APPEND_SIZE",
    "BATCH_SIZE",
    "BLOCK_SIZE",
    "MAX_GET_SIZE",
    "BlobId",
    "BlobLocation",
    "BlobsBatch",
    "Hyperblobs",
    "Json",
    "MappedBlock",
    "Source",
    "decode_block_map",
    "encode_block_map",
    "fill",
    "from_chunks",
    "mapped_size",
    "without",
]

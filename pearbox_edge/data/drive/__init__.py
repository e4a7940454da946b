"""Files and folders on two cores: a bee of entries and the blobs they name.

Upstream: npm hyperdrive 13.3.4, mirror-drive 1.14.2 (sheet 15).
Door: `Hyperdrive` and the checkouts and batches it gives, `Entry`, paths, `plan_mirror`.
Must not know: folders on disk, users, shares, connections.
Law: bytes are durable before the entry that names them is written.
"""

from .aio import DriveCheckout, Hyperdrive
from .batch import DriveBatch, NewFile
from .content_index import Content, content_of
from .content_key import content_key, content_manifest
from .entry import Entry, decode_entry, encode_value
from .json_text import parse, stringify
from .mirror import (
    MirrorCount,
    MirrorFile,
    MirrorRecord,
    MirrorSide,
    MirrorStep,
    plan_mirror,
)
from .paths import normalise, normalise_folder, resolve_link
from .reading import Child, DriveChange, DriveOperation, DriveReader

__all__ = [
    "Child",
    "Content",
    "DriveBatch",
    "DriveChange",
    "DriveCheckout",
    "DriveOperation",
    "DriveReader",
    "Entry",
    "Hyperdrive",
    "MirrorCount",
    "MirrorFile",
    "MirrorRecord",
    "MirrorSide",
    "MirrorStep",
    "NewFile",
    "content_key",
    "content_manifest",
    "content_of",
    "decode_entry",
    "encode_value",
    "normalise",
    "normalise_folder",
    "parse",
    "plan_mirror",
    "resolve_link",
    "stringify",
]

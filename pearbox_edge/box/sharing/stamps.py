"""What was imported, remembered so that an unchanged file is never read again."""

import struct

from pearbox_edge.box.files import Stamp

_FORMAT = struct.Struct("<BQqqQ?")
_VERSION = 1
RACE_NS = 50_000_000
"""TUNING: a file changed this shortly before it was read may change again under the same time."""


def encode_stamp(stamp: Stamp) -> bytes:
    """The stamp as it is stored: version, size, mtime, ctime, inode, executable."""
    return _FORMAT.pack(_VERSION, *stamp)


def decode_stamp(stored: bytes) -> Stamp | None:
    """A stored stamp; None if it is none."""
    if len(stored) != _FORMAT.size:
        return None
    version, *fields = _FORMAT.unpack(stored)
    return Stamp(*fields) if version == _VERSION else None


def is_known(stamp: Stamp, stored: bytes | None) -> bool:
    """Whether the file is the one that was imported, going by its stamp."""
    return stored == encode_stamp(stamp)


def is_settled(stamp: Stamp, now_ns: int) -> bool:
    """Whether the stamp is old enough at `now_ns` (wall clock) to tell a later change apart."""
    return max(stamp.mtime_ns, stamp.ctime_ns) + RACE_NS < now_ns

"""The blocks of a bee: block 0 is the header, every other one a key with changed tree nodes."""

from dataclasses import dataclass
from typing import NamedTuple

from pearbox_edge.errors import InputError, PeerError
from pearbox_edge.wire import Buffer, protobuf

PROTOCOL = "hyperbee"  # SPEC sheet 13: the header's first field

# SPEC sheet 13: field numbers.
_HEADER_PROTOCOL, _HEADER_METADATA = 1, 2
_METADATA_CONTENT_FEED, _METADATA_USER_DATA = 1, 2
_NODE_INDEX, _NODE_KEY, _NODE_VALUE = 1, 2, 3
_INDEX_LEVEL = 1
_LEVEL_KEYS, _LEVEL_CHILDREN = 1, 2

MAX_KEY_SIZE = 1 << 16
"""TUNING: bytes in a key; a path has at most 4 KiB on Linux, a key of 10 MiB is an attack."""

MAX_LEVEL_KEYS = 64
"""TUNING: keys in one tree node as read; every writer splits at 9."""

NODE_OVERHEAD = 400
"""TUNING: bytes of memory a decoded node takes beside those of its block."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the header may say of the bee: the key of a drive's blobs (old drives), free bytes."""

    content_feed: bytes | None = None
    user_data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """Block 0."""

    metadata: Metadata | None = None


class Level(NamedTuple):
    """One tree node: the block numbers of its keys, and pairs (block, level) of its children."""

    keys: list[int]
    children: list[int]


class Node:
    """One block after the header, decoded; its tree nodes only when asked for."""

    __slots__ = ("_index", "_levels", "key", "seq", "value")

    def __init__(self, seq: int, key: bytes, value: bytes | None, index: bytes) -> None:
        self.seq = seq
        self.key = key
        self.value = value
        self._index = index
        self._levels: list[Level] | None = None

    @property
    def levels(self) -> list[Level]:
        """The tree nodes in this block, as written; PeerError if they cannot be read."""
        if self._levels is None:
            self._levels = decode_index(self._index)
        return self._levels

    @property
    def memory(self) -> int:
        """About how many bytes keeping this node takes."""
        size = len(self.key) + 3 * len(self._index) + NODE_OVERHEAD
        return size if self.value is None else size + len(self.value)

    def level(self, offset: int) -> Level:
        """One tree node, fit to walk on: it looks only back, and its children match its keys."""
        levels = self.levels
        if offset >= len(levels):
            raise PeerError(f"block {self.seq} has no tree node {offset}")
        level = levels[offset]
        keys, children = level
        if children and (len(children) != 2 * len(keys) + 2 or not keys):
            raise PeerError(f"tree node {offset} of block {self.seq} has children but not for keys")
        # What lies ahead does not exist yet: pointing there is how a cycle would be made.
        if keys and not 1 <= min(keys) <= max(keys) <= self.seq:
            raise PeerError(f"tree node {offset} of block {self.seq} names keys of other blocks")
        if children and not 1 <= min(children[::2]) <= max(children[::2]) <= self.seq:
            raise PeerError(f"tree node {offset} of block {self.seq} names children of the future")
        return level

    def is_deletion(self) -> bool:
        """Whether this block took its key away: no value, and no tree node that holds it."""
        return self.value is None and all(self.seq not in level.keys for level in self.levels)


def encode_header(header: Header) -> bytes:
    """Write block 0."""
    out = bytearray()
    protobuf.write_field(out, _HEADER_PROTOCOL, PROTOCOL.encode())
    if (metadata := header.metadata) is not None:
        inner = bytearray()
        if metadata.content_feed is not None:
            protobuf.write_field(inner, _METADATA_CONTENT_FEED, metadata.content_feed)
        if metadata.user_data is not None:
            protobuf.write_field(inner, _METADATA_USER_DATA, metadata.user_data)
        protobuf.write_field(out, _HEADER_METADATA, inner)
    return bytes(out)


def decode_header(block: Buffer) -> Header:
    """Read block 0; PeerError if it is no header of a bee."""
    protocol = metadata = None
    for number, data in protobuf.fields(block):
        if number == _HEADER_PROTOCOL:
            protocol = str(data, "utf-8", "replace")
        elif number == _HEADER_METADATA:
            metadata = _decode_metadata(data)
    if protocol != PROTOCOL:
        raise PeerError("block 0 is not the header of a bee", code="DECODING_ERROR")
    return Header(metadata)


def _decode_metadata(block: memoryview) -> Metadata:
    content_feed = user_data = None
    for number, data in protobuf.fields(block):
        if number == _METADATA_CONTENT_FEED:
            content_feed = bytes(data)
        elif number == _METADATA_USER_DATA:
            user_data = bytes(data)
    return Metadata(content_feed, user_data)


def encode_node(key: bytes, value: bytes | None, index: bytes) -> bytes:
    """Write a block; `index` comes from `encode_index`."""
    out = bytearray()
    write = protobuf.write_field
    write(out, _NODE_INDEX, index)
    write(out, _NODE_KEY, key)
    if value is not None:
        write(out, _NODE_VALUE, value)
    return bytes(out)


def decode_node(seq: int, block: Buffer) -> Node:
    """Read block `seq` (1 or more); PeerError if it is none or its key is beyond MAX_KEY_SIZE."""
    index = key = value = None
    for number, data in protobuf.fields(block):
        if number == _NODE_VALUE:
            value = bytes(data)
        elif number == _NODE_KEY:
            key = data
        elif number == _NODE_INDEX:
            index = bytes(data)
    if index is None or key is None:
        raise PeerError(f"block {seq} is not one of a bee", code="DECODING_ERROR")
    if len(key) > MAX_KEY_SIZE:
        raise PeerError(f"block {seq} has a key of {len(key)} bytes")
    return Node(seq, bytes(key), value, index)


def encode_index(levels: list[Level]) -> bytes:
    """Write the tree nodes of a block, in order."""
    out = bytearray()
    for keys, children in levels:
        inner = bytearray()
        if keys:
            protobuf.write_field(inner, _LEVEL_KEYS, protobuf.pack(keys))
        if children:
            protobuf.write_field(inner, _LEVEL_CHILDREN, protobuf.pack(children))
        protobuf.write_field(out, _INDEX_LEVEL, inner)
    return bytes(out)


def decode_index(data: Buffer) -> list[Level]:
    """Read the tree nodes of a block; PeerError for broken ones."""
    levels: list[Level] = []
    for number, inner in protobuf.fields(data):
        if number != _INDEX_LEVEL:
            continue
        keys: list[int] = []
        children: list[int] = []
        for part, packed in protobuf.fields(inner):
            if part == _LEVEL_KEYS:
                keys += protobuf.unpack(packed)
            elif part == _LEVEL_CHILDREN:
                children += protobuf.unpack(packed)
        if len(keys) > MAX_LEVEL_KEYS:
            raise PeerError(f"a tree node of {len(keys)} keys")
        levels.append(Level(keys, children))
    return levels


def check_key(key: bytes) -> bytes:
    """Give back a key that may be written; InputError if it is beyond MAX_KEY_SIZE."""
    if len(key) > MAX_KEY_SIZE:
        raise InputError(f"a name of {len(key)} bytes is too long (at most {MAX_KEY_SIZE})")
    return key

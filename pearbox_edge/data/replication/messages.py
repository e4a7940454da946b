"""The messages of a replication channel, bytes to values and back (sheet 12, types 0 to 9).

Decoders raise only PeerError. What arrives often is read without copying: a block's value and the
words of a bitfield are views of the message they came in.
"""

from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from pearbox_edge.data.core import (
    BlockPart,
    BlockRequest,
    HashPart,
    HashRequest,
    Manifest,
    Proof,
    ProofRequest,
    SeekPart,
    SeekRequest,
    UpgradePart,
    UpgradeRequest,
)
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer, Reader, Writer

PROTOCOL = "hypercore/alpha"  # SPEC sheet 12
NODES_LIMIT = 128
"""TUNING: nodes in one part of a data message; no path or growth of a real tree needs more."""


class MessageType(IntEnum):
    """SPEC sheet 12: the message types of a channel, in the order both sides register them."""

    SYNC = 0
    REQUEST = 1
    CANCEL = 2
    DATA = 3
    NO_DATA = 4
    WANT = 5
    UNWANT = 6
    BITFIELD = 7
    RANGE = 8
    EXTENSION = 9


# SPEC sheet 12: which parts a request or a data message has.
_BLOCK, _HASH, _SEEK, _UPGRADE, _MANIFEST, _PRIORITY = 1, 2, 4, 8, 16, 32
# SPEC sheet 12: flags of the other messages.
_SEEKS = 1
_CAN_UPGRADE, _UPLOADING, _DOWNLOADING, _HAS_MANIFEST, _ALLOW_PUSH = 1, 2, 4, 8, 16
_REASON = 1
_DROP, _ONE = 1, 2

_pack_16 = Struct("<BH").pack
_pack_32 = Struct("<BI").pack
_pack_64 = Struct("<BQ").pack


class Handshake(NamedTuple):
    """What a channel is opened with: `capability` (32 bytes) proves that the key is known."""

    capability: bytes
    seeks: bool = True


class Sync(NamedTuple):
    """A peer's head and what it is up to; `remote_length` is the last it heard of ours."""

    fork: int
    length: int
    remote_length: int = 0
    can_upgrade: bool = True
    uploading: bool = True
    downloading: bool = True
    has_manifest: bool = False
    allow_push: bool = False


class Request(NamedTuple):
    """A wish for data, under a number that the answer or a cancel repeats."""

    id: int
    want: ProofRequest
    priority: int = 0


class Data(NamedTuple):
    """The answer to request `id`; 0 is for what nobody asked for."""

    id: int
    proof: Proof


class NoData(NamedTuple):
    """A request that gets no data: reason 0 unknown, 1 not available, 2 invalid request."""

    id: int
    reason: int = 0


class Want(NamedTuple):
    """A span whose map a peer asks for (or no longer, in an unwant); `any`: one block will do."""

    start: int
    length: int
    any: bool = False


class BitfieldMessage(NamedTuple):
    """The map of a span: `words` little endian u32, bit i of word w is block start + 32 w + i."""

    start: int
    words: Buffer


class Range(NamedTuple):
    """Neighbouring blocks that a peer has now, or (drop) has no longer."""

    start: int
    length: int
    drop: bool = False


class ExtensionMessage(NamedTuple):
    """A side message; an empty name means the name of the one before on this channel."""

    name: str
    payload: Buffer


def _uint(value: int) -> bytes:
    """One number in compact encoding, for the messages sent most."""
    if value < 0xFD:
        return value.to_bytes(1, "little")
    if value <= 0xFFFF:
        return _pack_16(0xFD, value)
    if value <= 0xFFFFFFFF:
        return _pack_32(0xFE, value)
    return _pack_64(0xFF, value)


def encode_handshake(handshake: Handshake) -> bytes:
    """Write what a channel is opened with."""
    writer = Writer()
    writer.uint(_SEEKS if handshake.seeks else 0)
    writer.fixed32(handshake.capability)
    return writer.finish()


def decode_handshake(body: Buffer) -> Handshake:
    """Read what a channel is opened with."""
    reader = Reader(body)
    flags = reader.uint()
    return Handshake(reader.fixed32(), bool(flags & _SEEKS))


def encode_sync(sync: Sync) -> bytes:
    """Write a sync."""
    flags = (
        (_CAN_UPGRADE if sync.can_upgrade else 0)
        | (_UPLOADING if sync.uploading else 0)
        | (_DOWNLOADING if sync.downloading else 0)
        | (_HAS_MANIFEST if sync.has_manifest else 0)
        | (_ALLOW_PUSH if sync.allow_push else 0)
    )
    return _uint(flags) + _uint(sync.fork) + _uint(sync.length) + _uint(sync.remote_length)


def decode_sync(body: Buffer) -> Sync:
    """Read a sync."""
    reader = Reader(body)
    flags = reader.uint()
    return Sync(
        fork=reader.uint(),
        length=reader.uint(),
        remote_length=reader.uint(),
        can_upgrade=bool(flags & _CAN_UPGRADE),
        uploading=bool(flags & _UPLOADING),
        downloading=bool(flags & _DOWNLOADING),
        has_manifest=bool(flags & _HAS_MANIFEST),
        allow_push=bool(flags & _ALLOW_PUSH),
    )


def encode_request(request: Request) -> bytes:
    """Write a request."""
    want = request.want
    flags = 0
    parts = b""
    if want.block is not None:
        flags |= _BLOCK
        parts = _uint(want.block.index) + _uint(want.block.nodes)
    if want.hash is not None:
        flags |= _HASH
        parts += _uint(want.hash.index) + _uint(want.hash.nodes)
    if want.seek is not None:
        flags |= _SEEK
        parts += _uint(want.seek.byte_offset) + _uint(want.seek.padding)
    if want.upgrade is not None:
        flags |= _UPGRADE
        parts += _uint(want.upgrade.start) + _uint(want.upgrade.length)
    if want.manifest:
        flags |= _MANIFEST
    if request.priority:
        flags |= _PRIORITY
        parts += _uint(request.priority)
    return _uint(flags) + _uint(request.id) + _uint(want.fork) + parts


def decode_request(body: Buffer) -> Request:
    """Read a request."""
    reader = Reader(body)
    uint = reader.uint
    flags = uint()
    request_id = uint()
    fork = uint()
    block = BlockRequest(uint(), uint()) if flags & _BLOCK else None
    node = HashRequest(uint(), uint()) if flags & _HASH else None
    seek = SeekRequest(uint(), uint()) if flags & _SEEK else None
    upgrade = UpgradeRequest(uint(), uint()) if flags & _UPGRADE else None
    priority = uint() if flags & _PRIORITY else 0
    want = ProofRequest(fork, block, node, seek, upgrade, bool(flags & _MANIFEST))
    return Request(request_id, want, priority)


def encode_cancel(request_id: int) -> bytes:
    """Write a cancel."""
    return _uint(request_id)


def decode_cancel(body: Buffer) -> int:
    """Read a cancel: the number of the request that no longer matters."""
    return Reader(body).uint()


def _nodes(nodes: Sequence[TreeNode]) -> bytes:
    parts = [_uint(len(nodes))]
    for index, size, digest in nodes:
        parts += (_uint(index), _uint(size), digest)
    return b"".join(parts)


def encode_data(data: Data) -> list[Buffer]:
    """Write a data message as the buffers that make it up; a block's value is not copied."""
    proof = data.proof
    flags = (
        (_BLOCK if proof.block is not None else 0)
        | (_HASH if proof.hash is not None else 0)
        | (_SEEK if proof.seek is not None else 0)
        | (_UPGRADE if proof.upgrade is not None else 0)
        | (_MANIFEST if proof.manifest is not None else 0)
    )
    head = _uint(flags) + _uint(data.id) + _uint(proof.fork)
    if proof.block is None:
        return [head + _rest(proof)]
    index, value, nodes = proof.block
    head += _uint(index) + _uint(len(value))
    tail = _nodes(nodes) if flags == _BLOCK else _nodes(nodes) + _rest(proof)
    return [head, value, tail]


def _rest(proof: Proof) -> bytes:
    """All parts of a data message but the block."""
    out = b""
    if proof.hash is not None:
        out += _uint(proof.hash.index) + _nodes(proof.hash.nodes)
    if proof.seek is not None:
        out += _uint(proof.seek.byte_offset) + _nodes(proof.seek.nodes)
    if proof.upgrade is not None:
        upgrade = proof.upgrade
        out += _uint(upgrade.start) + _uint(upgrade.length)
        out += _nodes(upgrade.nodes) + _nodes(upgrade.additional_nodes)
        out += _uint(len(upgrade.signature)) + upgrade.signature
    if proof.manifest is not None:
        out += proof.manifest.encode()
    return out


def _read_nodes(reader: Reader) -> list[TreeNode]:
    uint = reader.uint
    count = uint()
    if count > NODES_LIMIT:
        raise PeerError(f"{count} nodes in one part of a data message", code="INVALID_PROOF")
    fixed32 = reader.fixed32
    return [TreeNode(uint(), uint(), fixed32()) for _ in range(count)]


def decode_data(body: Buffer) -> Data:
    """Read a data message; the block's value is a view of `body`."""
    reader = Reader(body)
    uint = reader.uint
    flags = uint()
    request_id = uint()
    fork = uint()
    block = BlockPart(uint(), reader.buffer(), _read_nodes(reader)) if flags & _BLOCK else None
    if flags == _BLOCK:
        return Data(request_id, Proof(fork, block))
    node = HashPart(uint(), _read_nodes(reader)) if flags & _HASH else None
    seek = SeekPart(uint(), _read_nodes(reader)) if flags & _SEEK else None
    upgrade = None
    if flags & _UPGRADE:
        start, length = uint(), uint()
        nodes, additional = _read_nodes(reader), _read_nodes(reader)
        upgrade = UpgradePart(start, length, nodes, additional, reader.optional_buffer() or b"")
    manifest = Manifest.read(reader) if flags & _MANIFEST else None
    return Data(request_id, Proof(fork, block, node, seek, upgrade, manifest))


def encode_no_data(no_data: NoData) -> bytes:
    """Write a noData."""
    if not no_data.reason:
        return _uint(no_data.id) + b"\0"
    return _uint(no_data.id) + _uint(_REASON) + _uint(no_data.reason)


def decode_no_data(body: Buffer) -> NoData:
    """Read a noData; peers of old leave the flags away."""
    reader = Reader(body)
    request_id = reader.uint()
    flags = reader.uint() if reader.remaining else 0
    return NoData(request_id, reader.uint() if flags & _REASON else 0)


def encode_want(want: Want) -> bytes:
    """Write a want or an unwant."""
    return _uint(want.start) + _uint(want.length) + (b"\x01" if want.any else b"")


def decode_want(body: Buffer) -> Want:
    """Read a want or an unwant."""
    reader = Reader(body)
    return Want(reader.uint(), reader.uint(), bool(reader.remaining and reader.uint() & 1))


def encode_bitfield(bitfield: BitfieldMessage) -> bytes:
    """Write the map of a span."""
    return _uint(bitfield.start) + _uint(len(bitfield.words) // 4) + bitfield.words


def decode_bitfield(body: Buffer) -> BitfieldMessage:
    """Read the map of a span; the words are a view of `body`."""
    reader = Reader(body)
    start = reader.uint()
    size = 4 * reader.uint()
    words = reader.raw()
    if len(words) < size:
        raise PeerError("a bitfield ends early", code="OUT_OF_BOUNDS")
    return BitfieldMessage(start, words[:size])


def encode_range(blocks: Range) -> bytes:
    """Write which blocks came or went."""
    flags = (_DROP if blocks.drop else 0) | (_ONE if blocks.length == 1 else 0)
    length = b"" if blocks.length == 1 else _uint(blocks.length)
    return _uint(flags) + _uint(blocks.start) + length


def decode_range(body: Buffer) -> Range:
    """Read which blocks came or went."""
    reader = Reader(body)
    flags = reader.uint()
    start = reader.uint()
    return Range(start, 1 if flags & _ONE else reader.uint(), bool(flags & _DROP))


def encode_extension(message: ExtensionMessage) -> list[Buffer]:
    """Write a side message as the buffers that make it up."""
    writer = Writer()
    writer.string(message.name)
    return [writer.finish(), message.payload]


def decode_extension(body: Buffer) -> ExtensionMessage:
    """Read a side message; the payload is a view of `body`."""
    reader = Reader(body)
    return ExtensionMessage(reader.string(), reader.raw())

"""The messages by which two peers meet on a third that passes their packets on (`blind-relay`).

Upstream: npm blind-relay 1.6.1 (sheet 07). Decoders raise only PeerError.
"""

from typing import NamedTuple

from pearbox_edge.wire import Buffer, Reader, Writer

RELAY_PROTOCOL = "blind-relay"  # SPEC sheet 07; the channel's id is the client's public key
_INITIATOR = 1


class Pair(NamedTuple):
    """Message 0: join `stream_id` with the stream of who else brings `token` (32 bytes)."""

    is_initiator: bool
    token: bytes
    stream_id: int
    seq: int = 0


def encode_pair(pair: Pair) -> bytes:
    """Write a pair."""
    writer = Writer()
    writer.uint8(_INITIATOR if pair.is_initiator else 0)
    writer.fixed32(pair.token)
    writer.uint(pair.stream_id)
    writer.uint(pair.seq)
    return bytes(writer.finish())


def decode_pair(data: Buffer) -> Pair:
    """Read a pair."""
    reader = Reader(data)
    flags = reader.uint8()
    return Pair(bool(flags & _INITIATOR), reader.fixed32(), reader.uint(), reader.uint())


def encode_unpair(token: bytes) -> bytes:
    """Write an unpair, message 1: the token (32 bytes) matters no longer."""
    writer = Writer()
    writer.uint8(0)
    writer.fixed32(token)
    return bytes(writer.finish())


def decode_unpair(data: Buffer) -> bytes:
    """Read an unpair: the token."""
    reader = Reader(data)
    reader.uint8()
    return reader.fixed32()

"""The messages by which peers of many cores tell which of them have news (sheet 07, `wakeup`).

Upstream: npm protomux-wakeup 2.9.0. Decoders raise only PeerError.
"""

from typing import NamedTuple

from pearbox_edge.crypto import hash_bytes, namespace
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey
from pearbox_edge.wire import Buffer, Reader, Writer

PROTOCOL = "wakeup"  # SPEC sheet 07; its id is the discovery key of the topic key
MAX_ANNOUNCED = 4096
"""TUNING: cores named in one announcement."""
_INITIATOR, _RESPONDER = namespace("wakeup", 2)
_ACTIVE = _HAS_HASH = 1


class Opening(NamedTuple):
    """What the channel opens with: `capability` (32 bytes) proves that the topic key is known."""

    capability: bytes
    active: bool = True
    version: int = 0


class News(NamedTuple):
    """A core and how long it is now."""

    key: CoreKey
    length: int


def wakeup_capability(topic_key: bytes, handshake_hash: bytes, *, is_initiator: bool) -> bytes:
    """What the side with this role proves with that it knows the topic key: 32 bytes."""
    return hash_bytes(_INITIATOR if is_initiator else _RESPONDER, topic_key, handshake_hash)


def encode_opening(opening: Opening) -> bytes:
    """Write the handshake of the channel."""
    writer = Writer()
    writer.uint(opening.version)
    writer.fixed32(opening.capability)
    writer.uint(_ACTIVE if opening.active else 0)
    return bytes(writer.finish())


def decode_opening(data: Buffer) -> Opening:
    """Read the handshake of the channel."""
    reader = Reader(data)
    version, capability = reader.uint(), reader.fixed32()
    return Opening(capability, bool(reader.uint() & _ACTIVE), version)


def encode_lookup(hash_: bytes | None) -> bytes:
    """Ask for news, unless they hash to `hash_` (32 bytes)."""
    writer = Writer()
    writer.uint(0 if hash_ is None else _HAS_HASH)
    if hash_ is not None:
        writer.fixed32(hash_)
    return bytes(writer.finish())


def decode_lookup(data: Buffer) -> bytes | None:
    """Read what `encode_lookup` writes."""
    reader = Reader(data)
    return reader.fixed32() if reader.uint() & _HAS_HASH else None


def encode_announce(news: list[News]) -> bytes:
    """Tell of cores and their lengths."""
    writer = Writer()
    writer.uint(len(news))
    for key, length in news:
        writer.fixed32(key)
        writer.uint(length)
    return bytes(writer.finish())


def decode_announce(data: Buffer) -> list[News]:
    """Read what `encode_announce` writes."""
    reader = Reader(data)
    count = reader.uint()
    if count > MAX_ANNOUNCED:
        raise PeerError(f"news of {count} cores at once")
    return [News(CoreKey(reader.fixed32()), reader.uint()) for _ in range(count)]


def encode_info(*, active: bool) -> bytes:
    """Say whether this side takes part actively."""
    writer = Writer()
    writer.uint(_ACTIVE if active else 0)
    return bytes(writer.finish())


def decode_info(data: Buffer) -> bool:
    """Read what `encode_info` writes."""
    return bool(Reader(data).uint() & _ACTIVE)

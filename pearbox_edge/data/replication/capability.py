"""The proof that both ends of a stream know a core's key, bound to that very stream (sheet 11)."""

from pearbox_edge.crypto import keyed_hash
from pearbox_edge.data.core import REPLICATE_INITIATOR, REPLICATE_RESPONDER
from pearbox_edge.ids import CoreKey


def capability(key: CoreKey, handshake_hash: bytes, *, is_initiator: bool) -> bytes:
    """What the side with this role sends to prove that it knows `key`: 32 bytes.

    handshake_hash: the 64 bytes that name the stream.
    Format: npm hypercore 11.39.5, `caps.replicate`. Vectors: 11-hypercore.json, capability.
    """
    tag = REPLICATE_INITIATOR if is_initiator else REPLICATE_RESPONDER
    return keyed_hash(handshake_hash, tag, key)

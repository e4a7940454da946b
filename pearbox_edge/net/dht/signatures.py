"""What announcements and stored values are signed over, and whether what comes back is true."""

from pearbox_edge.crypto import KeyPair, hash_bytes, namespace, sign, verify
from pearbox_edge.ids import NodeId, PublicKey
from pearbox_edge.wire import Address, Buffer, Writer

from .messages import Announcement, MutableValue, PeerRecord, encode_peer

_TAGS = namespace("hyperswarm/dht", 11)  # SPEC sheet 01
HANDSHAKE_TAG = _TAGS[0]
HOLEPUNCH_TAG = _TAGS[1]
ANNOUNCE_TAG = _TAGS[4]
UNANNOUNCE_TAG = _TAGS[5]
MUTABLE_TAG = _TAGS[6]


def target_for(public_key: PublicKey) -> bytes:
    """Where in the DHT a machine is known by its key: the 32-byte hash of it."""
    return hash_bytes(public_key)


def announce_signable(
    tag: bytes, target: bytes, token: bytes, node: NodeId, announcement: Announcement
) -> bytes:
    """The 64 bytes that an announcement (or its end, by `tag`) is signed over.

    token, node: what the storing node gave, and its id: the signature is of no use elsewhere.
    Format: npm hyperdht 6.34.0. Vectors: 05-hyperdht.json, signatures.
    """
    peer = b"" if announcement.peer is None else encode_peer(announcement.peer)
    return tag + hash_bytes(target, node, token, peer, announcement.refresh or b"")


def sign_announcement(
    tag: bytes,
    target: bytes,
    token: bytes,
    node: NodeId,
    key_pair: KeyPair,
    *,
    relay_addresses: tuple[Address, ...] = (),
    refresh: bytes | None = None,
    bump: int = 0,
) -> Announcement:
    """Say to one node that we are (or are not any more) to be listed."""
    peer = PeerRecord(key_pair.public_key, relay_addresses)
    unsigned = Announcement(peer, refresh)
    signature = sign(announce_signable(tag, target, token, node, unsigned), key_pair)
    return Announcement(peer, refresh, signature, bump)


def is_announcement_signed(
    tag: bytes, target: bytes, token: bytes, node: NodeId, announcement: Announcement
) -> bool:
    """Whether its peer signed an announcement for this node and this token."""
    peer, signature = announcement.peer, announcement.signature
    if peer is None or signature is None:
        return False
    signable = announce_signable(tag, target, token, node, announcement)
    return verify(signable, signature, peer.public_key)


def mutable_signable(seq: int, value: Buffer) -> bytes:
    """The 64 bytes that a value which may be replaced is signed over.

    Format: npm hyperdht 6.34.0. Vectors: 05-hyperdht.json, signatures.
    """
    return MUTABLE_TAG + hash_bytes(encode_signed(seq, value))


def encode_signed(seq: int, value: Buffer) -> bytes:
    """What is hashed of a value for its signature."""
    writer = Writer()
    writer.uint(seq)
    writer.buffer(value)
    return writer.finish()


def sign_mutable(seq: int, value: bytes, key_pair: KeyPair) -> MutableValue:
    """Sign a value under a sequence number, which must grow with every change."""
    return MutableValue(seq, value, sign(mutable_signable(seq, value), key_pair))


def is_mutable_signed(stored: MutableValue, public_key: PublicKey) -> bool:
    """Whether the owner of a key signed this value."""
    return verify(mutable_signable(stored.seq, stored.value), stored.signature, public_key)

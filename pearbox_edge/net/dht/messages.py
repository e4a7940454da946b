"""What the DHT's application commands carry: peers, announcements, values, passed-on messages."""

from dataclasses import dataclass
from enum import IntEnum

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.rpc import MAX_DATAGRAM
from pearbox_edge.wire import Address, Buffer, Reader, Writer, read_ipv4_address, write_ipv4_address

MAX_RELAYS = 3  # SPEC relay addresses that a storing node keeps of an announcement
MAX_PEERS = 20  # SPEC peers in one answer to a lookup
MAX_VALUE = 1000  # TUNING bytes of a stored value of ours: its messages stay below 1400 bytes

MAX_PASSED = 1536  # TUNING bytes of a passed-on message: it must fit in a datagram of ours, too

_MAX_ADDRESSES = MAX_DATAGRAM // 6  # more do not fit in a datagram
_MAX_RECORDS = MAX_DATAGRAM // 33

_HAS_PEER_ADDRESS = 1  # SPEC flags of a passed-on message
_HAS_RELAY_ADDRESS = 2
_HAS_PEER = 1  # SPEC flags of an announcement
_HAS_REFRESH = 2
_HAS_SIGNATURE = 4
_HAS_BUMP = 8
_HAS_VALUE = 1  # SPEC flag of a plugin's request


class Command(IntEnum):
    """Numbers of the application's commands. Format: npm hyperdht 6.34.0."""

    PEER_HANDSHAKE = 0
    PEER_HOLEPUNCH = 1
    FIND_PEER = 2
    LOOKUP = 3
    ANNOUNCE = 4
    UNANNOUNCE = 5
    MUTABLE_PUT = 6
    MUTABLE_GET = 7
    IMMUTABLE_PUT = 8
    IMMUTABLE_GET = 9
    PLUGIN = 10


class Firewall(IntEnum):
    """What a peer's firewall lets in, as far as the peer knows."""

    UNKNOWN = 0
    OPEN = 1
    CONSISTENT = 2
    """Only answers, and everybody sees it at the same address."""
    RANDOM = 3
    """Only answers, and everybody sees it at another port."""


class Mode(IntEnum):
    """Where a passed-on message is on its way."""

    FROM_CLIENT = 0
    FROM_SERVER = 1
    FROM_RELAY = 2
    FROM_SECOND_RELAY = 3
    REPLY = 4


NO_ERROR = 0  # SPEC errors in payloads, here and below
ABORTED = 1
VERSION_MISMATCH = 2
TRY_LATER = 3

SEQ_REUSED = 16  # SPEC errors of a reply
SEQ_TOO_LOW = 17


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A machine that may be dialled, and the nodes that pass messages on to it."""

    public_key: PublicKey
    relay_addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Announcement:
    """A wish to be listed under a topic, or not to be any more."""

    peer: PeerRecord | None
    refresh: bytes | None = None
    """32 bytes whose preimage will repeat the announcement."""
    signature: bytes | None = None
    bump: int = 0
    """Milliseconds since 1970: when this topic last had something new; 0 for none."""


@dataclass(frozen=True, slots=True)
class LookupAnswer:
    """Who is listed under a topic."""

    peers: tuple[PeerRecord, ...]
    bump: int = 0


@dataclass(frozen=True, slots=True)
class MutableValue:
    """A value that its owner may replace: the one with the highest `seq` counts."""

    seq: int
    value: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class PassedHandshake:
    """One of the two Noise messages on its way through relays."""

    mode: int
    noise: bytes
    peer_address: Address | None = None
    relay_address: Address | None = None


@dataclass(frozen=True, slots=True)
class PassedHolepunch:
    """A sealed hole punch message on its way through a relay; `id` is the server's number."""

    mode: int
    id: int
    box: bytes
    peer_address: Address | None = None


@dataclass(frozen=True, slots=True)
class PluginRequest:
    """A question for an extension of the storing node."""

    plugin: str
    version: int
    command: int
    value: bytes | None = None


# -- records --------------------------------------------------------------------------------------


def write_addresses(writer: Writer, addresses: tuple[Address, ...]) -> None:
    """Write a count and so many IPv4 addresses."""
    writer.array(addresses, write_ipv4_address)


def read_addresses(reader: Reader) -> tuple[Address, ...]:
    """Read a count and so many IPv4 addresses."""
    return tuple(reader.array(read_ipv4_address, _MAX_ADDRESSES))


def encode_peer(peer: PeerRecord) -> bytes:
    """One record. Format: npm hyperdht 6.34.0. Vectors: 05-hyperdht.json, encodings."""
    writer = Writer()
    _write_peer(writer, peer)
    return writer.finish()


def decode_peer(data: Buffer) -> PeerRecord:
    """Read one record."""
    return _read_peer(Reader(data))


def encode_announcement(announcement: Announcement) -> bytes:
    """The value of ANNOUNCE and UNANNOUNCE. Format: npm hyperdht 6.34.0."""
    peer, refresh, signature = announcement.peer, announcement.refresh, announcement.signature
    writer = Writer()
    writer.uint(
        (_HAS_PEER if peer is not None else 0)
        | (_HAS_REFRESH if refresh is not None else 0)
        | (_HAS_SIGNATURE if signature is not None else 0)
        | (_HAS_BUMP if announcement.bump else 0)
    )
    if peer is not None:
        _write_peer(writer, peer)
    if refresh is not None:
        writer.fixed32(refresh)
    if signature is not None:
        writer.fixed64(signature)
    if announcement.bump:
        writer.uint(announcement.bump)
    return writer.finish()


def decode_announcement(data: Buffer) -> Announcement:
    """Read the value of ANNOUNCE and UNANNOUNCE; nothing is checked yet."""
    reader = Reader(data)
    flags = reader.uint()
    return Announcement(
        _read_peer(reader) if flags & _HAS_PEER else None,
        reader.fixed32() if flags & _HAS_REFRESH else None,
        reader.fixed64() if flags & _HAS_SIGNATURE else None,
        reader.uint() if flags & _HAS_BUMP else 0,
    )


def encode_lookup_answer(records: list[bytes], bump: int) -> bytes:
    """The answer to LOOKUP, of records as they were stored. Format: npm hyperdht 6.34.0."""
    writer = Writer()
    writer.array(records, Writer.raw)
    writer.uint(bump)
    return writer.finish()


def decode_lookup_answer(data: Buffer) -> LookupAnswer:
    """Read the answer to LOOKUP; a missing bump is 0."""
    reader = Reader(data)
    peers = tuple(reader.array(_read_peer, _MAX_RECORDS))
    return LookupAnswer(peers, reader.uint() if reader.remaining else 0)


def encode_mutable(stored: MutableValue) -> bytes:
    """The answer to MUTABLE_GET. Format: npm hyperdht 6.34.0."""
    writer = Writer()
    _write_mutable(writer, stored)
    return writer.finish()


def decode_mutable(data: Buffer) -> MutableValue:
    """Read the answer to MUTABLE_GET; the signature is not checked yet."""
    return _read_mutable(Reader(data))


def encode_mutable_put(public_key: PublicKey, stored: MutableValue) -> bytes:
    """The value of MUTABLE_PUT. Format: npm hyperdht 6.34.0."""
    writer = Writer()
    writer.fixed32(public_key)
    _write_mutable(writer, stored)
    return writer.finish()


def decode_mutable_put(data: Buffer) -> tuple[PublicKey, MutableValue]:
    """Read the value of MUTABLE_PUT; the signature is not checked yet."""
    reader = Reader(data)
    return PublicKey(reader.fixed32()), _read_mutable(reader)


def encode_seq(seq: int) -> bytes:
    """The value of MUTABLE_GET: the lowest sequence number that is of interest."""
    writer = Writer()
    writer.uint(seq)
    return writer.finish()


def decode_seq(data: Buffer) -> int:
    """Read the value of MUTABLE_GET."""
    return Reader(data).uint()


def encode_plugin(request: PluginRequest) -> bytes:
    """The value of PLUGIN. Format: npm hyperdht 6.34.0."""
    writer = Writer()
    writer.string(request.plugin)
    writer.uint(request.version)
    writer.uint(request.command)
    writer.uint(0 if request.value is None else _HAS_VALUE)
    if request.value is not None:
        writer.buffer(request.value)
    return writer.finish()


def decode_plugin(data: Buffer) -> PluginRequest:
    """Read the value of PLUGIN."""
    reader = Reader(data)
    plugin, version, command = reader.string(), reader.uint(), reader.uint()
    return PluginRequest(
        plugin, version, command, bytes(reader.buffer()) if reader.uint() & _HAS_VALUE else None
    )


# -- passed-on messages ---------------------------------------------------------------------------


def encode_handshake(message: PassedHandshake) -> bytes:
    """The value of PEER_HANDSHAKE. Format: npm hyperdht 6.34.0."""
    writer = Writer()
    writer.uint(
        (_HAS_PEER_ADDRESS if message.peer_address is not None else 0)
        | (_HAS_RELAY_ADDRESS if message.relay_address is not None else 0)
    )
    writer.uint(message.mode)
    writer.buffer(message.noise)
    if message.peer_address is not None:
        write_ipv4_address(writer, message.peer_address)
    if message.relay_address is not None:
        write_ipv4_address(writer, message.relay_address)
    return writer.finish()


def decode_handshake(data: Buffer) -> PassedHandshake:
    """Read the value of PEER_HANDSHAKE."""
    reader = Reader(data)
    flags = reader.uint()
    return PassedHandshake(
        reader.uint(),
        _read_passed(reader),
        read_ipv4_address(reader) if flags & _HAS_PEER_ADDRESS else None,
        read_ipv4_address(reader) if flags & _HAS_RELAY_ADDRESS else None,
    )


def encode_holepunch(message: PassedHolepunch) -> bytes:
    """The value of PEER_HOLEPUNCH. Format: npm hyperdht 6.34.0."""
    writer = Writer()
    writer.uint(_HAS_PEER_ADDRESS if message.peer_address is not None else 0)
    writer.uint(message.mode)
    writer.uint(message.id)
    writer.buffer(message.box)
    if message.peer_address is not None:
        write_ipv4_address(writer, message.peer_address)
    return writer.finish()


def decode_holepunch(data: Buffer) -> PassedHolepunch:
    """Read the value of PEER_HOLEPUNCH."""
    reader = Reader(data)
    flags = reader.uint()
    return PassedHolepunch(
        reader.uint(),
        reader.uint(),
        _read_passed(reader),
        read_ipv4_address(reader) if flags & _HAS_PEER_ADDRESS else None,
    )


# -- parts ----------------------------------------------------------------------------------------


def _read_passed(reader: Reader) -> bytes:
    passed = bytes(reader.buffer())
    if len(passed) > MAX_PASSED:
        raise PeerError(f"a message of {len(passed)} bytes to pass on", code="OUT_OF_BOUNDS")
    return passed


def _write_peer(writer: Writer, peer: PeerRecord) -> None:
    writer.fixed32(peer.public_key)
    write_addresses(writer, peer.relay_addresses)


def _read_peer(reader: Reader) -> PeerRecord:
    return PeerRecord(PublicKey(reader.fixed32()), read_addresses(reader))


def _write_mutable(writer: Writer, stored: MutableValue) -> None:
    writer.uint(stored.seq)
    writer.buffer(stored.value)
    writer.fixed64(stored.signature)


def _read_mutable(reader: Reader) -> MutableValue:
    return MutableValue(reader.uint(), bytes(reader.buffer()), reader.fixed64())


def target_of(target: bytes | None) -> bytes:
    """The target of a question that must have one; PeerError without."""
    if target is None:
        raise PeerError("a question about nothing")
    return target


def check_value(value: Buffer) -> None:
    """UsageError for a value that storing nodes may not be able to pass on."""
    if len(value) > MAX_VALUE:
        raise UsageError(f"a value of {len(value)} bytes; the DHT keeps up to {MAX_VALUE}")

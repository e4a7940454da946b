"""What is inside: the payloads of the two Noise messages and of hole punch messages."""

from dataclasses import dataclass

from pearbox_edge.ids import PublicKey
from pearbox_edge.wire import (
    Address,
    Buffer,
    Reader,
    Writer,
    read_ipv4_address,
    read_ipv6_address,
    write_ipv4_address,
    write_ipv6_address,
)

from .messages import NO_ERROR, Firewall, read_addresses, write_addresses

VERSION = 1  # SPEC of the payload and of each of its parts

_MAX_ITEMS = 128  # TUNING addresses or relays in one payload

_HOLEPUNCH = 1  # SPEC flags of a Noise payload
_ADDRESSES4 = 2
_ADDRESSES6 = 4
_UDX = 8
_SECRET_STREAM = 16
_RELAY_THROUGH = 32
_RELAY_ADDRESSES = 64

_CONNECTED = 1  # SPEC flags of a hole punch payload
_PUNCHING = 2
_ADDRESSES = 4
_REMOTE_ADDRESS = 8
_TOKEN = 16
_REMOTE_TOKEN = 32

_REUSABLE_SOCKET = 1  # SPEC feature of UDX


@dataclass(frozen=True, slots=True)
class RelayInfo:
    """A node that passes messages on, and the server's address as that node sees it."""

    relay_address: Address
    peer_address: Address


@dataclass(frozen=True, slots=True)
class HolepunchInfo:
    """How to talk to a server about punching: its number for this attempt, and its relays."""

    id: int
    relays: tuple[RelayInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class UdxInfo:
    """The stream that the sender of the payload waits on."""

    id: int
    seq: int = 0
    reusable_socket: bool = False
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class RelayThrough:
    """A blind relay to meet at, and the token to be paired by."""

    public_key: PublicKey
    token: bytes
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class NoisePayload:
    """What a client and a server tell each other in the handshake."""

    error: int = NO_ERROR
    firewall: int = Firewall.UNKNOWN
    holepunch: HolepunchInfo | None = None
    addresses4: tuple[Address, ...] = ()
    addresses6: tuple[Address, ...] = ()
    udx: UdxInfo | None = None
    secret_stream: int | None = None
    """Its version."""
    relay_through: RelayThrough | None = None
    relay_addresses: tuple[Address, ...] | None = None
    version: int = VERSION
    """With any other version nothing else was read."""


@dataclass(frozen=True, slots=True)
class HolepunchPayload:
    """What a client and a server tell each other while they punch."""

    error: int = NO_ERROR
    firewall: int = Firewall.UNKNOWN
    round: int = 0
    connected: bool = False
    punching: bool = False
    addresses: tuple[Address, ...] | None = None
    """The sender's own, if it knows them."""
    remote_address: Address | None = None
    """Where the sender has already sent a byte to."""
    token: bytes | None = None
    """To be returned by whoever receives at the address that the sender takes the other's for."""
    remote_token: bytes | None = None
    """The other's, returned."""


def encode_noise_payload(payload: NoisePayload) -> bytes:
    """The text inside a Noise message. Format: npm hyperdht 6.34.0. Vectors: 05, encodings."""
    holepunch, udx, relay_through = payload.holepunch, payload.udx, payload.relay_through
    writer = Writer()
    writer.uint(VERSION)
    writer.uint(
        (_HOLEPUNCH if holepunch is not None else 0)
        | (_ADDRESSES4 if payload.addresses4 else 0)
        | (_ADDRESSES6 if payload.addresses6 else 0)
        | (_UDX if udx is not None else 0)
        | (_SECRET_STREAM if payload.secret_stream is not None else 0)
        | (_RELAY_THROUGH if relay_through is not None else 0)
        | (_RELAY_ADDRESSES if payload.relay_addresses is not None else 0)
    )
    writer.uint(payload.error)
    writer.uint(payload.firewall)
    if holepunch is not None:
        writer.uint(holepunch.id)
        writer.array(holepunch.relays, _write_relay)
    if payload.addresses4:
        write_addresses(writer, payload.addresses4)
    if payload.addresses6:
        writer.array(payload.addresses6, write_ipv6_address)
    if udx is not None:
        writer.uint(udx.version)
        writer.uint(_REUSABLE_SOCKET if udx.reusable_socket else 0)
        writer.uint(udx.id)
        writer.uint(udx.seq)
    if payload.secret_stream is not None:
        writer.uint(payload.secret_stream)
    if relay_through is not None:
        writer.uint(relay_through.version)
        writer.uint(0)
        writer.fixed32(relay_through.public_key)
        writer.fixed32(relay_through.token)
    if payload.relay_addresses is not None:
        write_addresses(writer, payload.relay_addresses)
    return writer.finish()


def decode_noise_payload(data: Buffer) -> NoisePayload:
    """Read the text inside a Noise message; of another version, its number alone."""
    reader = Reader(data)
    version = reader.uint()
    if version != VERSION:
        return NoisePayload(version=version)
    flags = reader.uint()
    return NoisePayload(
        reader.uint(),
        reader.uint(),
        _read_holepunch(reader) if flags & _HOLEPUNCH else None,
        read_addresses(reader) if flags & _ADDRESSES4 else (),
        tuple(reader.array(read_ipv6_address, _MAX_ITEMS)) if flags & _ADDRESSES6 else (),
        _read_udx(reader) if flags & _UDX else None,
        reader.uint() if flags & _SECRET_STREAM else None,
        _read_relay_through(reader) if flags & _RELAY_THROUGH else None,
        read_addresses(reader) if flags & _RELAY_ADDRESSES else None,
    )


def encode_holepunch_payload(payload: HolepunchPayload) -> bytes:
    """The text inside a hole punch box. Format: npm hyperdht 6.34.0. Vectors: 05, encodings."""
    writer = Writer()
    writer.uint(
        (_CONNECTED if payload.connected else 0)
        | (_PUNCHING if payload.punching else 0)
        | (_ADDRESSES if payload.addresses is not None else 0)
        | (_REMOTE_ADDRESS if payload.remote_address is not None else 0)
        | (_TOKEN if payload.token is not None else 0)
        | (_REMOTE_TOKEN if payload.remote_token is not None else 0)
    )
    writer.uint(payload.error)
    writer.uint(payload.firewall)
    writer.uint(payload.round)
    if payload.addresses is not None:
        write_addresses(writer, payload.addresses)
    if payload.remote_address is not None:
        write_ipv4_address(writer, payload.remote_address)
    if payload.token is not None:
        writer.fixed32(payload.token)
    if payload.remote_token is not None:
        writer.fixed32(payload.remote_token)
    return writer.finish()


def decode_holepunch_payload(data: Buffer) -> HolepunchPayload:
    """Read the text inside a hole punch box."""
    reader = Reader(data)
    flags = reader.uint()
    return HolepunchPayload(
        reader.uint(),
        reader.uint(),
        reader.uint(),
        bool(flags & _CONNECTED),
        bool(flags & _PUNCHING),
        read_addresses(reader) if flags & _ADDRESSES else None,
        read_ipv4_address(reader) if flags & _REMOTE_ADDRESS else None,
        reader.fixed32() if flags & _TOKEN else None,
        reader.fixed32() if flags & _REMOTE_TOKEN else None,
    )


def _write_relay(writer: Writer, relay: RelayInfo) -> None:
    write_ipv4_address(writer, relay.relay_address)
    write_ipv4_address(writer, relay.peer_address)


def _read_relay(reader: Reader) -> RelayInfo:
    return RelayInfo(read_ipv4_address(reader), read_ipv4_address(reader))


def _read_holepunch(reader: Reader) -> HolepunchInfo:
    return HolepunchInfo(reader.uint(), tuple(reader.array(_read_relay, _MAX_ITEMS)))


def _read_udx(reader: Reader) -> UdxInfo:
    version, features = reader.uint(), reader.uint()
    return UdxInfo(reader.uint(), reader.uint(), bool(features & _REUSABLE_SOCKET), version)


def _read_relay_through(reader: Reader) -> RelayThrough:
    version = reader.uint()
    reader.uint()
    return RelayThrough(PublicKey(reader.fixed32()), reader.fixed32(), version)

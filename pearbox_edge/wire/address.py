"""Internet addresses on the wire (compact-encoding 3.5.2, hyperdht-address 1.1.1)."""

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from pearbox_edge.errors import UsageError
from pearbox_edge.ids import PublicKey

from .buffers import Buffer, invalid
from .reader import Reader
from .writer import Writer

_HAS_NODES = 1  # SPEC sheet 01: flag of the dialable address record


class Address(NamedTuple):
    """Where a machine listens: an IP address as text, and a port."""

    host: str
    port: int


def read_ipv4(reader: Reader) -> str:
    """Read four bytes as dotted text."""
    return str(IPv4Address(reader.fixed(4)))


def write_ipv4(writer: Writer, host: str) -> None:
    """Write dotted text as four bytes; UsageError if it is no IPv4 address."""
    try:
        writer.raw(IPv4Address(host).packed)
    except AddressValueError as error:
        raise UsageError(f"{host!r} is not an IPv4 address") from error


def read_ipv6(reader: Reader) -> str:
    """Read 16 bytes as upstream writes them: eight groups, no `::`, no leading zeros."""
    data = reader.fixed(16)
    return ":".join(f"{data[i] << 8 | data[i + 1]:x}" for i in range(0, 16, 2))


def write_ipv6(writer: Writer, host: str) -> None:
    """Write IPv6 text as 16 bytes; UsageError if it is no IPv6 address."""
    try:
        address = IPv6Address(host)
    except AddressValueError as error:
        raise UsageError(f"{host!r} is not an IPv6 address") from error
    writer.raw(address.packed)


def read_ip(reader: Reader) -> str:
    """Read a family byte (4 or 6) and an address of it; PeerError for other families."""
    family = reader.uint8()
    if family == 4:
        return read_ipv4(reader)
    if family == 6:
        return read_ipv6(reader)
    raise invalid(f"address family {family}")


def write_ip(writer: Writer, host: str) -> None:
    """Write an address of either family with the family byte before it."""
    if ":" in host:
        writer.uint8(6)
        write_ipv6(writer, host)
    else:
        writer.uint8(4)
        write_ipv4(writer, host)


def read_ipv4_address(reader: Reader) -> Address:
    """Read an IPv4 address and a port: 6 bytes."""
    return Address(read_ipv4(reader), reader.uint16())


def write_ipv4_address(writer: Writer, address: Address) -> None:
    """Write an IPv4 address and a port: 6 bytes."""
    write_ipv4(writer, address.host)
    writer.uint16(address.port)


def read_ipv6_address(reader: Reader) -> Address:
    """Read an IPv6 address and a port: 18 bytes."""
    return Address(read_ipv6(reader), reader.uint16())


def write_ipv6_address(writer: Writer, address: Address) -> None:
    """Write an IPv6 address and a port: 18 bytes."""
    write_ipv6(writer, address.host)
    writer.uint16(address.port)


def read_ip_address(reader: Reader) -> Address:
    """Read a family byte, an address of it and a port."""
    return Address(read_ip(reader), reader.uint16())


def write_ip_address(writer: Writer, address: Address) -> None:
    """Write a family byte, an address and a port."""
    write_ip(writer, address.host)
    writer.uint16(address.port)


class DialableKey(NamedTuple):
    """A machine's public key and the DHT nodes that know it; None if no nodes were told."""

    public_key: PublicKey
    nodes: tuple[Address, ...] | None = None


def read_dialable_key(data: Buffer) -> DialableKey:
    """Read a dialable address record; a bare key of 32 bytes is one too."""
    reader = Reader(data)
    public_key = PublicKey(reader.fixed32())
    flags = reader.uint() if reader.remaining else 0
    nodes = tuple(reader.array(read_ipv4_address)) if flags & _HAS_NODES else None
    return DialableKey(public_key, nodes)


def write_dialable_key(value: DialableKey) -> bytes:
    """Write a dialable address record."""
    writer = Writer()
    writer.fixed32(value.public_key)
    writer.uint(0 if value.nodes is None else _HAS_NODES)
    if value.nodes is not None:
        writer.array(value.nodes, write_ipv4_address)
    return writer.finish()

"""The two datagrams of the DHT, request and reply, and the node ids that addresses give."""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from pearbox_edge.crypto import hash_bytes
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import NodeId
from pearbox_edge.wire import MAX_UINT, Address, Buffer, Reader, Writer

REQUEST = 0x03  # SPEC first byte: version 3 in the low nibble, kind in the high one
RESPONSE = 0x13  # SPEC

PING = 0  # SPEC internal commands, here and below
PING_NAT = 1
FIND_NODE = 2
DOWN_HINT = 3
DELAYED_PING = 4

OK = 0  # SPEC errors of a reply; 16 and above belong to the application
UNKNOWN_COMMAND = 1
INVALID_TOKEN = 2

MAX_DATAGRAM = 2048  # SPEC sheet 02: longer ones are cut by their sockets
ADDRESS_SIZE = 6  # SPEC IPv4 address and port

_HAS_ID = 1  # SPEC flags of both kinds
_HAS_TOKEN = 2
_IS_INTERNAL = 4  # of a request
_HAS_CLOSER = 4  # of a reply
_HAS_TARGET = 8  # of a request
_HAS_ERROR = 8  # of a reply
_HAS_VALUE = 16

_HEAD = Struct("<BBH4sH")  # kind, flags, tid, host, port
_ADDRESS = Struct("<4sH")
_LONG_FLAGS = 0xFD
_KNOWN_ADDRESSES = 4096  # TUNING addresses whose forms are kept; 3 MiB at most


class Request(NamedTuple):
    """A question, as on the wire."""

    tid: int
    to: Address
    """Where its sender sent it."""
    id: NodeId | None
    """What the sender says its id is: to be compared with that of its address."""
    token: bytes | None
    internal: bool
    """Whether `command` is one of the DHT's own (PING and so on)."""
    command: int
    target: bytes | None
    value: bytes | None


class Response(NamedTuple):
    """An answer, as on the wire."""

    tid: int
    to: Address
    """The asker, as the answering node saw it."""
    id: NodeId | None
    token: bytes | None
    closer: tuple[Address, ...]
    error: int
    value: bytes | None


@lru_cache(_KNOWN_ADDRESSES)
def pack_address(address: Address) -> bytes:
    """Six bytes: IPv4 address, port (little endian). UsageError for any other address."""
    try:
        host = bytes(map(int, address.host.split(".")))
        if len(host) == 4:
            return _ADDRESS.pack(host, address.port)
    except (ValueError, StructError):
        pass
    raise UsageError(f"{address.host!r}, port {address.port} is no IPv4 address")


@lru_cache(_KNOWN_ADDRESSES)
def node_id(address: Address) -> NodeId:
    """The id of the node at an address: BLAKE2b-256 of its six bytes."""
    return NodeId(hash_bytes(pack_address(address)))


def unpack_address(data: Buffer) -> Address:
    """Six bytes as an address."""
    if len(data) != ADDRESS_SIZE:
        raise PeerError(f"an address of {len(data)} bytes", code="OUT_OF_BOUNDS")
    host, port = _ADDRESS.unpack(data)
    return _address(host, port)


def encode_request(request: Request) -> bytes:
    """One datagram. Format: npm dht-rpc 6.27.0. Vectors: 04-dht-rpc.json, requests."""
    flags = (
        (_HAS_ID if request.id is not None else 0)
        | (_HAS_TOKEN if request.token is not None else 0)
        | (_IS_INTERNAL if request.internal else 0)
        | (_HAS_TARGET if request.target is not None else 0)
        | (_HAS_VALUE if request.value is not None else 0)
    )
    parts = [_head(REQUEST, flags, request.tid, request.to)]
    if request.id is not None:
        parts.append(_thirty_two(request.id))
    if request.token is not None:
        parts.append(_thirty_two(request.token))
    parts.append(_uint(request.command))
    if request.target is not None:
        parts.append(_thirty_two(request.target))
    if request.value is not None:
        parts += (_uint(len(request.value)), request.value)
    return _datagram(parts)


def encode_response(response: Response) -> bytes:
    """One datagram. Format: npm dht-rpc 6.27.0. Vectors: 04-dht-rpc.json, replies."""
    closer: Sequence[Address] = response.closer
    flags = (
        (_HAS_ID if response.id is not None else 0)
        | (_HAS_TOKEN if response.token is not None else 0)
        | (_HAS_CLOSER if closer else 0)
        | (_HAS_ERROR if response.error else 0)
        | (_HAS_VALUE if response.value is not None else 0)
    )
    parts = [_head(RESPONSE, flags, response.tid, response.to)]
    if response.id is not None:
        parts.append(_thirty_two(response.id))
    if response.token is not None:
        parts.append(_thirty_two(response.token))
    if closer:
        parts.append(_uint(len(closer)))
        parts += map(pack_address, closer)
    if response.error:
        parts.append(_uint(response.error))
    if response.value is not None:
        parts += (_uint(len(response.value)), response.value)
    return _datagram(parts)


def decode(datagram: Buffer) -> Request | Response:
    """Read either kind. Bytes left over are ignored; PeerError for anything else.

    Format: npm dht-rpc 6.27.0. Vectors: 04-dht-rpc.json.
    """
    size = len(datagram)
    if not _HEAD.size <= size <= MAX_DATAGRAM:
        raise PeerError(f"a DHT message of {size} bytes", code="OUT_OF_BOUNDS")
    kind, flags, tid, host, port = _HEAD.unpack_from(datagram)
    if kind not in (REQUEST, RESPONSE):
        raise PeerError(f"a message of kind {kind}")
    reader = Reader(datagram, _HEAD.size)
    if flags >= _LONG_FLAGS:
        reader = Reader(datagram, 1)
        flags = reader.uint()
        tid = reader.uint16()
        host = reader.fixed(4)
        port = reader.uint16()
    to = _address(host, port)
    id_ = NodeId(reader.fixed32()) if flags & _HAS_ID else None
    token = reader.fixed32() if flags & _HAS_TOKEN else None
    if kind == REQUEST:
        command = reader.uint()
        target = reader.fixed32() if flags & _HAS_TARGET else None
        value = bytes(reader.buffer()) if flags & _HAS_VALUE else None
        internal = flags & _IS_INTERNAL != 0
        return Request(tid, to, id_, token, internal, command, target, value)
    closer = _read_addresses(reader) if flags & _HAS_CLOSER else ()
    error = reader.uint() if flags & _HAS_ERROR else OK
    value = bytes(reader.buffer()) if flags & _HAS_VALUE else None
    return Response(tid, to, id_, token, closer, error, value)


def _read_addresses(reader: Reader) -> tuple[Address, ...]:
    count = reader.count(MAX_DATAGRAM // ADDRESS_SIZE)
    data = reader.fixed(count * ADDRESS_SIZE)
    return tuple(_address(host, port) for host, port in _ADDRESS.iter_unpack(data))


@lru_cache(_KNOWN_ADDRESSES)
def _address(host: bytes, port: int) -> Address:
    return Address(f"{host[0]}.{host[1]}.{host[2]}.{host[3]}", port)


def _head(kind: int, flags: int, tid: int, to: Address) -> bytes:
    if not 0 <= tid <= 0xFFFF:
        raise UsageError(f"{tid} is no transaction id of 16 bits")
    return bytes((kind, flags, tid & 0xFF, tid >> 8)) + pack_address(to)


def _thirty_two(value: bytes) -> bytes:
    if len(value) != 32:
        raise UsageError(f"{len(value)} bytes given where 32 are needed")
    return value


def _uint(value: int) -> bytes:
    if 0 <= value < _LONG_FLAGS:
        return bytes((value,))
    if not 0 <= value <= MAX_UINT:
        raise UsageError(f"{value} is not from 0 to 2^53-1")
    writer = Writer()
    writer.uint(value)
    return writer.finish()


def _datagram(parts: list[bytes]) -> bytes:
    data = b"".join(parts)
    if len(data) > MAX_DATAGRAM:
        raise UsageError(f"a message of {len(data)} bytes; {MAX_DATAGRAM} are the most")
    return data

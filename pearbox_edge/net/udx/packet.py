"""UDX datagrams: the 20-byte header, selective acks, sequence numbers that wrap."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import Buffer

MAGIC = 255  # SPEC sheet 02: tells our datagrams from those of the DHT
VERSION = 1  # SPEC
HEADER_SIZE = 20  # SPEC

DATA = 1  # SPEC flags, here and below; none is a plain ack
END = 2
SACK = 4
MESSAGE = 8
DESTROY = 16
HEARTBEAT = 32

MAX_PADDING = 255  # SPEC what the data offset can say
MAX_SACKS = 50  # SPEC most blocks that are sent in one ack
SEQUENCES = 1 << 32  # SPEC
_HALF = SEQUENCES >> 1
_MASK = SEQUENCES - 1

_WORDS = Struct("<5I")  # magic + version + flags + offset, id, window, seq, ack
_PAIR = Struct("<2I")
_MAGIC_WORD = MAGIC | VERSION << 8
ID_OFFSET = 4  # SPEC where the receiver's id lies


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram, read. `seq` and `ack` are the 32 bits on the wire."""

    flags: int
    id: int
    """The receiver's stream id."""
    window: int
    """Bytes that the sender will take at most."""
    seq: int
    ack: int
    padding: int = 0
    sacks: tuple[tuple[int, int], ...] = ()
    """[start, end) of what arrived out of order."""
    payload: Buffer = b""


def is_udx(data: Buffer) -> bool:
    """Whether these bytes are a stream's packet (if its id is known); else they are a message."""
    return len(data) >= HEADER_SIZE and data[0] == MAGIC and data[1] == VERSION


def difference(a: int, b: int) -> int:
    """How far `a` is ahead of `b`: signed 32 bits, for they wrap."""
    return ((a - b + _HALF) & _MASK) - _HALF


def decode_packet(data: Buffer) -> Packet:
    """Read one datagram. Raises PeerError if it is not UDX, or its offset points past its end."""
    if not is_udx(data):
        raise PeerError("not a UDX packet")
    view = memoryview(data)
    word, id_, window, seq, ack = _WORDS.unpack_from(view)
    flags, padding = word >> 16 & 0xFF, word >> 24
    body = view[HEADER_SIZE:]
    if padding > len(body):
        raise PeerError("the data offset points past the packet")
    sacks: tuple[tuple[int, int], ...] = ()
    payload = body[padding:]
    if flags & SACK:
        sacks = read_sacks(body, padding)
        payload = body[padding:] if padding > 0 else body[len(body) :]
    return Packet(flags, id_, window, seq, ack, padding, sacks, payload)


def encode_packet(packet: Packet) -> bytes:
    """The datagram. With sacks and a payload, the padding must be the size of the blocks."""
    blocks = write_sacks(packet.sacks)
    if blocks and packet.padding not in (0, len(blocks)):
        raise UsageError("the data offset must cover the sack blocks")
    head = header(packet.flags, packet.id, packet.window, packet.seq, packet.ack, packet.padding)
    return b"".join((head, blocks or bytes(packet.padding), packet.payload))


def header(flags: int, id_: int, window: int, seq: int, ack: int, padding: int = 0) -> bytes:
    """The 20 bytes before everything else; seq and ack may be given unwrapped."""
    word = _MAGIC_WORD | flags << 16 | padding << 24
    return _WORDS.pack(word, id_, window, seq & _MASK, ack & _MASK)


def headers(flags: int, id_: int, window: int, first: int, end: int, ack: int) -> list[bytes]:
    """The headers of packets `first` to `end` that differ only in their seq."""
    word = _MAGIC_WORD | flags << 16
    ack &= _MASK
    pack = _WORDS.pack
    if first >> 32 == (end - 1) >> 32:
        first &= _MASK
        end = ((end - 1) & _MASK) + 1
        return [pack(word, id_, window, seq, ack) for seq in range(first, end)]
    return [pack(word, id_, window, seq & _MASK, ack) for seq in range(first, end)]


def read_sacks(body: memoryview, padding: int) -> tuple[tuple[int, int], ...]:
    """The blocks that follow a header with the flag SACK; a cut last one is left out."""
    size = padding if 0 < padding < len(body) else len(body)
    return tuple(_PAIR.iter_unpack(body[: size - size % _PAIR.size]))


def write_sacks(blocks: Sequence[tuple[int, int]]) -> bytes:
    """The bytes of up to 50 blocks, which may be given unwrapped."""
    return b"".join([_PAIR.pack(start & _MASK, end & _MASK) for start, end in blocks[:MAX_SACKS]])


@functools.lru_cache(maxsize=256)
def layout(size: int) -> Struct:
    """Reads the five words of each of many packets of `size` bytes, one behind the other."""
    return Struct(f"<5I{size - HEADER_SIZE}x")


def is_uniform(view: memoryview, size: int) -> bool:
    """Whether all packets of one received run are UDX and for one stream."""
    count = -(-len(view) // size)
    if len(view) - (count - 1) * size < HEADER_SIZE:
        return False
    for offset in (0, 1, 4, 5, 6, 7):
        if bytes(view[offset::size]) != view[offset : offset + 1].tobytes() * count:
            return False
    return view[0] == MAGIC and view[1] == VERSION


def readdress(view: memoryview, size: int, id_: int) -> None:
    """Put another receiver's id into all packets of a run, in place: what a relay does."""
    count = -(-len(view) // size)
    for offset, byte in enumerate(id_.to_bytes(4, "little"), start=ID_OFFSET):
        view[offset::size] = bytes([byte]) * count

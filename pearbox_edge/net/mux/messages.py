"""Protomux frames as bytes: what is in one, and how several become a batch."""

from dataclasses import dataclass

from pearbox_edge.errors import PeerError
from pearbox_edge.net.stream import Message
from pearbox_edge.wire import Buffer, Reader, Writer

CONTROL = 0  # SPEC sheet 07: the channel number that is no channel
BATCH = 0  # SPEC control types
OPEN = 1  # SPEC
REJECT = 2  # SPEC
CLOSE = 3  # SPEC

MAX_NAME = 1024  # TUNING longest protocol name or channel id; real ones have 32 bytes

BATCH_SIZE = 64 << 10  # TUNING a batch ends at about this size, so that the receiver can begin
ALONE_SIZE = 16 << 10  # TUNING frames from this size on are no part of a batch

_ONE_BYTE = 0xFC  # SPEC sheet 01: the largest number that is its own encoding

Item = tuple[int, int, memoryview]
"""Channel, type, body. In channel 0 the types are those of control frames."""

Outgoing = tuple[int, bytes, Message, int]
"""Channel, encoded type, the body's parts, and their size: a frame that waits to be sent."""


@dataclass(frozen=True, slots=True)
class Open:
    """They open their channel number `channel` for (protocol, id)."""

    channel: int
    protocol: str
    id: bytes | None
    handshake: memoryview


def split_frame(frame: memoryview) -> list[Item]:
    """The items of one frame, batches taken apart. Raises PeerError if it breaks the format."""
    size = len(frame)
    if size >= 2:
        channel, kind = frame[0], frame[1]
        if 0 < channel <= _ONE_BYTE and kind <= _ONE_BYTE:
            return [(channel, kind, frame[2:])]
    elif size == 0:
        return []  # somebody's keep-alive
    reader = Reader(frame)
    channel, kind = reader.uint(), reader.uint()
    if channel == CONTROL and kind == BATCH:
        return _split_batch(frame, reader.start)
    return [(channel, kind, reader.raw())]


def _split_batch(frame: memoryview, start: int) -> list[Item]:
    reader = Reader(frame, start)
    channel = reader.uint()
    items: list[Item] = []
    while reader.remaining:
        item = reader.buffer()
        if not len(item):
            channel = reader.uint()
            continue
        if item[0] <= _ONE_BYTE:
            kind, body = item[0], item[1:]
        else:
            inner = Reader(item)
            kind, body = inner.uint(), inner.raw()
        if channel == CONTROL and kind == BATCH:
            # Nobody sends these, and their depth would have no bound.
            raise PeerError("a batch within a batch")
        items.append((channel, kind, body))
    return items


def decode_open(body: memoryview) -> Open:
    """Read the body of an open. Raises PeerError if it breaks the format."""
    reader = Reader(body)
    channel = reader.uint()
    protocol = reader.string()
    id_ = reader.optional_buffer()
    if len(protocol) > MAX_NAME or (id_ is not None and len(id_) > MAX_NAME):
        raise PeerError(f"a channel name longer than {MAX_NAME} bytes")
    return Open(channel, protocol, id_, reader.raw())


def encode_open(channel: int, protocol: str, id_: bytes | None, handshake: Buffer) -> bytes:
    """The body of an open."""
    writer = Writer()
    writer.uint(channel)
    writer.string(protocol)
    writer.optional_buffer(id_)
    writer.raw(handshake)
    return writer.finish()


def decode_number(body: memoryview) -> int:
    """Read the body of a reject or close: the channel number."""
    return Reader(body).uint()


def encode_uint(value: int) -> bytes:
    """A `uint` of compact encoding."""
    if value <= _ONE_BYTE:
        return bytes((value,))
    if value <= 0xFFFF:
        return b"\xfd" + value.to_bytes(2, "little")
    if value <= 0xFFFFFFFF:
        return b"\xfe" + value.to_bytes(4, "little")
    return b"\xff" + value.to_bytes(8, "little")


def join_frames(waiting: list[Outgoing]) -> list[Message]:
    """Turn waiting frames into messages for the stream, in order.

    Big frames go alone, runs of small ones as batches of about BATCH_SIZE.
    """
    messages: list[Message] = []
    group: list[Outgoing] = []
    group_size = 0
    for frame in waiting:
        size = frame[3]
        if size >= ALONE_SIZE or group_size + size > BATCH_SIZE:
            if group:
                messages.append(_join_group(group))
                group, group_size = [], 0
            if size >= ALONE_SIZE:
                messages.append(_join_group([frame]))
                continue
        group.append(frame)
        group_size += size
    if group:
        messages.append(_join_group(group))
    return messages


def _join_group(group: list[Outgoing]) -> Message:
    if len(group) == 1:
        channel, kind, parts, _ = group[0]
        return (encode_uint(channel) + kind, *parts)
    current = group[0][0]
    pieces: list[Buffer] = [b"\0\0" + encode_uint(current)]
    for channel, kind, parts, size in group:
        head = encode_uint(len(kind) + size) + kind
        if channel != current:
            current = channel
            head = b"\0" + encode_uint(channel) + head
        pieces.append(head)
        pieces += parts
    return pieces

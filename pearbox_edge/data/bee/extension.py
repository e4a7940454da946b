"""The hint messages that sparse readers and their peers exchange (extension `hyperbee`).

They only speed things up: who asks is answered with block numbers worth fetching.
"""

from dataclasses import dataclass

from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer, protobuf

NAME = "hyperbee"  # SPEC sheet 13: the hypercore extension

# SPEC sheet 13: field numbers; the wire types that each number travels with.
_CACHE, _GET, _ITERATOR = 1, 2, 3
_VARINT, _BYTES = 0, 2

MAX_BLOCKS = 4096
"""TUNING: block numbers taken from one message; the reference sends batches of 128."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Blocks from `start` up to `end` worth fetching."""

    start: int
    end: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Get:
    """Somebody looks up `key` in `version`."""

    version: int
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Iterator:
    """Somebody walks a range of `version`; `checkpoint` is a flat list of (block, level, step)."""

    version: int
    gte: bytes | None = None
    gt: bytes | None = None
    lte: bytes | None = None
    lt: bytes | None = None
    limit: int = 0
    reverse: bool = False
    checkpoint: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Extension:
    """One message; usually one of the three is set."""

    cache: Cache | None = None
    get: Get | None = None
    iterator: Iterator | None = None


def encode_extension(message: Extension) -> bytes:
    """Write a message."""
    out = bytearray()
    if (cache := message.cache) is not None:
        inner = bytearray()
        _write_uint(inner, 1, cache.start)
        _write_uint(inner, 2, cache.end)
        _write_packed(inner, 3, cache.blocks)
        protobuf.write_field(out, _CACHE, inner)
    if (get := message.get) is not None:
        inner = bytearray()
        _write_uint(inner, 1, get.version)
        _write_bytes(inner, 2, get.key)
        protobuf.write_field(out, _GET, inner)
    if (iterator := message.iterator) is not None:
        inner = bytearray()
        _write_uint(inner, 1, iterator.version)
        bounds = (iterator.gte, iterator.gt, iterator.lte, iterator.lt)
        for number, bound in enumerate(bounds, 2):
            _write_bytes(inner, number, bound)
        _write_uint(inner, 6, iterator.limit)
        _write_uint(inner, 7, int(iterator.reverse))
        _write_packed(inner, 8, iterator.checkpoint)
        protobuf.write_field(out, _ITERATOR, inner)
    return bytes(out)


def decode_extension(data: Buffer) -> Extension:
    """Read a message; PeerError if it is broken or names too many blocks."""
    cache = get = iterator = None
    _, parts = _read(memoryview(data))
    for number, part in parts.items():
        numbers, texts = _read(part)
        if number == _CACHE:
            if 1 not in numbers or 2 not in numbers:
                raise PeerError("a cache message without start or end")
            cache = Cache(numbers[1], numbers[2], _unpack(texts.get(3)))
        elif number == _GET:
            get = Get(numbers.get(1, 0), _bytes(texts.get(2)))
        elif number == _ITERATOR:
            gte, gt, lte, lt = (_bytes(texts.get(bound)) for bound in range(2, 6))
            limit, reverse = numbers.get(6, 0), bool(numbers.get(7, 0))
            checkpoint = _unpack(texts.get(8))
            iterator = Iterator(numbers.get(1, 0), gte, gt, lte, lt, limit, reverse, checkpoint)
    return Extension(cache, get, iterator)


def _read(data: memoryview) -> tuple[dict[int, int], dict[int, memoryview]]:
    """All number fields and all length-delimited fields of a message; the last of each counts."""
    numbers: dict[int, int] = {}
    parts: dict[int, memoryview] = {}
    start = 0
    while start < len(data):
        tag, start = protobuf.read_varint(data, start)
        if tag & 7 == _VARINT:
            numbers[tag >> 3], start = protobuf.read_varint(data, start)
        elif tag & 7 == _BYTES:
            size, start = protobuf.read_varint(data, start)
            if size > len(data) - start:
                raise PeerError("a field longer than its message", code="OUT_OF_BOUNDS")
            parts[tag >> 3] = data[start : start + size]
            start += size
        else:
            raise PeerError(f"unexpected wire type {tag & 7}")
    return numbers, parts


def _unpack(data: memoryview | None) -> tuple[int, ...]:
    if data is None:
        return ()
    if len(data) > 8 * MAX_BLOCKS:
        raise PeerError(f"{len(data)} bytes of block numbers")
    return tuple(protobuf.unpack(data))


def _bytes(data: memoryview | None) -> bytes | None:
    return None if data is None else bytes(data)


def _write_uint(out: bytearray, number: int, value: int) -> None:
    protobuf.write_varint(out, number << 3 | _VARINT)
    protobuf.write_varint(out, value)


def _write_bytes(out: bytearray, number: int, data: bytes | None) -> None:
    if data is not None:
        protobuf.write_field(out, number, data)


def _write_packed(out: bytearray, number: int, values: tuple[int, ...]) -> None:
    if values:
        protobuf.write_field(out, number, protobuf.pack(values))

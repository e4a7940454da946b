"""Protocol buffer fields, as far as Hyperbee's blocks use them (npm protocol-buffers-encodings).

Hyperbee stores only length-delimited fields: bytes, text, nested messages and packed varints.
"""

from collections.abc import Iterable, Iterator

from pearbox_edge.errors import UsageError

from .buffers import MAX_UINT, Buffer, invalid, out_of_bounds, out_of_range

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5  # SPEC: protocol buffer wire types

_MAX_VARINT_SIZE = 10
"""SPEC: a 64-bit number takes ten bytes, and negative ones always do."""

MAX_PACKED_SIZE = 1 << 16
"""TUNING: bytes of one packed list; a tree node has at most 20 numbers, a stranger's could be 2 MiB
of Python integers with this cap."""


def read_varint(data: Buffer, start: int = 0) -> tuple[int, int]:
    """Read a number at `start`: (value, place after it).

    Raises PeerError if the data ends before the number does, or for a value above 2^53-1.
    """
    end = len(data)
    if start >= end:
        raise out_of_bounds(1, 0)
    byte = data[start]
    start += 1
    if byte < 0x80:
        return byte, start
    value = byte & 0x7F
    shift = 7
    while True:
        if start >= end:
            raise out_of_bounds(1, 0)
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift >= 7 * _MAX_VARINT_SIZE:
            raise out_of_range("a varint longer than ten bytes")
    if value > MAX_UINT:
        raise out_of_range(f"{value} is above 2^53-1")
    return value, start


def fields(data: Buffer) -> Iterator[tuple[int, memoryview]]:
    """Give each length-delimited field of a message, in order: (field number, its bytes).

    The views share the memory of `data`. Fields of other wire types are skipped, unknown numbers
    are the caller's to ignore. Raises PeerError for a field that passes the end, and for groups.
    """
    view = memoryview(data)
    end = len(view)
    start = 0
    while start < end:
        # Keys and lengths nearly always fit in one byte: no call for those.
        key = view[start]
        if key < 0x80:
            start += 1
        else:
            key, start = read_varint(view, start)
        if key & 7 != _BYTES:
            start = _skip(view, start, key & 7)
            continue
        if start < end and (size := view[start]) < 0x80:
            start += 1
        else:
            size, start = read_varint(view, start)
        stop = start + size
        if stop > end:
            raise out_of_bounds(size, end - start)
        yield key >> 3, view[start:stop]
        start = stop


def _skip(view: memoryview, start: int, wire_type: int) -> int:
    """Give the place after a field that nobody asked for."""
    if wire_type == _VARINT:
        # Not read as a number: a negative one is above what `read_varint` takes.
        for stop in range(start, min(start + _MAX_VARINT_SIZE, len(view))):
            if view[stop] < 0x80:
                return stop + 1
        raise out_of_bounds(1, 0)
    if wire_type not in {_FIXED_64, _FIXED_32}:
        raise invalid(f"protocol buffer wire type {wire_type}")
    size = 8 if wire_type == _FIXED_64 else 4
    if start + size > len(view):
        raise out_of_bounds(size, len(view) - start)
    return start + size


def unpack(data: Buffer) -> list[int]:
    """Read a packed list: the numbers that fill `data`.

    Raises PeerError for a broken number, one above 2^53-1, or over MAX_PACKED_SIZE bytes of them.
    """
    if len(data) > MAX_PACKED_SIZE:
        raise out_of_range(f"a packed list of {len(data)} bytes")
    values: list[int] = []
    add = values.append
    rest = iter(bytes(data))
    for value in rest:
        if value < 0x80:
            add(value)
            continue
        number = value & 0x7F
        shift = 7
        for byte in rest:
            if byte < 0x80:
                number |= byte << shift
                break
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift >= 7 * _MAX_VARINT_SIZE:
                raise out_of_range("a varint longer than ten bytes")
        else:
            raise out_of_bounds(1, 0)
        if number > MAX_UINT:
            raise out_of_range(f"{number} is above 2^53-1")
        add(number)
    return values


def write_varint(out: bytearray, value: int) -> None:
    """Append a number from 0 to 2^53-1."""
    if not 0 <= value <= MAX_UINT:
        raise UsageError(f"{value} is not from 0 to 2^53-1")
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def write_field(out: bytearray, number: int, data: Buffer) -> None:
    """Append a length-delimited field: bytes, UTF-8 text, a nested message or a packed list."""
    write_varint(out, number << 3 | _BYTES)
    write_varint(out, len(data))
    out += data


def pack(values: Iterable[int]) -> bytes:
    """Write numbers as a packed list, for `write_field` (which upstream leaves out if empty)."""
    out = bytearray()
    for value in values:
        if 0 <= value < 0x80:
            out.append(value)
        else:
            write_varint(out, value)
    return bytes(out)

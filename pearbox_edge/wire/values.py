"""Values of no fixed shape: `any`, JSON, records and rows of bits (compact-encoding 3.5.2)."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from pearbox_edge.errors import UsageError

from .buffers import MAX_ARRAY, Buffer, invalid, out_of_range
from .ints import read_float64, write_float64
from .reader import Reader
from .writer import Writer

K = TypeVar("K")
V = TypeVar("V")

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""What JSON text stands for."""

Value: TypeAlias = (
    "bool | int | float | str | Buffer | Timestamp | list[Value] | dict[str, Value] | None"
)
"""What the codec `any` carries."""

MAX_DEPTH = 64
"""TUNING: lists within lists in `any`; a stranger's nesting must not exhaust our stack."""


class Timestamp(NamedTuple):
    """A moment: milliseconds since 1970 UTC."""

    ms: int


def read_json(reader: Reader) -> Json:
    """Read a string of JSON (or of ndjson); PeerError if it is none."""
    text = reader.string()
    try:
        value: Json = json.loads(text, parse_constant=_no_such_constant)
    except (ValueError, RecursionError):
        raise invalid("text that is not JSON") from None
    return value


def write_json(writer: Writer, value: Json) -> None:
    """Write a value as a string of JSON, as short as JavaScript writes it."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise UsageError("JSON has no infinity and no 'not a number'") from error
    writer.string(text)


def _no_such_constant(name: str) -> Json:
    """Refuse NaN and Infinity, which Python would read but no other program writes."""
    raise ValueError(name)


def read_record(
    reader: Reader, read_key: Callable[[Reader], K], read_value: Callable[[Reader], V]
) -> dict[K, V]:
    """Read a count and that many pairs, in the order written."""
    return {read_key(reader): read_value(reader) for _ in range(reader.count())}


def write_record(
    writer: Writer,
    value: Mapping[K, V],
    write_key: Callable[[Writer, K], None],
    write_value: Callable[[Writer, V], None],
) -> None:
    """Write a count and the pairs, in the mapping's own order."""
    if len(value) > MAX_ARRAY:
        raise UsageError(f"a record of {len(value)} pairs is more than a reader takes")
    writer.uint(len(value))
    for key, item in value.items():
        write_key(writer, key)
        write_value(writer, item)


def read_bitarray(reader: Reader) -> list[bool]:
    """Read a count of bits and the bits, lowest bit of the first byte first."""
    count = reader.uint()
    size = (count + 7) // 8
    if size > reader.remaining or count > 8 * MAX_ARRAY:
        raise out_of_range(f"a row of {count} bits")
    data = reader.fixed(size)
    return [bool(data[i >> 3] >> (i & 7) & 1) for i in range(count)]


def write_bitarray(writer: Writer, bits: Sequence[bool]) -> None:
    """Write a count of bits and the bits."""
    packed = sum(1 << i for i, bit in enumerate(bits) if bit)
    writer.uint(len(bits))
    writer.raw(packed.to_bytes((len(bits) + 7) // 8, "little"))


def read_any(reader: Reader, depth: int = MAX_DEPTH) -> Value:
    """Read a value that says its own type; PeerError for an unknown type or deep nesting."""
    match reader.uint():
        case 0:
            return None
        case 1:
            return reader.bool_()
        case 2:
            return reader.string()
        case 3:
            return bytes(reader.buffer())
        case 4:
            return reader.uint()
        case 5:
            return reader.int_()
        case 6:
            return read_float64(reader)
        case (7 | 8) as tag if depth > 0:
            if tag == 7:
                return [read_any(reader, depth - 1) for _ in range(reader.count())]
            return read_record(reader, Reader.string, lambda inner: read_any(inner, depth - 1))
        case 9:
            return Timestamp(reader.int_())
        case tag:
            raise invalid(f"value type {tag}, or nested too deep")


def write_any(writer: Writer, value: Value) -> None:
    """Write a value with its type; whole fractions travel as integers, as JavaScript has them.

    Raises UsageError for a whole number out of range, or text that is no UTF-8.
    """
    match value:
        case None:
            writer.uint(0)
        case bool():
            writer.uint(1)
            writer.bool_(value)
        case str():
            writer.uint(2)
            writer.string(value)
        case bytes() | bytearray() | memoryview():
            writer.uint(3)
            writer.buffer(value)
        case Timestamp():
            writer.uint(9)
            writer.int_(value.ms)
        case int() | float():
            _write_number(writer, value)
        case list():
            writer.uint(7)
            writer.array(value, write_any)
        case dict():
            writer.uint(8)
            write_record(writer, value, Writer.string, write_any)


def _write_number(writer: Writer, value: int | float) -> None:
    if isinstance(value, float) and not value.is_integer():
        writer.uint(6)
        write_float64(writer, value)
    elif value >= 0:
        writer.uint(4)
        writer.uint(int(value))
    else:
        writer.uint(5)
        writer.int_(int(value))

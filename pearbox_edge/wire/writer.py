"""Writing compact encoding: one verb per codec, into one growing buffer."""

from collections.abc import Callable, Collection
from struct import Struct
from typing import TypeVar

from pearbox_edge.errors import UsageError

from .buffers import MAX_ARRAY, MAX_UINT, Buffer

T = TypeVar("T")

_pack_16 = Struct("<BH").pack
_pack_32 = Struct("<BI").pack
_pack_64 = Struct("<BQ").pack

_MIN_INT = -(1 << 52)
_MAX_INT = (1 << 52) - 1


class Writer:
    """A growing buffer; each verb appends one value in its shortest form.

    `finish()` gives what was written. A value that the format cannot carry is a UsageError.
    Format: npm compact-encoding 3.5.2. Vectors: 01-compact-encoding.json.
    """

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def __len__(self) -> int:
        return len(self._out)

    def finish(self) -> bytes:
        """All that was written so far."""
        return bytes(self._out)

    def uint(self, value: int) -> None:
        """Write a number from 0 to 2^53-1 in 1, 3, 5 or 9 bytes."""
        if 0 <= value < 0xFD:
            self._out.append(value)
        elif 0xFD <= value <= 0xFFFF:
            self._out += _pack_16(0xFD, value)
        elif 0xFFFF < value <= 0xFFFFFFFF:
            self._out += _pack_32(0xFE, value)
        elif 0xFFFFFFFF < value <= MAX_UINT:
            self._out += _pack_64(0xFF, value)
        else:
            raise UsageError(f"{value} is not from 0 to 2^53-1")

    def uint8(self, value: int) -> None:
        """Write one byte."""
        if not 0 <= value <= 0xFF:
            raise UsageError(f"{value} does not fit in one byte")
        self._out.append(value)

    def uint16(self, value: int) -> None:
        """Write two bytes."""
        self.fixed_uint(value, 2)

    def uint24(self, value: int) -> None:
        """Write three bytes."""
        self.fixed_uint(value, 3)

    def uint32(self, value: int) -> None:
        """Write four bytes."""
        self.fixed_uint(value, 4)

    def uint64(self, value: int) -> None:
        """Write eight bytes."""
        self.fixed_uint(value, 8)

    def fixed_uint(self, value: int, size: int, *, big_endian: bool = False) -> None:
        """Write a number up to 2^53-1 in `size` bytes (1 to 8)."""
        if not 0 <= value <= MAX_UINT or value >> (8 * size):
            raise UsageError(f"{value} does not fit in {size} bytes of 2^53-1 at most")
        self._out += value.to_bytes(size, "big" if big_endian else "little")

    def int_(self, value: int) -> None:
        """Write a signed number, -2^52 to 2^52-1."""
        self.uint(_zigzag(value))

    def fixed_int(self, value: int, size: int) -> None:
        """Write a signed number (zigzag) in `size` bytes (1 to 8)."""
        self.fixed_uint(_zigzag(value), size)

    def bool_(self, value: bool) -> None:
        """Write a flag as one byte."""
        self._out.append(1 if value else 0)

    def buffer(self, value: Buffer) -> None:
        """Write bytes with their length before them."""
        self.uint(len(value))
        self._out += value

    def optional_buffer(self, value: Buffer | None) -> None:
        """Write bytes with their length before them; None (and empty) as length 0."""
        self.buffer(b"" if value is None else value)

    def fixed(self, value: Buffer, size: int) -> None:
        """Write exactly `size` bytes, without a length."""
        if len(value) != size:
            raise UsageError(f"{len(value)} bytes given where {size} are needed")
        self._out += value

    def fixed32(self, value: Buffer) -> None:
        """Write exactly 32 bytes: a key or a hash."""
        if len(value) != 32:
            raise UsageError(f"{len(value)} bytes given where 32 are needed")
        self._out += value

    def fixed64(self, value: Buffer) -> None:
        """Write exactly 64 bytes: a signature."""
        self.fixed(value, 64)

    def raw(self, value: Buffer) -> None:
        """Write bytes as they are, without a length."""
        self._out += value

    def string(self, value: str) -> None:
        """Write text as UTF-8 with its length in bytes before it."""
        self.buffer(_utf8(value))

    def fixed_string(self, value: str, size: int) -> None:
        """Write text that is exactly `size` bytes of UTF-8, without a length."""
        self.fixed(_utf8(value), size)

    def array(self, items: Collection[T], write: Callable[["Writer", T], None]) -> None:
        """Write a count and the items, each by `write(writer, item)`; at most 0x100000."""
        if len(items) > MAX_ARRAY:
            raise UsageError(f"an array of {len(items)} items is more than a reader takes")
        self.uint(len(items))
        for item in items:
            write(self, item)

    def raw_array(self, items: Collection[T], write: Callable[["Writer", T], None]) -> None:
        """Write items without a count."""
        for item in items:
            write(self, item)

    def frame(self, inner: "Writer") -> None:
        """Write what `inner` holds, with its length before it."""
        self.buffer(inner.finish())


def _zigzag(value: int) -> int:
    if not _MIN_INT <= value <= _MAX_INT:
        raise UsageError(f"{value} is not from -2^52 to 2^52-1")
    return value << 1 if value >= 0 else -2 * value - 1


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise UsageError("text with half a surrogate pair cannot be written") from error

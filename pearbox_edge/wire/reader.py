"""Reading compact encoding: a cursor over a buffer, one verb per codec."""

from collections.abc import Callable
from struct import Struct
from typing import TypeVar

from pearbox_edge.errors import UsageError

from .buffers import MAX_ARRAY, MAX_UINT, Buffer, invalid, out_of_bounds, out_of_range

T = TypeVar("T")

_unpack_16 = Struct("<H").unpack_from
_unpack_32 = Struct("<I").unpack_from
_unpack_64 = Struct("<Q").unpack_from


class Reader:
    """A cursor over bytes; each verb reads one value and moves on.

    `start` is the place of the next value and `end` the place after the last readable byte, both
    in `data`. Bytes left over at the end are no error. Every verb raises PeerError with code
    OUT_OF_BOUNDS when the value would pass `end`; the cursor is then of no more use.
    Format: npm compact-encoding 3.5.2. Vectors: 01-compact-encoding.json.
    """

    __slots__ = ("_data", "end", "start")

    def __init__(self, data: Buffer, start: int = 0, end: int | None = None) -> None:
        size = len(data)
        self._data = memoryview(data)
        self.start = start
        self.end = size if end is None else end
        if not 0 <= start <= self.end <= size:
            raise UsageError(f"cannot read from {start} to {self.end} of {size} bytes")

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return self.end - self.start

    def _take(self, size: int) -> int:
        """Move past `size` bytes and give the place where they begin."""
        start = self.start
        stop = start + size
        if stop > self.end:
            raise out_of_bounds(size, self.end - start)
        self.start = stop
        return start

    def uint(self) -> int:
        """Read a number of 1, 3, 5 or 9 bytes, up to 2^53-1; longer forms than needed are fine."""
        start = self.start
        if start >= self.end:
            raise out_of_bounds(1, 0)
        first: int = self._data[start]
        self.start = start + 1
        if first < 0xFD:
            return first
        if first == 0xFD:
            if start + 3 > self.end:
                raise out_of_bounds(2, self.end - start - 1)
            self.start = start + 3
            value: int = _unpack_16(self._data, start + 1)[0]
            return value
        if first == 0xFE:
            return self.uint32()
        return self.uint64()

    def uint8(self) -> int:
        """Read one byte."""
        return self._data[self._take(1)]

    def uint16(self) -> int:
        """Read two bytes."""
        value: int = _unpack_16(self._data, self._take(2))[0]
        return value

    def uint24(self) -> int:
        """Read three bytes."""
        return self.fixed_uint(3)

    def uint32(self) -> int:
        """Read four bytes."""
        value: int = _unpack_32(self._data, self._take(4))[0]
        return value

    def uint64(self) -> int:
        """Read eight bytes; above 2^53-1 is refused."""
        value: int = _unpack_64(self._data, self._take(8))[0]
        if value > MAX_UINT:
            raise out_of_range(f"{value} is above 2^53-1")
        return value

    def fixed_uint(self, size: int, *, big_endian: bool = False) -> int:
        """Read a number of `size` bytes (1 to 8); above 2^53-1 is refused."""
        start = self._take(size)
        data = self._data[start : start + size]
        value = int.from_bytes(data, "big" if big_endian else "little")
        if value > MAX_UINT:
            raise out_of_range(f"{value} is above 2^53-1")
        return value

    def int_(self) -> int:
        """Read a signed number (zigzag in a uint): -2^52 to 2^52-1."""
        value = self.uint()
        return (value >> 1) ^ -(value & 1)

    def fixed_int(self, size: int) -> int:
        """Read a signed number (zigzag) of `size` bytes (1 to 8)."""
        value = self.fixed_uint(size)
        return (value >> 1) ^ -(value & 1)

    def bool_(self) -> bool:
        """Read a flag: true if the byte is 1; any other byte is false."""
        return self._data[self._take(1)] == 1

    def buffer(self) -> memoryview:
        """Read bytes with a length before them; the view shares the reader's memory."""
        size = self.uint()
        start = self._take(size)
        return self._data[start : start + size]

    def optional_buffer(self) -> bytes | None:
        """Read bytes with a length before them; length 0 reads as None."""
        size = self.uint()
        if size == 0:
            return None
        start = self._take(size)
        return bytes(self._data[start : start + size])

    def fixed(self, size: int) -> bytes:
        """Read exactly `size` bytes."""
        start = self._take(size)
        return bytes(self._data[start : start + size])

    def fixed32(self) -> bytes:
        """Read exactly 32 bytes: a key or a hash."""
        start = self.start
        stop = start + 32
        if stop > self.end:
            raise out_of_bounds(32, self.end - start)
        self.start = stop
        return bytes(self._data[start:stop])

    def fixed64(self) -> bytes:
        """Read exactly 64 bytes: a signature."""
        return self.fixed(64)

    def raw(self) -> memoryview:
        """Read all that is left; the view shares the reader's memory."""
        start, self.start = self.start, self.end
        return self._data[start : self.end]

    def string(self) -> str:
        """Read UTF-8 text with its length in bytes before it; other bytes are refused."""
        size = self.uint()
        return self.fixed_string(size)

    def fixed_string(self, size: int) -> str:
        """Read UTF-8 text of exactly `size` bytes."""
        start = self._take(size)
        try:
            return str(self._data[start : start + size], "utf-8")
        except UnicodeDecodeError:
            raise invalid("text that is not UTF-8") from None

    def count(self, at_most: int = MAX_ARRAY) -> int:
        """Read how many items follow; PeerError if there are more than the caller will hold."""
        count = self.uint()
        if count > at_most:
            raise out_of_range(f"an array of {count} items")
        return count

    def array(self, read: Callable[["Reader"], T], at_most: int = MAX_ARRAY) -> list[T]:
        """Read a count (`at_most` that many) and the items, each by `read(reader)`."""
        return [read(self) for _ in range(self.count(at_most))]

    def raw_array(self, read: Callable[["Reader"], T]) -> list[T]:
        """Read items up to the end; `read` must use up at least one byte each time."""
        items: list[T] = []
        while self.start < self.end:
            before = self.start
            items.append(read(self))
            if self.start == before or len(items) > MAX_ARRAY:
                raise out_of_range("an endless array")
        return items

    def frame(self) -> "Reader":
        """Read a length and give a reader of just that many bytes; this one moves past them.

        What the inner reader leaves unread is thereby skipped.
        """
        size = self.uint()
        start = self._take(size)
        return Reader(self._data, start, start + size)

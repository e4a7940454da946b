"""Which blocks are held: a sparse bitfield in pages of PAGE_BITS, as storage keeps them."""

from collections.abc import Iterator, Mapping

from pearbox_edge.data.storage import PAGE_BITS

_PAGE_BYTES = PAGE_BITS // 8
_PAGE_SHIFT = PAGE_BITS.bit_length() - 1
_BYTE_MASK = _PAGE_BYTES - 1
_BIT_MASK = PAGE_BITS - 1


class Bitfield:
    """A set of block numbers. Memory follows what is held, never what is claimed.

    `contiguous` is the first number not held; `count` how many are.
    """

    __slots__ = ("_changed", "_pages", "contiguous", "count")

    def __init__(self, pages: Mapping[int, bytes] | None = None) -> None:
        self._pages = {number: bytearray(page) for number, page in (pages or {}).items()}
        self._changed: set[int] = set()
        self.count = sum(int.from_bytes(page).bit_count() for page in self._pages.values())
        self.contiguous = self.first_unset(0)

    def has(self, index: int) -> bool:
        """Whether block `index` is held."""
        page = self._pages.get(index >> _PAGE_SHIFT)
        return page is not None and bool(page[(index >> 3) & _BYTE_MASK] >> (index & 7) & 1)

    def has_range(self, start: int, end: int) -> bool:
        """Whether all blocks from `start` up to `end` (not included) are held."""
        return end <= self.contiguous or self.first_unset(start, end) >= end

    def set(self, index: int) -> bool:
        """Add one block; False if it was held already."""
        number = index >> _PAGE_SHIFT
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = bytearray(_PAGE_BYTES)
        at = (index >> 3) & _BYTE_MASK
        bit = 1 << (index & 7)
        if page[at] & bit:
            return False
        page[at] |= bit
        self._changed.add(number)
        self.count += 1
        if index == self.contiguous:
            index += 1
            self.contiguous = self.first_unset(index) if self.has(index) else index
        return True

    def set_range(self, start: int, end: int) -> None:
        """Add all blocks from `start` up to `end` (not included); allocates for all of them."""
        while start < end:
            number = start >> _PAGE_SHIFT
            stop = min(end, (number + 1) << _PAGE_SHIFT)
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = bytearray(_PAGE_BYTES)
            self._fill(number, page, start & _BIT_MASK, stop - (number << _PAGE_SHIFT), held=True)
            start = stop
        self.contiguous = self.first_unset(self.contiguous)

    def clear_range(self, start: int, end: int) -> None:
        """Remove all blocks from `start` up to `end` (not included)."""
        if start >= end:
            return
        last = (end - 1) >> _PAGE_SHIFT
        for number in [n for n in self._pages if start >> _PAGE_SHIFT <= n <= last]:
            first_bit = number << _PAGE_SHIFT
            low = max(start, first_bit) - first_bit
            high = min(end, first_bit + PAGE_BITS) - first_bit
            self._fill(number, self._pages[number], low, high, held=False)
        if start < self.contiguous:
            self.contiguous = start

    def pages_with(self, start: int, end: int) -> dict[int, bytes]:
        """Pages as they would be after `set_range`, which is not done yet."""
        after: dict[int, bytes] = {}
        while start < end:
            number = start >> _PAGE_SHIFT
            stop = min(end, (number + 1) << _PAGE_SHIFT)
            low, high = start & _BIT_MASK, stop - (number << _PAGE_SHIFT)
            bits = int.from_bytes(self._pages.get(number, b""), "little")
            bits |= ((1 << (high - low)) - 1) << low
            after[number] = bits.to_bytes(_PAGE_BYTES, "little")
            start = stop
        return after

    def truncate(self, length: int) -> None:
        """Remove all blocks from `length` on."""
        if self._pages:
            self.clear_range(length, (max(self._pages) + 1) << _PAGE_SHIFT)

    def _fill(self, number: int, page: bytearray, low: int, high: int, *, held: bool) -> None:
        before = int.from_bytes(page, "little")
        mask = ((1 << (high - low)) - 1) << low
        after = before | mask if held else before & ~mask
        if after != before:
            page[:] = after.to_bytes(_PAGE_BYTES, "little")
            self.count += after.bit_count() - before.bit_count()
            self._changed.add(number)

    def first_unset(self, start: int, end: int | None = None) -> int:
        """The first block from `start` on that is not held; at most `end`."""
        at = start
        while end is None or at < end:
            page = self._pages.get(at >> _PAGE_SHIFT)
            if page is None:
                return at
            found = _scan(page, at & _BIT_MASK, 0xFF)
            at = (at & ~_BIT_MASK) + found
            if found < PAGE_BITS:
                break
        return at if end is None else min(at, end)

    def first_set(self, start: int, end: int) -> int:
        """The first block from `start` on that is held; `end` if there is none before it."""
        first = start >> _PAGE_SHIFT
        for number in sorted(n for n in self._pages if n >= first):
            if number << _PAGE_SHIFT >= end:
                break
            low = start & _BIT_MASK if number == first else 0
            found = _scan(self._pages[number], low, 0x00)
            if found < PAGE_BITS:
                return min((number << _PAGE_SHIFT) + found, end)
        return end

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The held stretches between `start` and `end`, as (first, past the last)."""
        while (low := self.first_set(start, end)) < end:
            start = self.first_unset(low, end)
            yield low, start

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The missing stretches between `start` and `end`, as (first, past the last)."""
        while (low := self.first_unset(start, end)) < end:
            start = self.first_set(low, end)
            yield low, start

    def words(self, start: int, length: int) -> bytes:
        """The bits of `length` blocks from `start` (a multiple of 32) as little endian u32 words.

        This is the form of a bitfield message (sheet 12): whole words, bit i of word w is block
        start + 32 w + i; bits past `length` are 0.
        """
        out = bytearray((length + 31) // 32 * 4)
        for number, page in self._pages.items():
            first = number << _PAGE_SHIFT
            low = max(start, first)
            high = min(start + length, first + PAGE_BITS)
            if low < high:
                size = (high - low + 7) // 8
                at = (low - first) // 8
                place = (low - start) // 8
                out[place : place + size] = page[at : at + size]
        if length % 32 and out:
            keep = length % 32
            last = int.from_bytes(out[-4:], "little") & ((1 << keep) - 1)
            out[-4:] = last.to_bytes(4, "little")
        return bytes(out)

    def take_changed(self) -> dict[int, bytes]:
        """Pages changed since the last call, as they are now."""
        changed = {number: bytes(self._pages[number]) for number in self._changed}
        self._changed.clear()
        return changed


def _scan(page: bytearray, bit: int, skip: int) -> int:
    """The first bit at or after `bit` whose byte differs there from `skip`; PAGE_BITS if none."""
    at = bit >> 3
    value = (page[at] ^ skip) >> (bit & 7)
    if value:
        return bit + (value & -value).bit_length() - 1
    if at + 1 == _PAGE_BYTES:
        return PAGE_BITS
    rest = page[at + 1 :]
    left = rest.lstrip(b"\xff" if skip else b"\x00")
    if not left:
        return PAGE_BITS
    value = left[0] ^ skip
    at = _PAGE_BYTES - len(left)
    return 8 * at + (value & -value).bit_length() - 1

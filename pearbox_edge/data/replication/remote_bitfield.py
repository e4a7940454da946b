"""Which blocks a peer says it holds. Memory follows a cap, never what is claimed.

A peer may claim any block of any number: long spans are kept as spans, the rest as bits in pages;
past the caps the claims heard first are forgotten, which costs a question, not correctness.
"""

from bisect import bisect_right

from pearbox_edge.data.storage import PAGE_BITS
from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer

MAX_PAGES = 512
"""TUNING: pages of bits kept for one peer: 2 MiB, 16 million scattered blocks."""
MAX_SPANS = 256
"""TUNING: long spans kept for one peer."""
LONG_SPAN = PAGE_BITS
"""TUNING: from here on a span is kept as two numbers, below as bits."""

_PAGE_BYTES = PAGE_BITS // 8
_EMPTY = bytes(_PAGE_BYTES)


class RemoteBitfield:
    """The blocks of one peer: all below `contiguous`, and those in spans and pages above it."""

    __slots__ = ("_ends", "_pages", "_starts", "contiguous")

    def __init__(self) -> None:
        self.contiguous = 0
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._pages: dict[int, bytearray] = {}

    def has(self, index: int) -> bool:
        """Whether the peer holds block `index`."""
        if index < self.contiguous:
            return True
        at = bisect_right(self._starts, index) - 1
        if at >= 0 and index < self._ends[at]:
            return True
        page = self._pages.get(index // PAGE_BITS)
        if page is None:
            return False
        bit = index % PAGE_BITS
        return bool(page[bit >> 3] >> (bit & 7) & 1)

    def first_held(self, start: int, end: int) -> int:
        """The first block from `start` on that the peer holds; `end` if there is none before it."""
        if start < self.contiguous or start >= end:
            return min(start, end)
        found = end
        at = bisect_right(self._starts, start) - 1
        if at >= 0 and start < self._ends[at]:
            return start
        if at + 1 < len(self._starts):
            found = min(found, self._starts[at + 1])
        if self._pages:
            found = min(found, self._first_bit(start, found))
        return found

    def _first_bit(self, start: int, end: int) -> int:
        first, last = start // PAGE_BITS, (end - 1) // PAGE_BITS
        if last - first < len(self._pages):
            numbers = [n for n in range(first, last + 1) if n in self._pages]
        else:
            numbers = sorted(n for n in self._pages if first <= n <= last)
        for number in numbers:
            page = self._pages[number]
            bit = start - number * PAGE_BITS if number == first else 0
            at = bit >> 3
            value = page[at] >> (bit & 7) << (bit & 7)
            if not value:
                rest = page[at + 1 :].lstrip(b"\0")
                if not rest:
                    continue
                at = _PAGE_BYTES - len(rest)
                value = rest[0]
            low = (value & -value).bit_length() - 1
            return number * PAGE_BITS + 8 * at + low
        return end

    def has_range(self, start: int, end: int) -> bool:
        """Whether the peer surely holds all blocks from `start` up to `end` (not included)."""
        if end <= self.contiguous or start >= end:
            return True
        start = max(start, self.contiguous)
        at = bisect_right(self._starts, start) - 1
        if at >= 0 and end <= self._ends[at]:
            return True
        if end - start > LONG_SPAN:
            return False
        return all(self.has(index) for index in range(start, end))

    def add(self, start: int, length: int) -> None:
        """The peer holds these blocks now."""
        end = start + length
        if end <= self.contiguous or length <= 0:
            return
        if start <= self.contiguous:
            self.contiguous = end
            self._absorb()
        elif length >= LONG_SPAN:
            self._add_span(start, end)
        else:
            self._fill(start, end, held=True)

    def drop(self, start: int, length: int) -> None:
        """The peer holds these blocks no longer."""
        end = start + length
        if length <= 0:
            return
        before = self.contiguous
        if start < before:
            self.contiguous = start
            if end < before:
                self.add(end, before - end)
        spans = list(zip(self._starts, self._ends, strict=True))
        if any(low < end and start < high for low, high in spans):
            self._starts, self._ends = [], []
            for low, high in spans:
                self._add_span(low, min(high, start))
                self._add_span(max(low, end), high)
        self._fill(start, end, held=False)

    def insert(self, start: int, words: Buffer) -> None:
        """Take the map of a span as the truth: `words` as in a bitfield message.

        PeerError if `start` is not a multiple of 32.
        """
        if start % 32:
            raise PeerError(f"a bitfield that starts at block {start}")
        self.drop(start, 8 * len(words))
        at = 0
        while at < len(words):
            number, bit = divmod(start + 8 * at, PAGE_BITS)
            place = bit >> 3
            size = min(len(words) - at, _PAGE_BYTES - place)
            piece = bytes(words[at : at + size])
            if piece.strip(b"\0"):
                self._page(number)[place : place + size] = piece
            at += size

    def _absorb(self) -> None:
        """Forget what now lies below `contiguous`."""
        while self._starts and self._starts[0] <= self.contiguous:
            self._starts.pop(0)
            self.contiguous = max(self.contiguous, self._ends.pop(0))
        if self._pages:
            low = self.contiguous // PAGE_BITS
            for number in [n for n in self._pages if n < low]:
                del self._pages[number]

    def _add_span(self, start: int, end: int) -> None:
        if start >= end:
            return
        spans = [*zip(self._starts, self._ends, strict=True), (start, end)]
        spans.sort()
        merged: list[tuple[int, int]] = []
        for low, high in spans:
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        if len(merged) > MAX_SPANS:
            merged.remove(min(merged, key=lambda span: span[1] - span[0]))
        self._starts = [low for low, _ in merged]
        self._ends = [high for _, high in merged]

    def _page(self, number: int) -> bytearray:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= MAX_PAGES:
                del self._pages[next(iter(self._pages))]
            page = self._pages[number] = bytearray(_PAGE_BYTES)
        return page

    def _fill(self, start: int, end: int, *, held: bool) -> None:
        if end - start == 1 and held:
            bit = start % PAGE_BITS
            self._page(start // PAGE_BITS)[bit >> 3] |= 1 << (bit & 7)
            return
        first, last = start // PAGE_BITS, (end - 1) // PAGE_BITS
        if held:
            numbers = list(range(first, last + 1))
        else:
            numbers = [n for n in self._pages if first <= n <= last]
        for number in numbers:
            low = max(start - number * PAGE_BITS, 0)
            high = min(end - number * PAGE_BITS, PAGE_BITS)
            mask = ((1 << (high - low)) - 1) << low
            page = self._page(number)
            bits = int.from_bytes(page, "little")
            after = (bits | mask if held else bits & ~mask).to_bytes(_PAGE_BYTES, "little")
            if after == _EMPTY:
                del self._pages[number]
            else:
                page[:] = after

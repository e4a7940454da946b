"""How many blocks may be on their way from one peer: as many as make a few MiB."""

TARGET_BYTES = 6 << 20
"""TUNING: bytes in flight from one peer: 50 ms at 120 MiB/s, or 0.5 s of a good home line."""
SMALLEST = 16
"""TUNING: requests kept open whatever their size, as the real package does."""
LARGEST = 512
"""TUNING: requests kept open for tiny blocks; the real package never has more either."""
HUGE_BLOCK = 1 << 20
"""TUNING: from this average on memory counts more than SMALLEST."""
_WEIGHT = 1 / 32  # TUNING: how fast the average follows the newest blocks
_FIRST_GUESS = 64 << 10  # what hyperblobs writes


class Window:
    """The average size of a core's blocks, and how many of them to ask for at a time."""

    __slots__ = ("average", "size")

    def __init__(self, byte_length: int = 0, length: int = 0) -> None:
        self.average: float = byte_length / length if length else _FIRST_GUESS
        self.size = SMALLEST
        self._resize()

    def observe(self, total: int, count: int) -> None:
        """`count` blocks of `total` bytes together have arrived."""
        if count:
            weight = min(1.0, count * _WEIGHT)
            self.average += (total / count - self.average) * weight
            self._resize()

    def _resize(self) -> None:
        average = max(self.average, 1.0)
        least = SMALLEST if average < HUGE_BLOCK else 4
        self.size = int(min(LARGEST, max(least, TARGET_BYTES / average)))

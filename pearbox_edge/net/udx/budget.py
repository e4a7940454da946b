"""Memory that many streams share, so that many slow readers together stay small."""

TOTAL = 48 << 20  # TUNING bytes that wait in all streams of a node before windows shrink
SHARE = 64 << 10  # TUNING the window that every stream keeps, however little is left
OVERDRAFT = 8 << 20  # TUNING past the total by this much, packets are dropped


class Budget:
    """Counts the bytes that were received and not read yet."""

    def __init__(self, total: int = TOTAL) -> None:
        self.used = 0
        self._total = total

    @property
    def window(self) -> int:
        """The most that one stream should be sent now: a part of what is left."""
        return max((self._total - self.used) // 4, SHARE)

    @property
    def is_spent(self) -> bool:
        """Whether packets must be dropped: somebody ignores the windows."""
        return self.used > self._total + OVERDRAFT

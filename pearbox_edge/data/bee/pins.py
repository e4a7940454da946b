"""Versions held fast: a version that a truncation took away is never read again."""

from bisect import bisect_right

from pearbox_edge.errors import UnavailableError

MAX_CUTS = 256
"""TUNING: truncations remembered one by one; of more, views of old are refused too early."""

VERSION_GONE = "SNAPSHOT_NOT_AVAILABLE"
"""Code of the UnavailableError for a version that was truncated away."""


class Cuts:
    """The truncations of a core while it is open: when, and down to what length.

    Kept so that lengths rise: a later, deeper cut makes an earlier one unimportant.
    """

    def __init__(self) -> None:
        self.now = 0
        self._times: list[int] = []
        self._lengths: list[int] = []

    def add(self, length: int) -> None:
        """The core was truncated to `length` blocks."""
        self.now += 1
        while self._lengths and self._lengths[-1] >= length:
            self._lengths.pop()
            self._times.pop()
        self._times.append(self.now)
        self._lengths.append(length)
        if len(self._times) > MAX_CUTS:
            del self._times[0], self._lengths[1]

    def lowest_since(self, time: int) -> int | None:
        """The least length since that moment, None if the core was not truncated."""
        at = bisect_right(self._times, time)
        return self._lengths[at] if at < len(self._lengths) else None


class VersionPin:
    """A version as of the moment it was pinned."""

    def __init__(self, cuts: Cuts, version: int) -> None:
        self._cuts = cuts
        self._since = cuts.now
        self.version = version

    def check(self) -> None:
        """Raise UnavailableError if a truncation since took the version away."""
        lowest = self._cuts.lowest_since(self._since)
        if lowest is not None and lowest < self.version:
            raise UnavailableError(
                f"version {self.version} is gone: its writer took it back", code=VERSION_GONE
            )

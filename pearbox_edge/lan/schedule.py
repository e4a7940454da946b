"""When to say something again: repeats that grow apart.

Pure: `now` is seconds on a monotonic clock, so a machine that believes it is 1970 is no different.
"""

from dataclasses import dataclass, field

# SPEC RFC 6762, 5.2: a second between the first two queries, at least twice as long each time.
QUERY_FIRST = 1.0
# TUNING the RFC allows an hour. Address records live for 120 s: at 30 s there are two chances to
# hear them again in the second half of their life, and a peer behind a bad link comes back soon.
QUERY_LONGEST = 30.0
# SPEC RFC 6762, 8.3: at least two announcements, one second apart, then ever further; at most 8.
ANNOUNCE_FIRST = 1.0
ANNOUNCE_COUNT = 3


@dataclass(slots=True)
class Repeats:
    """Due at once, after `first` seconds, after twice that, and so on; `count` 0 is for ever."""

    first: float
    longest: float
    count: int = 0
    _due: float | None = None
    _gap: float = 0.0
    _left: int = field(default=0)

    def start(self, now: float) -> None:
        """Begin from the beginning: the first time is at `now`."""
        self._due = now
        self._gap = self.first
        self._left = self.count

    def stop(self) -> None:
        """Never due again until started."""
        self._due = None

    def deadline(self) -> float | None:
        """When it is due next, or None."""
        return self._due

    def take(self, now: float) -> bool:
        """Is it due? If so the next time is set."""
        if self._due is None or now < self._due:
            return False
        self._left -= 1
        if self._left == 0:
            self._due = None
        else:
            self._due = now + self._gap
            self._gap = min(self._gap * 2, self.longest)
        return True


def queries() -> Repeats:
    """The rhythm of browsing for one label."""
    return Repeats(QUERY_FIRST, QUERY_LONGEST)


def announcements() -> Repeats:
    """The rhythm of announcing one label."""
    return Repeats(ANNOUNCE_FIRST, QUERY_LONGEST, ANNOUNCE_COUNT)

"""What arrived: put in order, with the holes known."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

MAX_AHEAD = 8192  # TUNING packets past the next wanted one that may wait: 4 MiB of small ones


class Inbox:
    """The receiving half of a stream: what is next, and what lies behind a hole.

    Sequence numbers are unwrapped. Payloads of packets in order go straight to `ready`; the others
    are copied and wait. A packet too far ahead, or one that would make more than `limit` bytes
    wait, is dropped as if it had been lost: only a sender that ignores our window gets there.
    """

    def __init__(self, first: int = 0, *, limit: int = 4 << 20) -> None:
        self.next = first
        """The packet that is wanted next."""
        self.ready: list[memoryview] = []
        """Payloads in order, for the caller to take; they lie in the memory that was given."""
        self.ended = False
        """Whether the end, and all before it, has arrived."""
        self.dropped = 0
        """Packets refused because too much was waiting."""
        self.stored_bytes = 0
        self._limit = limit
        self._stored: dict[int, tuple[bytes, bool]] = {}
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, seq: int, payload: memoryview, *, end: bool = False) -> bool:
        """A packet of data arrived. False if it was there already, or refused."""
        if seq == self.next:
            if self.ended:
                return False
            self._deliver(payload, end=end)
            if self._starts:
                self._drain()
            return True
        if seq < self.next or self.ended or seq in self._stored:
            return False
        if seq - self.next > MAX_AHEAD or self.stored_bytes + len(payload) > self._limit:
            self.dropped += 1
            return False
        self._stored[seq] = (bytes(payload), end)
        self.stored_bytes += len(payload)
        self._mark(seq)
        return True

    def ranges(self, most: int) -> Sequence[tuple[int, int]]:
        """[start, end) of the first `most` groups of packets that wait behind a hole."""
        return list(zip(self._starts[:most], self._ends[:most], strict=True))

    @property
    def has_holes(self) -> bool:
        """Whether anything waits behind a hole."""
        return bool(self._starts)

    def clear(self) -> None:
        """Forget what waits."""
        self.ready.clear()
        self._stored.clear()
        self._starts.clear()
        self._ends.clear()
        self.stored_bytes = 0

    def _deliver(self, payload: memoryview | bytes, *, end: bool) -> None:
        self.next += 1
        if len(payload):
            self.ready.append(memoryview(payload))
        if end:
            # Nothing comes after the end; what pretends to is forgotten.
            self.ended = True
            self._stored.clear()
            self._starts.clear()
            self._ends.clear()
            self.stored_bytes = 0

    def _drain(self) -> None:
        """Hand out what was waiting for the packet that has just come."""
        while self._starts and self._starts[0] == self.next:
            end_of_range = self._ends[0]
            del self._starts[0], self._ends[0]
            while self.next < end_of_range and not self.ended:
                payload, end = self._stored.pop(self.next)
                self.stored_bytes -= len(payload)
                self._deliver(payload, end=end)

    def _mark(self, seq: int) -> None:
        """Put one packet into the ranges; most lengthen the last one."""
        starts, ends = self._starts, self._ends
        if ends and ends[-1] == seq:
            ends[-1] += 1
            return
        place = bisect_right(starts, seq)
        joins_left = place > 0 and ends[place - 1] == seq
        joins_right = place < len(starts) and starts[place] == seq + 1
        if joins_left and joins_right:
            ends[place - 1] = ends[place]
            del starts[place], ends[place]
        elif joins_left:
            ends[place - 1] += 1
        elif joins_right:
            starts[place] = seq
        else:
            place = bisect_left(starts, seq)
            starts.insert(place, seq)
            ends.insert(place, seq + 1)

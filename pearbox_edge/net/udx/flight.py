"""Packets that were sent and not acked yet, kept as runs: what was sent together stays together."""

from bisect import bisect_left
from collections.abc import Iterator

from pearbox_edge.errors import UsageError

_EMPTY = memoryview(b"")


class Run:
    """Packets `first` to `end` that left at one moment; it is split where their ways part.

    All carry `size` bytes of payload, the last one perhaps fewer. Mutable, and one for dozens of
    packets: this is what makes a packet cheap.
    """

    __slots__ = (
        "acked_at",
        "app_limited",
        "delivered",
        "end",
        "ends_stream",
        "first",
        "first_sent_at",
        "is_lost",
        "padding",
        "path",
        "payload",
        "sends",
        "sent_at",
        "size",
    )

    def __init__(
        self,
        first: int,
        end: int,
        payload: memoryview,
        size: int,
        *,
        ends_stream: bool = False,
        padding: int = 0,
        path: int = 0,
    ) -> None:
        self.first = first
        self.end = end
        self.payload = payload
        self.size = size
        self.ends_stream = ends_stream
        """Whether the last packet is the END."""
        self.padding = padding
        """Zero bytes before the payload: then this is a probe of the path's MTU."""
        self.path = path
        """Number of the path that it takes, now and when sent again."""
        self.sends = 0
        self.sent_at = 0.0
        self.is_lost = False
        self.delivered = 0  # the state of the connection when it was sent: see rate.py
        self.acked_at = 0.0
        self.first_sent_at = 0.0
        self.app_limited = False

    def __len__(self) -> int:
        return self.end - self.first

    def part(self, seq: int) -> memoryview:
        """The payload of one packet."""
        start = (seq - self.first) * self.size
        return self.payload[start : start + self.size]

    def split(self, seq: int) -> "Run":
        """Cut before packet `seq`; this run keeps the left side, the right one is returned."""
        if not self.first < seq < self.end:
            raise UsageError("a run is split inside")
        border = (seq - self.first) * self.size
        right = Run(
            seq,
            self.end,
            self.payload[border:] if self.size else _EMPTY,
            self.size,
            ends_stream=self.ends_stream,
            padding=self.padding,
            path=self.path,
        )
        right.sends, right.sent_at, right.is_lost = self.sends, self.sent_at, self.is_lost
        right.delivered, right.acked_at = self.delivered, self.acked_at
        right.first_sent_at, right.app_limited = self.first_sent_at, self.app_limited
        self.end = seq
        self.payload = self.payload[:border] if self.size else _EMPTY
        self.ends_stream = False
        return right


class Flight:
    """Runs in order of their packets, and the counts that follow from them.

    `in_flight` are the packets believed to be on their way: neither acked nor lost.
    """

    def __init__(self, first: int = 0) -> None:
        self.acked = first
        """Everything before this packet has arrived."""
        self.next = first
        """The number of the next new packet."""
        self.in_flight = 0
        self.lost = 0
        """Packets marked lost and not sent again yet."""
        self.sacked = 0
        """Packets past `acked` that have arrived."""
        self._runs: list[Run] = []

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    def __len__(self) -> int:
        """Packets not acked: on their way or lost."""
        return self.in_flight + self.lost

    @property
    def newest(self) -> Run:
        """The run of the highest packets."""
        return self._runs[-1]

    def add(self, run: Run) -> None:
        """A run of new packets leaves."""
        self._runs.append(run)
        self.next = run.end
        self.in_flight += run.end - run.first

    def ack(self, ack: int) -> list[Run]:
        """All before `ack` has arrived; returns what was not known to have."""
        if ack <= self.acked:
            return []
        runs = self._runs
        count = 0
        gone = 0
        for run in runs:
            if run.end > ack:
                break
            gone += run.end - run.first
            count += 1
        done = runs[:count]
        del runs[:count]
        if runs and runs[0].first < ack:
            left = runs[0]
            runs[0] = left.split(ack)
            done.append(left)
            gone += left.end - left.first
        self.sacked -= ack - self.acked - gone
        self.acked = ack
        self._leave(done)
        return done

    def sack(self, start: int, end: int) -> list[Run]:
        """Packets `start` to `end` have arrived; returns what was not known to have."""
        runs = self._runs
        place = bisect_left(runs, start, key=_end)
        if place < len(runs) and runs[place].end == start:
            place += 1
        if place == len(runs) or runs[place].first >= end:
            return []
        if runs[place].first < start:
            runs.insert(place + 1, runs[place].split(start))
            place += 1
        stop = place
        while stop < len(runs) and runs[stop].end <= end:
            stop += 1
        if stop < len(runs) and runs[stop].first < end:
            runs.insert(stop + 1, runs[stop].split(end))
            stop += 1
        done = runs[place:stop]
        del runs[place:stop]
        for run in done:
            self.sacked += run.end - run.first
        self._leave(done)
        return done

    def mark_lost(self, run: Run) -> None:
        """The run did not arrive, we believe."""
        if not run.is_lost:
            run.is_lost = True
            size = run.end - run.first
            self.lost += size
            self.in_flight -= size

    def take_lost(self, most: int) -> Iterator[Run]:
        """Lost runs, oldest first, of `most` packets together, for sending again at once."""
        place = 0
        runs = self._runs
        while self.lost and most > 0 and place < len(runs):
            run = runs[place]
            place += 1
            if not run.is_lost:
                continue
            if run.end - run.first > most:
                runs.insert(place, run.split(run.first + most))
            size = run.end - run.first
            most -= size
            run.is_lost = False
            self.lost -= size
            self.in_flight += size
            yield run

    def last_packet(self) -> Run:
        """The highest packet as a run of its own, for a tail probe."""
        run = self._runs[-1]
        if len(run) > 1:
            run = run.split(run.end - 1)
            self._runs.append(run)
        return run

    def clear(self) -> None:
        """Forget everything."""
        self._runs.clear()
        self.in_flight = self.lost = self.sacked = 0

    def _leave(self, done: list[Run]) -> None:
        for run in done:
            if run.is_lost:
                self.lost -= run.end - run.first
            else:
                self.in_flight -= run.end - run.first


def _end(run: Run) -> int:
    return run.end

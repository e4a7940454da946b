"""Which packets are lost: told by those sent later that arrived (RACK), or by a tail probe."""

from .flight import Flight, Run
from .rtt import RttEstimator

ENOUGH_SACKS = 3  # SPEC RFC 8985: so many packets past a hole, and reordering is ruled out
WINDOW_SHARE = 0.25  # SPEC of the shortest round trip, that packets may overtake each other by
MAX_SHARES = 16  # TUNING how often the window may have grown
CALM_RECOVERIES = 16  # SPEC RFC 8985: after so many without a mistake it is small again
TAIL_RTTS = 2.0  # SPEC
TAIL_EXTRA = 0.002  # SPEC seconds more when a single packet is out
TAIL_MIN = 0.01  # TUNING seconds: other ends ack in batches, and may be busy for so long
_EXACT = 1e-6  # times this near are equal


class Rack:
    """Time-ordered loss detection. Source: RFC 8985.

    UDX has no DSACK; that a packet was sent again in vain shows in an ack that came too early.
    """

    def __init__(self) -> None:
        self.reordering_seen = False
        self._sent_at = -1.0  # of the packet sent last among those that arrived
        self._end = -1
        self._rtt = 0.0
        self._highest = -1
        self._shares = 1
        self._calm = 0

    def on_acked(self, run: Run, now: float, min_rtt: float | None) -> None:
        """A run has arrived."""
        rtt = now - run.sent_at
        if run.sends > 1:
            if min_rtt is not None and rtt < min_rtt:
                self._on_mistake()
                return  # the ack is for an earlier sending
        elif run.end <= self._highest:
            self.reordering_seen = True
        self._highest = max(self._highest, run.end)
        if (run.sent_at, run.end) > (self._sent_at, self._end):
            self._sent_at, self._end, self._rtt = run.sent_at, run.end, rtt

    def find_lost(
        self, flight: Flight, now: float, rtt: RttEstimator, *, in_recovery: bool
    ) -> tuple[list[Run], float | None]:
        """The runs that are lost now, and when to look again (None: when the next ack comes)."""
        if self._end < 0:
            return [], None
        wait = self._rtt + self._reordering_window(flight, rtt, in_recovery=in_recovery)
        sent_at, end = self._sent_at, self._end
        lost: list[Run] = []
        again: float | None = None
        for run in flight:
            if run.sent_at > sent_at or (run.sent_at == sent_at and run.end > end):
                if run.sends == 1:
                    break  # all behind it left later still
                continue
            if run.is_lost:
                continue
            when = run.sent_at + wait
            if when <= now + _EXACT:
                lost.append(run)
            elif again is None or when > again:
                again = when
        return lost, again

    def _reordering_window(self, flight: Flight, rtt: RttEstimator, *, in_recovery: bool) -> float:
        if not self.reordering_seen and (in_recovery or flight.sacked >= ENOUGH_SACKS):
            return 0.0
        return min((rtt.minimum or 0.0) * WINDOW_SHARE * self._shares, rtt.smoothed or 0.0)

    def on_recovered(self) -> None:
        """A time of losses is over."""
        self._calm += 1
        if self._calm >= CALM_RECOVERIES:
            self._shares = 1

    def _on_mistake(self) -> None:
        """A packet was late, not lost: wait longer from now on."""
        self._calm = 0
        self.reordering_seen = True
        if self._shares < MAX_SHARES:
            self._shares += 1


def tail_timeout(rtt: RttEstimator, in_flight: int) -> float | None:
    """Seconds of silence after which the last packet is sent once more; None: not at all."""
    if rtt.smoothed is None:
        return None
    wait = TAIL_RTTS * rtt.smoothed + (TAIL_EXTRA if in_flight == 1 else 0.0)
    return max(wait, TAIL_MIN)

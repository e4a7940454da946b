"""Spreads sending over time: a bucket of packets that fills at the pacing rate."""

BURST_TIME = 0.010  # TUNING credit for this long: timers of the event loop may be late by as much
MIN_BURST = 10  # SPEC sheet 02: the first window may leave at once
GRAIN = 0.001  # TUNING seconds; the event loop's timers are not finer
_EXACT = 1e-6  # packets: what is missing is an error of rounding


class Pacer:
    """Says how many packets may leave now, and when more may. Times in seconds."""

    def __init__(self) -> None:
        self._credit = float(MIN_BURST)
        self._at: float | None = None

    def allowed(self, now: float, rate: float) -> int:
        """Packets that may leave now at `rate` packets a second."""
        if self._at is not None and now > self._at:
            most = max(rate * BURST_TIME, MIN_BURST)
            self._credit = min(self._credit + rate * (now - self._at), most)
        self._at = now
        return int(self._credit + _EXACT)

    def spend(self, packets: int) -> None:
        """Packets have left."""
        self._credit -= packets

    def ready_at(self, rate: float) -> float:
        """When a burst worth waking up for may leave (after `allowed` was too little)."""
        wanted = min(max(rate * GRAIN, 1.0), MIN_BURST)
        return (self._at or 0.0) + max((wanted - self._credit) / rate, 0.0)

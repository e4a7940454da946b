"""How long a packet and its ack take, and how long to wait for one."""

from collections import deque

INITIAL_RTO = 1.0  # SPEC sheet 02, seconds
MIN_RTO = 1.0  # SPEC
MAX_RTO = 30.0  # SPEC
STRANGE = 5.0  # SPEC a longer sample, far from the mean, is clamped
MIN_WINDOW = 300.0  # TUNING a path's shortest time is forgotten after five minutes (as Linux does)


class RttEstimator:
    """Smoothed round-trip time of one path. All times in seconds.

    Format: RFC 6298 with the bounds of the reference.
    """

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self.variance = 0.0
        self.latest = 0.0
        self.rto = INITIAL_RTO
        self._minima: deque[tuple[float, float]] = deque()  # (when, sample), growing

    @property
    def minimum(self) -> float | None:
        """The shortest sample of the last five minutes."""
        return self._minima[0][1] if self._minima else None

    def add(self, sample: float, now: float) -> None:
        """A packet that was sent once was acked `sample` seconds later."""
        sample = max(sample, 1e-6)
        if self.smoothed is None:
            self.smoothed = sample
            self.variance = sample / 2
        else:
            most = self.smoothed + 5 * self.variance
            if sample > STRANGE and sample > most:
                sample = most
            self.variance += (abs(self.smoothed - sample) - self.variance) / 4
            self.smoothed += (sample - self.smoothed) / 8
        self.latest = sample
        self.rto = min(max(self.smoothed + 4 * self.variance, MIN_RTO), MAX_RTO)
        minima = self._minima
        while minima and minima[-1][1] >= sample:
            minima.pop()
        minima.append((now, sample))
        while minima[0][0] < now - MIN_WINDOW:
            minima.popleft()

"""How fast the path delivers, sampled at every ack."""

from dataclasses import dataclass

from .flight import Run


@dataclass(frozen=True, slots=True)
class RateSample:
    """What one call of acks says about the path."""

    acked: int
    """Packets newly known to have arrived."""
    delivered: int
    """Packets delivered over `interval`; 0 when the sample says nothing of the rate."""
    interval: float
    """Seconds."""
    prior_delivered: int
    """Packets that had arrived when the newest packet of the sample was sent: marks the rounds."""
    app_limited: bool
    """Whether we, not the path, were the slow ones."""
    rtt: float | None
    """A fresh round-trip time, seconds."""


class RateSampler:
    """Counts deliveries, and stamps runs as they leave so that the rate can be told at their ack.

    Source: draft-cheng-iccrg-delivery-rate-estimation, in packets instead of bytes.
    """

    def __init__(self) -> None:
        self.delivered = 0
        """Packets that have arrived so far."""
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._limited_until = 0
        self._newest: Run | None = None
        self._acked = 0

    def on_sent(self, run: Run, now: float, *, in_flight: int) -> None:
        """A run leaves while `in_flight` packets (without it) were on their way."""
        if not in_flight:
            self._delivered_at = self._first_sent_at = now
        run.delivered = self.delivered
        run.acked_at = self._delivered_at
        run.first_sent_at = self._first_sent_at
        run.app_limited = self._limited_until > 0

    def on_app_limited(self, in_flight: int) -> None:
        """There is room to send, and nothing to send."""
        self._limited_until = max(self.delivered + in_flight, 1)

    def on_acked(self, run: Run, now: float) -> None:
        """A run has arrived."""
        size = run.end - run.first
        self._acked += size
        self.delivered += size
        self._delivered_at = now
        newest = self._newest
        if newest is None or (run.delivered, run.sent_at) >= (newest.delivered, newest.sent_at):
            self._newest = run
            self._first_sent_at = run.sent_at

    def sample(self, now: float, *, rtt: float | None, min_rtt: float | None) -> RateSample:
        """What the acks since the last call say."""
        newest, acked = self._newest, self._acked
        self._newest, self._acked = None, 0
        if self._limited_until and self.delivered > self._limited_until:
            self._limited_until = 0
        if newest is None:
            return RateSample(acked, 0, 0.0, self.delivered, app_limited=False, rtt=rtt)
        interval = max(newest.sent_at - newest.first_sent_at, now - newest.acked_at)
        delivered = self.delivered - newest.delivered
        if interval <= 0 or (min_rtt is not None and interval < min_rtt):
            delivered = 0  # too short to be true: acks that came in a clump
        return RateSample(acked, delivered, interval, newest.delivered, newest.app_limited, rtt)

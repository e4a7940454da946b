"""How much to send, and how fast: BBR version 1, in packets and seconds."""

from collections import deque
from enum import Enum, auto

from .rate import RateSample

INITIAL_WINDOW = 10  # SPEC sheet 02, packets
MIN_WINDOW = 4  # SPEC
HIGH_GAIN = 2.885  # SPEC 2 / ln 2: doubles the rate each round
DRAIN_GAIN = 1 / HIGH_GAIN  # SPEC
WINDOW_GAIN = 2.0  # SPEC
CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)  # SPEC
BANDWIDTH_ROUNDS = 10  # SPEC how long a rate is remembered
MIN_RTT_TIME = 10.0  # SPEC seconds that the shortest time is believed
PROBE_RTT_TIME = 0.2  # SPEC seconds spent looking for a new one
FULL_GROWTH = 1.25  # SPEC less growth than this in three rounds: the pipe is full
FULL_ROUNDS = 3  # SPEC
FIRST_RTT = 0.001  # SPEC assumed before the first sample
MARGIN = 0.99  # SPEC paced slightly below the rate, so that queues drain
QUANTUM_TIME = 0.001  # SPEC seconds of sending that may leave as one burst
MAX_QUANTUM = 44  # TUNING packets of one offloaded send


class Phase(Enum):
    """What the sender is after."""

    STARTUP = auto()
    DRAIN = auto()
    PROBE_BANDWIDTH = auto()
    PROBE_RTT = auto()


class Bbr:
    """Models the path by its largest rate and its shortest time, and sends their product.

        STARTUP --rate stopped growing--> DRAIN --queue gone--> PROBE_BANDWIDTH
        any --no shorter time for 10 s--> PROBE_RTT --200 ms--> STARTUP or PROBE_BANDWIDTH

    Losses bound the window for one round only: a path that loses packets at random is not slowed
    down, a full queue is found by its delay. Source: Cardwell et al., BBR, 2016; RFC drafts.
    """

    def __init__(self, *, phase: int = 0) -> None:
        """`phase`: 0 to 6, where the cycle of rates begins (by chance, so that peers differ)."""
        self.state = Phase.STARTUP
        self.window = INITIAL_WINDOW
        """Packets that may be in flight."""
        self.min_rtt: float | None = None
        self._first_phase = phase
        self._pacing_gain = HIGH_GAIN
        self._window_gain = HIGH_GAIN
        self._rates: deque[tuple[int, float]] = deque()  # (round, rate), falling
        self._round = 0
        self._round_end = 0
        self._is_round_start = False
        self._full_rate = 0.0
        self._full_rounds = 0
        self._is_full = False
        self._min_rtt_at = 0.0
        self._cycle = 0
        self._cycle_at = 0.0
        self._probe_rtt_until: float | None = None
        self._probe_rtt_round = False
        self._prior_window = 0
        self._in_recovery = False
        self._conserve = False
        self._restart = False
        self._initial_rate = HIGH_GAIN * INITIAL_WINDOW / FIRST_RTT
        self._has_rtt = False

    @property
    def rate(self) -> float:
        """The path's rate in packets a second; 0 while unknown."""
        return self._rates[0][1] if self._rates else 0.0

    @property
    def pacing_rate(self) -> float:
        """Packets a second to send at."""
        rate = self.rate
        if not rate:
            return self._initial_rate
        paced = self._pacing_gain * rate * MARGIN
        return paced if self._is_full else max(paced, self._initial_rate)

    @property
    def quantum(self) -> int:
        """Packets that may leave as one burst."""
        return int(min(max(self.pacing_rate * QUANTUM_TIME, 2), MAX_QUANTUM))

    # -- what happens -----------------------------------------------------------------------------

    def on_ack(
        self, sample: RateSample, now: float, *, delivered: int, in_flight: int, lost: int
    ) -> None:
        """Packets were acked; `lost` of others were found lost meanwhile."""
        self._update_rounds(sample, delivered)
        self._update_rate(sample)
        self._update_cycle(now, in_flight, lost)
        self._check_full(sample)
        self._check_drain(now, in_flight)
        self._update_min_rtt(sample, now, delivered, in_flight)
        self._set_window(sample, delivered, in_flight, lost)

    def on_recovery(self, *, delivered: int, in_flight: int, acked: int) -> None:
        """The first loss of a round: send no more than arrives, for this round."""
        if not self._in_recovery:
            self._save_window()
            self._in_recovery = True
            self._conserve = True
            self._round_end = delivered
            self.window = max(in_flight + acked, 1)

    def on_recovered(self) -> None:
        """All that was in flight at the loss has arrived."""
        if self._in_recovery:
            self._in_recovery = self._conserve = False
            self.window = max(self.window, self._prior_window)

    def on_timeout(self, *, delivered: int, in_flight: int) -> None:
        """Nothing was acked for a whole timeout."""
        if not self._in_recovery:
            self._save_window()
            self._in_recovery = True
        self._conserve = True
        self._round_end = delivered
        self._full_rate = 0.0
        self.window = in_flight + 1

    def on_restart(self, now: float) -> None:
        """Sending begins again after there was nothing to send."""
        self._restart = True
        if self.state is Phase.PROBE_BANDWIDTH:
            self._pacing_gain = 1.0
            self._cycle_at = now

    # -- inside -----------------------------------------------------------------------------------

    def _update_rounds(self, sample: RateSample, delivered: int) -> None:
        self._is_round_start = False
        if sample.prior_delivered >= self._round_end:
            self._round_end = delivered
            self._round += 1
            self._is_round_start = True
            self._conserve = False

    def _update_rate(self, sample: RateSample) -> None:
        if sample.rtt is not None and not self._has_rtt:
            self._has_rtt = True
            self._initial_rate = HIGH_GAIN * INITIAL_WINDOW / max(sample.rtt, FIRST_RTT)
        if not sample.delivered:
            return
        rate = sample.delivered / sample.interval
        if sample.app_limited and rate < self.rate:
            return
        rates = self._rates
        while rates and rates[-1][1] <= rate:
            rates.pop()
        rates.append((self._round, rate))
        while rates[0][0] < self._round - BANDWIDTH_ROUNDS:
            rates.popleft()

    def _bdp(self, gain: float) -> float:
        """Packets that the path holds, times `gain`."""
        if self.min_rtt is None or not self._rates:
            return INITIAL_WINDOW * gain
        return gain * self.rate * self.min_rtt

    def _target(self, gain: float) -> int:
        """The window for a gain: with room for bursts, and for acks that come in clumps."""
        return int(self._bdp(gain)) + 1 + 3 * self.quantum

    def _update_cycle(self, now: float, in_flight: int, lost: int) -> None:
        if self.state is not Phase.PROBE_BANDWIDTH or self.min_rtt is None:
            return
        is_over = now - self._cycle_at > self.min_rtt
        if self._pacing_gain > 1:
            is_over = is_over and (lost > 0 or in_flight >= self._target(self._pacing_gain))
        elif self._pacing_gain < 1:
            is_over = is_over or in_flight <= self._target(1.0)
        if is_over:
            self._set_cycle((self._cycle + 1) % len(CYCLE), now)

    def _set_cycle(self, cycle: int, now: float) -> None:
        self._cycle = cycle
        self._cycle_at = now
        self._pacing_gain = CYCLE[cycle]

    def _check_full(self, sample: RateSample) -> None:
        if self._is_full or not self._is_round_start or sample.app_limited:
            return
        if self.rate >= self._full_rate * FULL_GROWTH:
            self._full_rate = self.rate
            self._full_rounds = 0
            return
        self._full_rounds += 1
        self._is_full = self._full_rounds >= FULL_ROUNDS

    def _check_drain(self, now: float, in_flight: int) -> None:
        if self.state is Phase.STARTUP and self._is_full:
            self.state = Phase.DRAIN
            self._pacing_gain, self._window_gain = DRAIN_GAIN, HIGH_GAIN
        if self.state is Phase.DRAIN and in_flight <= self._target(1.0):
            self._enter_probe_bandwidth(now)

    def _enter_probe_bandwidth(self, now: float) -> None:
        self.state = Phase.PROBE_BANDWIDTH
        self._window_gain = WINDOW_GAIN
        # Anywhere but in the phase that sends less than the rate.
        self._set_cycle((2 + self._first_phase) % len(CYCLE), now)

    def _update_min_rtt(
        self, sample: RateSample, now: float, delivered: int, in_flight: int
    ) -> None:
        is_old = self.min_rtt is not None and now > self._min_rtt_at + MIN_RTT_TIME
        rtt = sample.rtt
        if rtt is not None and (self.min_rtt is None or rtt <= self.min_rtt or is_old):
            self.min_rtt = rtt
            self._min_rtt_at = now
        if is_old and not self._restart and self.state is not Phase.PROBE_RTT:
            self.state = Phase.PROBE_RTT
            self._pacing_gain = self._window_gain = 1.0
            self._save_window()
            self._probe_rtt_until = None
        if self.state is Phase.PROBE_RTT:
            self._probe_rtt(now, delivered, in_flight)
        if sample.acked:
            self._restart = False

    def _probe_rtt(self, now: float, delivered: int, in_flight: int) -> None:
        if self._probe_rtt_until is None:
            if in_flight <= MIN_WINDOW:
                self._probe_rtt_until = now + PROBE_RTT_TIME
                self._probe_rtt_round = False
                self._round_end = delivered
            return
        self._probe_rtt_round = self._probe_rtt_round or self._is_round_start
        if self._probe_rtt_round and now > self._probe_rtt_until:
            self._min_rtt_at = now
            self.window = max(self.window, self._prior_window)
            if self._is_full:
                self._enter_probe_bandwidth(now)
            else:
                self.state = Phase.STARTUP
                self._pacing_gain = self._window_gain = HIGH_GAIN

    def _save_window(self) -> None:
        if not self._in_recovery and self.state is not Phase.PROBE_RTT:
            self._prior_window = self.window
        else:
            self._prior_window = max(self._prior_window, self.window)

    def _set_window(self, sample: RateSample, delivered: int, in_flight: int, lost: int) -> None:
        window = self.window
        if self._in_recovery:
            window = max(window - lost, 1)
        if self._conserve:
            window = max(window, in_flight + sample.acked)
        else:
            target = self._target(self._window_gain)
            if self._is_full:
                window = min(window + sample.acked, target)
            elif window < target or delivered < INITIAL_WINDOW:
                window += sample.acked
            window = max(window, MIN_WINDOW)
        if self.state is Phase.PROBE_RTT:
            window = min(window, MIN_WINDOW)
        self.window = window

"""The sending half of a stream: what to put on the wire now, and what to send again."""

from collections.abc import Callable

from pearbox_edge.wire import Buffer

from .congestion import Bbr, Phase
from .flight import Flight, Run
from .loss import Rack, tail_timeout
from .mtu import MAX_MTU, OVERHEAD_IPV4, MtuSearch
from .outbox import Outbox
from .pacing import Pacer
from .packet import HEADER_SIZE
from .rate import RateSampler
from .rtt import RttEstimator

MAX_EXPIRIES = 7  # SPEC sheet 02: the seventh timeout without progress ends the stream
INITIAL_WINDOW = 4 << 20  # SPEC assumed of the other end until it says otherwise
MAX_RUN = 64  # TUNING packets: what the kernel takes in one offloaded send
MAX_RUN_BYTES = 65_000  # SPEC UDP: one offloaded send may have 65,507


class Sender:
    """Decides when packets leave; the caller gives them their headers.

    A timer is a moment or None: `retry_at` (nothing was acked for long), `tail_at` (the last packet
    may be lost), `reorder_at` (what was overtaken may be lost), `pace_at` (more may leave).
    """

    def __init__(self, *, first: int = 0, phase: int = 0) -> None:
        self.outbox = Outbox()
        self.flight = Flight(first)
        self.rtt = RttEstimator()
        self.mtu = MtuSearch()
        self.bbr = Bbr(phase=phase)
        self.window = INITIAL_WINDOW
        """Bytes that the other end takes."""
        self.path = 0
        self.expiries = 0
        """Timeouts since something was acked."""
        self.retransmits = 0
        """Packets sent more than once."""
        self.end_seq: int | None = None
        """The packet that carries our END."""
        self.retry_at: float | None = None
        self.tail_at: float | None = None
        self.reorder_at: float | None = None
        self.pace_at: float | None = None
        self._phase = phase
        self._overhead = OVERHEAD_IPV4
        self._rates = RateSampler()
        self._rack = Rack()
        self._pacer = Pacer()
        self._wants_end = False
        self._recovery_end: int | None = None
        self._tail_end: int | None = None
        self._tail_due = False
        self._newly_lost = 0
        self._idle = True

    # -- what the owner says ----------------------------------------------------------------------

    def write(self, data: Buffer) -> None:
        """Queue bytes."""
        self.outbox.write(data)

    def end(self) -> None:
        """After what is queued, the END."""
        self._wants_end = True

    @property
    def end_is_acked(self) -> bool:
        """Whether the other end has all, the END included."""
        return self.end_seq is not None and self.flight.acked > self.end_seq

    @property
    def wants_end(self) -> bool:
        """Whether `end` was called."""
        return self._wants_end

    @property
    def has_new(self) -> bool:
        """Whether there is something that was never sent."""
        return bool(self.outbox.size) or (self._wants_end and self.end_seq is None)

    @property
    def is_blocked(self) -> bool:
        """Whether the other end's shut window keeps everything from moving."""
        return self.window == 0 and self.has_new and not len(self.flight)

    def use_path(
        self, path: int, *, overhead: int = OVERHEAD_IPV4, limit: int = MAX_MTU, reset: bool
    ) -> None:
        """New packets take another path: nothing that was learned of the old one holds (reset)."""
        self.path = path
        self._overhead = overhead
        self.mtu = MtuSearch(overhead=overhead, limit=limit)
        if reset:
            self.rtt = RttEstimator()
            self.bbr = Bbr(phase=self._phase)
            self._pacer = Pacer()
            self._recovery_end = None

    # -- acks -------------------------------------------------------------------------------------

    def on_acks(self, ack: int, sacks: list[tuple[int, int]], now: float) -> bool:
        """The other end has all before `ack`, and these. True if it was news."""
        flight = self.flight
        done = flight.ack(ack)
        for start, end in sacks:
            if flight.acked <= start < end <= flight.next:
                done += flight.sack(start, end)
        if not done:
            return False
        self._account(done, now)
        self.expiries = 0
        if self._tail_end is not None and flight.acked >= self._tail_end:
            self._tail_end = None
        self.find_lost(now)
        self._leave_recovery()
        self._arm(now)
        return True

    def _account(self, done: list[Run], now: float) -> None:
        """Learn from what arrived: times, rates, the window."""
        prior_min = self.rtt.minimum
        fresh: float | None = None
        count = 0
        for run in done:
            count += run.end - run.first
            self._rates.on_acked(run, now)
            self._rack.on_acked(run, now, prior_min)
            if run.sends == 1 and run.path == self.path:
                sample = now - run.sent_at
                fresh = sample if fresh is None else min(fresh, sample)
            if run.padding:
                self.mtu.on_probe_acked(run.first)
        self.mtu.on_ack()
        if fresh is not None:
            self.rtt.add(fresh, now)
        sample_ = self._rates.sample(now, rtt=fresh, min_rtt=self.rtt.minimum)
        lost, self._newly_lost = self._newly_lost, 0
        self.bbr.on_ack(
            sample_,
            now,
            delivered=self._rates.delivered,
            in_flight=self.flight.in_flight,
            lost=lost,
        )
        if self.bbr.state is Phase.PROBE_RTT:
            self._rates.on_app_limited(self.flight.in_flight)  # it is our doing, not the path's

    def find_lost(self, now: float) -> None:
        """Mark what RACK believes to be lost."""
        lost, self.reorder_at = self._rack.find_lost(
            self.flight, now, self.rtt, in_recovery=self._recovery_end is not None
        )
        congested = False
        for run in lost:
            congested |= not run.padding
            self._lose(run)
        if congested and self._recovery_end is None:
            self._recovery_end = self.flight.next
            self.bbr.on_recovery(
                delivered=self._rates.delivered, in_flight=self.flight.in_flight, acked=1
            )

    def _lose(self, run: Run) -> None:
        self.flight.mark_lost(run)
        if run.padding:
            self.mtu.on_probe_lost(run.first)
            run.padding = 0
        else:
            self._newly_lost += run.end - run.first

    def _leave_recovery(self) -> None:
        if self._recovery_end is not None and self.flight.acked >= self._recovery_end:
            self._recovery_end = None
            self.bbr.on_recovered()
            self._rack.on_recovered()

    # -- timers -----------------------------------------------------------------------------------

    def _arm(self, now: float) -> None:
        """Start anew to wait for an ack."""
        flight = self.flight
        if not len(flight):
            self.retry_at = self.tail_at = self.reorder_at = None
            return
        self.retry_at = now + self.rtt.rto * (2 if self.expiries else 1)
        self._arm_tail(now)

    def _arm_tail(self, now: float) -> None:
        self.tail_at = None
        flight = self.flight
        # RFC 8985 waits for the timeout in recovery; but a probe also finds a lost retransmission.
        if not self.expiries and not flight.lost and self._tail_end is None:
            wait = tail_timeout(self.rtt, flight.in_flight)
            if wait is not None and self.retry_at is not None and now + wait < self.retry_at:
                self.tail_at = now + wait

    def deadline(self) -> float | None:
        """The first of the timers."""
        first: float | None = None
        for moment in (self.retry_at, self.tail_at, self.reorder_at, self.pace_at):
            if moment is not None and (first is None or moment < first):
                first = moment
        return first

    def expire(self, now: float) -> None:
        """Act on the timers that are due."""
        if self.pace_at is not None and now >= self.pace_at:
            self.pace_at = None
        if self.reorder_at is not None and now >= self.reorder_at:
            self.find_lost(now)
        if self.tail_at is not None and now >= self.tail_at:
            self.tail_at = None
            self._tail_due = bool(len(self.flight))
        if self.retry_at is not None and now >= self.retry_at:
            self._on_timeout(now)

    def _on_timeout(self, now: float) -> None:
        self.expiries += 1
        overdue = now - self.rtt.rto
        for number, run in enumerate(list(self.flight)):
            if not run.is_lost and (number == 0 or run.sent_at <= overdue):
                self._lose(run)
        self._tail_due = False
        self._tail_end = None
        if self._recovery_end is None:
            self._recovery_end = self.flight.next
        self.bbr.on_timeout(delivered=self._rates.delivered, in_flight=self.flight.in_flight)
        self._arm(now)

    # -- sending ----------------------------------------------------------------------------------

    def send(self, now: float, put: Callable[[Run], None]) -> None:
        """Hand every packet that may leave now to `put`, as runs."""
        flight = self.flight
        self.pace_at = None
        if not (flight.lost or self.has_new or self._tail_due):
            return
        if self._idle and not flight.in_flight:
            self.bbr.on_restart(now)
        self._idle = False
        rate = self.bbr.pacing_rate
        credit = self._pacer.allowed(now, rate)
        if flight.lost and flight.in_flight == 0:
            credit = max(credit, 1)  # after a timeout one packet leaves whatever the pace is
        credit = self._send_lost(now, credit, put)
        credit = self._send_new(now, credit, put)
        if self._tail_due:
            self._send_tail(now, put)
        room = self.bbr.window - flight.in_flight
        if room > 0 and credit <= 0 and (flight.lost or self._new_allowed() > 0):
            self.pace_at = self._pacer.ready_at(rate)
        elif room > 0 and not flight.lost and not self.outbox.size:
            self._rates.on_app_limited(flight.in_flight)
            self._idle = True

    def _send_lost(self, now: float, credit: int, put: Callable[[Run], None]) -> int:
        flight = self.flight
        most = min(credit, max(self.bbr.window - flight.in_flight, 0))
        if flight.lost and most > 0:
            for run in flight.take_lost(most):
                credit -= len(run)
                self.retransmits += len(run)
                if run.sends > 1:
                    run.path = self.path  # the old path had its chance
                self._depart(run, now, put, again=True)
        return credit

    def _new_allowed(self) -> int:
        """New packets that both windows have room for."""
        if not self.has_new:
            return 0
        flight = self.flight
        room = self.bbr.window - flight.in_flight
        theirs = self.window // self.mtu.payload
        if self.window and not theirs:
            theirs = 1
        return min(room, theirs - (flight.next - flight.acked))

    def _send_new(self, now: float, credit: int, put: Callable[[Run], None]) -> int:
        payload = self.mtu.payload
        most = min(credit, self._new_allowed())
        if most > 0 and self.outbox.size and self._send_probe(now, put):
            most -= 1
            credit -= 1
        longest = min(MAX_RUN, MAX_RUN_BYTES // (payload + HEADER_SIZE))
        while most > 0 and self.has_new:
            data = self.outbox.take(min(most, longest) * payload)
            count = self._new_run(data, payload, 0, now, put)
            most -= count
            credit -= count
        return credit

    def _send_probe(self, now: float, put: Callable[[Run], None]) -> bool:
        """The next packet, padded, if a probe of the path's MTU is due."""
        size = min(self.outbox.size, self.mtu.payload)
        padding = self.mtu.padding(size)
        if not padding:
            return False
        self.mtu.on_probe_sent(self.flight.next)
        self._new_run(self.outbox.take(size), size, padding, now, put)
        return True

    def _new_run(
        self,
        data: memoryview,
        size: int,
        padding: int,
        now: float,
        put: Callable[[Run], None],
    ) -> int:
        flight = self.flight
        count = max(-(-len(data) // size), 1)
        is_last = self._wants_end and not self.outbox.size
        run = Run(
            flight.next,
            flight.next + count,
            data,
            size,
            ends_stream=is_last,
            padding=padding,
            path=self.path,
        )
        if is_last:
            self.end_seq = run.end - 1
        self._depart(run, now, put, again=False)
        return count

    def _depart(self, run: Run, now: float, put: Callable[[Run], None], *, again: bool) -> None:
        flight = self.flight
        size = run.end - run.first
        self._rates.on_sent(run, now, in_flight=flight.in_flight - (size if again else 0))
        run.sent_at = now
        run.sends += 1
        if not again:
            flight.add(run)
        self._pacer.spend(size)
        if self.retry_at is None:
            self._arm(now)
        elif not again:
            self._arm_tail(now)
        put(run)

    def _send_tail(self, now: float, put: Callable[[Run], None]) -> None:
        """Something must leave: if nothing new may, the last packet once more."""
        self._tail_due = False
        flight = self.flight
        if not len(flight) or self._tail_end is not None:
            return
        self._tail_end = flight.next
        if flight.newest.sent_at == now and flight.newest.sends == 1:
            return  # new data has just left: that is probe enough
        run = flight.last_packet()
        if run.is_lost:
            return
        if run.padding:
            self.mtu.on_probe_lost(run.first)
            run.padding = 0
        self.retransmits += 1
        self._depart(run, now, put, again=True)
        self.retry_at = now + self.rtt.rto
        self.tail_at = None

    def clear(self) -> None:
        """Nothing will be sent any more."""
        self.outbox.clear()
        self.flight.clear()
        self._wants_end = False
        self.retry_at = self.tail_at = self.reorder_at = self.pace_at = None

"""Questions under way: transaction ids, sends again, giving up, and waiting for room."""

from collections import deque
from collections.abc import Callable
from enum import Enum
from heapq import heappop, heappush
from typing import NamedTuple

from pearbox_edge.errors import UsageError
from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .congestion import MAX_WINDOW, TIMEOUT, AdaptiveTimeout, CongestionWindow
from .messages import Response

RETRIES = 3  # SPEC sends after the first one
MAX_PENDING = 4096  # TUNING questions under way; far below the 65536 transaction ids
_TIDS = 65536  # SPEC


class Reply(NamedTuple):
    """An answer to a question of ours."""

    sender: Address
    id: NodeId | None
    """The sender's id if it is a lasting member of the DHT, checked against its address."""
    to: Address
    """Our address as the sender saw it."""
    token: bytes | None
    closer: tuple[Address, ...]
    error: int
    value: bytes | None
    rtt: float
    """Seconds since we first asked."""
    socket: int
    """Which of our sockets it came to."""


class Failure(Enum):
    """Why there is no answer."""

    TIMED_OUT = "REQUEST_TIMEOUT"
    CANCELLED = "REQUEST_DESTROYED"
    SUSPENDED = "IO_SUSPENDED"
    TOO_MANY = "TOO_MANY_REQUESTS"


class Question(NamedTuple):
    """What is asked of whom."""

    to: Address
    command: int
    internal: bool = False
    target: bytes | None = None
    value: bytes | None = None
    token: bytes | None = None
    id: NodeId | None = None
    """The node's id, if it is to leave the table when it does not answer."""


class Asking:
    """One question under way.

    WAITING --room in the window--> SENT --answer | given up | cancelled--> done
                                     \\--timeout, sends left--> WAITING
    """

    __slots__ = (
        "attempts",
        "counted",
        "datagram",
        "done",
        "first_sent_at",
        "on_failure",
        "on_reply",
        "on_slow",
        "question",
        "retry_at",
        "sent",
        "socket",
        "tid",
        "timeout",
        "ttl",
    )

    def __init__(self, question: Question, tid: int, socket: int) -> None:
        self.question = question
        self.tid = tid
        self.socket = socket
        self.attempts = 1 + RETRIES
        self.timeout = 0.0
        """Seconds each send waits; 0 for the usual."""
        self.ttl = 0
        self.counted = True
        """Whether the congestion window holds it back."""
        self.datagram = b""
        self.sent = 0
        self.first_sent_at = 0.0
        self.retry_at = 0.0
        self.done = False
        self.on_reply: Callable[[Reply], None] | None = None
        self.on_failure: Callable[[Failure], None] | None = None
        self.on_slow: Callable[[], None] | None = None


class Outgoing(NamedTuple):
    """A datagram to send. `ttl` 0 means the usual one."""

    socket: int
    data: bytes
    address: Address
    ttl: int = 0


class RequestMachine:
    """Send questions, send again, match answers by transaction id and sender.

    Spoofed answers have to guess both. Format: npm dht-rpc 6.27.0, `lib/io.js`.
    """

    def __init__(
        self,
        now: float,
        random_bytes: Callable[[int], bytes],
        *,
        max_window: int = MAX_WINDOW,
        adaptive_timeout: bool = False,
    ) -> None:
        self.window = CongestionWindow(now, max_window)
        self.responses = 0
        """Answers so far, here and below: for measuring the network's health."""
        self.timeouts = 0
        self.retries = 0
        self.strays = 0
        """Answers to nothing that was asked, or from somebody else."""
        self._random_bytes = random_bytes
        self._max_window = max_window
        self._adaptive = AdaptiveTimeout() if adaptive_timeout else None
        self._next_tid = int.from_bytes(random_bytes(2), "little")
        self._pending: dict[int, Asking] = {}
        self._waiting: deque[Asking] = deque()
        self._timers: list[tuple[float, int, Asking]] = []
        self._timer_count = 0
        self._out: list[Outgoing] = []

    def __len__(self) -> int:
        """Questions under way."""
        return len(self._pending)

    # -- asking -----------------------------------------------------------------------------------

    def new(self, question: Question, socket: int) -> Asking | None:
        """Prepare a question; None if too many are under way. `send` must follow."""
        if len(self._pending) >= MAX_PENDING:
            return None
        tid = self._next_tid
        while tid in self._pending:
            tid = (tid + 1) % _TIDS
        self._next_tid = (tid + 1) % _TIDS
        asking = Asking(question, tid, socket)
        self._pending[tid] = asking
        return asking

    def send(self, asking: Asking, now: float, *, force: bool = False) -> None:
        """Send it (again), or have it wait for room; `force` never waits."""
        if asking.done:
            return
        if not asking.datagram:
            raise UsageError("a question without its datagram")
        if asking.counted and not force and self.window.is_full(now):
            asking.retry_at = 0.0
            self._waiting.append(asking)
            return
        self._send_now(asking, now)

    def cancel(self, asking: Asking, now: float, failure: Failure = Failure.CANCELLED) -> None:
        """Give it up and tell its owner; nothing happens if it is done."""
        if not asking.done:
            self._settle(asking, now)
            if asking.on_failure is not None:
                asking.on_failure(failure)

    def cancel_all(self, now: float, failure: Failure) -> None:
        """Give up everything."""
        for asking in list(self._pending.values()):
            self.cancel(asking, now, failure)
        self._waiting.clear()
        self._timers.clear()
        self._out.clear()
        self.window = CongestionWindow(now, self._max_window)

    def match(self, response: Response, sender: Address, now: float) -> Asking | None:
        """The question that this answers; it is done then. None for strays."""
        asking = self._pending.get(response.tid)
        if asking is None or asking.question.to != sender or not asking.sent:
            self.strays += 1
            return None
        self._settle(asking, now)
        self.responses += 1
        if self._adaptive is not None and asking.sent <= 2:
            self._adaptive.answered(sender, now - asking.first_sent_at, now)
        return asking

    # -- time -------------------------------------------------------------------------------------

    def deadline(self, now: float) -> float | None:
        """When to call `expire`."""
        timers = self._timers
        while timers and (timers[0][2].done or timers[0][0] != timers[0][2].retry_at):
            heappop(timers)
        next_timer = timers[0][0] if timers else None
        if not self._waiting:
            return next_timer
        reopens_at = now if not self.window.is_full(now) else self.window.reopens_at(now)
        return reopens_at if next_timer is None else min(reopens_at, next_timer)

    def expire(self, now: float) -> list[Asking]:
        """Send again what was not answered in time; returns what has been given up.

        Their owners have been told.
        """
        given_up = []
        timers = self._timers
        while timers and timers[0][0] <= now:
            retry_at, _, asking = heappop(timers)
            if asking.done or retry_at != asking.retry_at:
                continue
            if asking.on_slow is not None:
                on_slow, asking.on_slow = asking.on_slow, None
                on_slow()
                if asking.done:
                    continue
            if asking.sent >= asking.attempts:
                self.timeouts += 1
                given_up.append(asking)
                self.cancel(asking, now, Failure.TIMED_OUT)
            else:
                self.retries += 1
                self.send(asking, now)
        self._fill_window(now)
        return given_up

    def transmit(self, now: float) -> list[Outgoing]:
        """Drain the datagrams to send."""
        self._fill_window(now)
        out, self._out = self._out, []
        return out

    # -- inside -----------------------------------------------------------------------------------

    def _fill_window(self, now: float) -> None:
        waiting = self._waiting
        while waiting and (waiting[0].done or not self.window.is_full(now)):
            asking = waiting.popleft()
            if not asking.done:
                self._send_now(asking, now)

    def _send_now(self, asking: Asking, now: float) -> None:
        if not asking.sent:
            asking.first_sent_at = now
        asking.sent += 1
        if asking.counted:
            self.window.sent(now)
        to = asking.question.to
        self._out.append(Outgoing(asking.socket, asking.datagram, to, asking.ttl))
        timeout = asking.timeout
        if not timeout and self._adaptive is not None:
            chance = int.from_bytes(self._random_bytes(2), "little") / 65536
            timeout = self._adaptive.timeout(to, asking.sent, chance, now)
        asking.retry_at = now + (timeout or TIMEOUT)
        self._timer_count += 1
        heappush(self._timers, (asking.retry_at, self._timer_count, asking))

    def _settle(self, asking: Asking, now: float) -> None:
        asking.done = True
        del self._pending[asking.tid]
        if asking.counted and asking.sent:
            self.window.settled(now)

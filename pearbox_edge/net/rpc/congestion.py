"""How much may be asked at once, and how long an answer may take."""

from collections import OrderedDict

from pearbox_edge.wire import Address

SLOT = 0.75  # SPEC seconds
_SLOTS = 4  # SPEC
MAX_WINDOW = 80  # SPEC sends in one slot; twice that in all of them

TIMEOUT = 1.0  # SPEC seconds, unless asked to adapt
_LEAST = 0.3  # SPEC seconds, here and below: npm adaptive-timeout 1.0.1
_MOST = 4.0
_JITTER = 0.256
_UNKNOWN = (0.25, 0.5, 1.0, 2.0, 4.0)
_FORGET_AFTER = 600.0  # SPEC
_REMEMBERED = 4096  # TUNING nodes; the one longest not heard of goes first


class CongestionWindow:
    """Sends of the last three seconds, less those answered: 80 in a slot, 160 in all.

    Format: npm dht-rpc 6.27.0.
    """

    def __init__(self, now: float, max_window: int = MAX_WINDOW) -> None:
        self._max = max_window
        self._slots = [0] * _SLOTS
        self._current = 0
        self._total = 0
        self._next_slot = now + SLOT

    def is_full(self, now: float) -> bool:
        """Whether a send has to wait."""
        self._turn(now)
        return self._total >= 2 * self._max or self._slots[self._current] >= self._max

    def sent(self, now: float) -> None:
        """Count one send."""
        self._turn(now)
        self._slots[self._current] += 1
        self._total += 1

    def settled(self, now: float) -> None:
        """Something was answered or given up: one more may go."""
        self._turn(now)
        if self._slots[self._current]:
            self._slots[self._current] -= 1
            self._total -= 1

    def reopens_at(self, now: float) -> float:
        """When the next slot begins."""
        self._turn(now)
        return self._next_slot

    def _turn(self, now: float) -> None:
        for _ in range(_SLOTS):
            if now < self._next_slot:
                return
            self._current = (self._current + 1) % _SLOTS
            self._total -= self._slots[self._current]
            self._slots[self._current] = 0
            self._next_slot += SLOT
        if now >= self._next_slot:
            self._next_slot = now + SLOT


class AdaptiveTimeout:
    """Time out nodes by how fast they used to answer. Format: npm adaptive-timeout 1.0.1."""

    def __init__(self) -> None:
        self._known: OrderedDict[Address, tuple[float, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def answered(self, address: Address, rtt: float, now: float) -> None:
        """Learn from an answer that took `rtt` seconds."""
        known = self._get(address, now)
        if known is None:
            average, variance = rtt, rtt / 2
        else:
            average, variance = known
            variance += (abs(average - rtt) - variance) / 4
            average += (rtt - average) / 8
        self._known[address] = (average, variance, now + _FORGET_AFTER)
        self._known.move_to_end(address)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def timeout(self, address: Address, attempt: int, chance: float, now: float) -> float:
        """Seconds to wait for the answer to the n-th send (1, 2 ...); chance: 0 to 1."""
        jitter = chance * _JITTER
        known = self._get(address, now)
        if known is None:
            return _UNKNOWN[min(attempt, len(_UNKNOWN)) - 1] + jitter
        average, variance = known
        return min(max((average + 2 * variance) * attempt + jitter, _LEAST), _MOST)

    def _get(self, address: Address, now: float) -> tuple[float, float] | None:
        known = self._known.get(address)
        if known is None or known[2] <= now:
            return None
        return known[:2]

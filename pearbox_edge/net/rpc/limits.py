"""What strangers may cost: questions a host, and bytes to hosts that may not have asked."""

from collections import OrderedDict
from dataclasses import dataclass

from pearbox_edge.wire import Address

from .requests import Asking

_HEADERS = 28  # SPEC bytes of IPv4 and UDP around each datagram
_KEPT_HOSTS = 4096  # TUNING; the one longest not heard of goes first
_PROVEN_FOR = 600.0  # TUNING seconds, about as long as a NAT's address stays
MAX_HELD = 256  # TUNING answers that wait for their asker to prove itself


class HostRates:
    """A bucket of questions for each host, refilled at `rate` a second up to `burst`.

    Our own machine is not counted. The table of hosts is bounded: under a flood from many hosts it
    forgets quiet ones first, which only gives those a full bucket again.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, host: str, now: float) -> bool:
        """Whether one more question of this host is to be answered."""
        if not self._rate or host.startswith("127."):
            return True
        level, since = self._buckets.get(host, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        allowed = level >= 1
        self._buckets[host] = (level - 1 if allowed else level, now)
        self._buckets.move_to_end(host)
        if len(self._buckets) > _KEPT_HOSTS:
            self._buckets.popitem(last=False)
        return allowed


class ProvenHosts:
    """Hosts that have lately shown to receive what is sent to them."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def prove(self, host: str, now: float) -> None:
        """It answered a question of ours, or came back with a token."""
        self._until[host] = now + _PROVEN_FOR
        self._until.move_to_end(host)
        if len(self._until) > _KEPT_HOSTS:
            self._until.popitem(last=False)

    def is_proven(self, host: str, now: float) -> bool:
        """Whether it may be sent more than it asked with."""
        return self._until.get(host, now) > now


def fits(size: int, asked_size: int, limit: float) -> bool:
    """Whether an answer is at most `limit` times the question, both as on the line."""
    return size + _HEADERS <= limit * (asked_size + _HEADERS)


@dataclass(slots=True, eq=False)
class Held:
    """An answer that waits, and the ping that it waits for."""

    socket: int
    data: bytes
    asking: Asking | None = None


class HeldAnswers:
    """Answers too large for somebody whose address may be forged, until that is known."""

    def __init__(self) -> None:
        self._held: OrderedDict[Address, Held] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, address: Address) -> Held | None:
        """What is kept for an address."""
        return self._held.get(address)

    def hold(self, address: Address, held: Held) -> Held | None:
        """Keep an answer; returns the oldest one, to be dropped, if there are too many."""
        self._held[address] = held
        if len(self._held) <= MAX_HELD:
            return None
        return self._held.popitem(last=False)[1]

    def release(self, address: Address) -> Held | None:
        """Take back what is kept for an address."""
        return self._held.pop(address, None)

    def clear(self) -> None:
        """Forget everything."""
        self._held.clear()

"""Whether the network answers at all: online, degraded or offline."""

from collections import deque
from enum import Enum

_WINDOW = 4  # SPEC ticks
_OFFLINE_AFTER = 2  # SPEC ticks in a row without any answer
_IDLE_BELOW = 4  # SPEC questions in a tick; fewer say nothing
_DEGRADED_ABOVE = 0.5  # SPEC share of questions without an answer


class Connectivity(Enum):
    """How well questions are answered."""

    ONLINE = "online"
    DEGRADED = "degraded"
    OFFLINE = "offline"


class Health:
    """Judge by the answers and timeouts of the last ticks. Format: npm dht-rpc 6.27.0."""

    def __init__(self) -> None:
        self.state = Connectivity.ONLINE
        self._last = (0, 0)
        self._ticks: deque[Connectivity | None] = deque(maxlen=_WINDOW)
        self._silent = 0

    def reset(self) -> None:
        """Begin anew, hopefully."""
        self.state = Connectivity.ONLINE
        self._ticks.clear()
        self._silent = 0

    def update(self, responses: int, timeouts: int) -> None:
        """A tick is over; both numbers only ever grow."""
        answered, lost = responses - self._last[0], timeouts - self._last[1]
        self._last = (responses, timeouts)
        is_cold = len(self._ticks) < _WINDOW - 1
        if is_cold or answered + lost < _IDLE_BELOW:
            self._ticks.append(None)
            return
        if not answered:
            self._ticks.append(Connectivity.OFFLINE)
            self._silent += 1
        else:
            share = lost / (answered + lost)
            bad = share > _DEGRADED_ABOVE
            self._ticks.append(Connectivity.DEGRADED if bad else Connectivity.ONLINE)
            self._silent = 0
        if self._silent >= _OFFLINE_AFTER:
            self.state = Connectivity.OFFLINE
        elif not self._silent and self.state is Connectivity.OFFLINE:
            self.state = Connectivity.ONLINE
        if self.state is not Connectivity.OFFLINE:
            if all(tick is Connectivity.DEGRADED for tick in self._ticks):
                self.state = Connectivity.DEGRADED
            elif all(tick is Connectivity.ONLINE for tick in self._ticks):
                self.state = Connectivity.ONLINE

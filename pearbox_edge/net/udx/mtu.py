"""The largest packet that the path takes, found by padding ordinary packets."""

from .packet import HEADER_SIZE, MAX_PADDING

BASE_MTU = 1200  # SPEC sheet 02: every path takes this
MAX_MTU = 1500  # SPEC
STEP = 32  # SPEC
MAX_FAILURES = 3  # SPEC lost probes that end the search
OVERHEAD_IPV4 = 20 + 8 + HEADER_SIZE  # SPEC
OVERHEAD_IPV6 = 40 + 8 + HEADER_SIZE  # SPEC


class MtuSearch:
    """Which packets to pad, and by how much. Sizes count the IP and UDP headers too.

        WAITING --first ack--> SEARCHING --at the limit | 3 probes lost--> DONE

    One probe is out at a time: an ordinary packet with zero bytes before its payload.
    """

    def __init__(self, *, overhead: int = OVERHEAD_IPV4, limit: int = MAX_MTU) -> None:
        self.mtu = BASE_MTU
        self._overhead = overhead
        self._limit = min(limit, MAX_MTU)
        self._started = False
        self._target = BASE_MTU
        self._failures = 0
        self._probe: int | None = None  # seq of the packet that is out

    @property
    def payload(self) -> int:
        """Bytes of payload that a full packet carries."""
        return self.mtu - self._overhead

    @property
    def is_done(self) -> bool:
        """Whether no more probes will be sent."""
        return self._failures >= MAX_FAILURES or self._target > self._limit

    def on_ack(self) -> None:
        """Something was acked: the path works at all, probing may begin."""
        self._started = True

    def padding(self, payload: int) -> int:
        """Zero bytes to add to a packet with `payload` bytes to make it a probe; 0 for none."""
        if not self._started or self._probe is not None or self.is_done:
            return 0
        if self._target <= self.mtu and payload + self._overhead >= self._target:
            self._advance()  # full packets of this size pass already
            if self.is_done:
                return 0
        padding = self._target - self._overhead - payload
        return padding if 0 < padding <= MAX_PADDING else 0

    def on_probe_sent(self, seq: int) -> None:
        """Packet `seq` carries the padding."""
        self._probe = seq

    def on_probe_acked(self, seq: int) -> None:
        """The path takes the size that was tried. A probe of another path is nothing to us."""
        if seq != self._probe:
            return
        self._probe = None
        self._failures = 0
        self.mtu = max(self.mtu, self._target)
        self._advance()

    def on_probe_lost(self, seq: int) -> None:
        """The probe did not arrive; it may have been chance."""
        if seq != self._probe:
            return
        self._probe = None
        self._failures += 1

    def _advance(self) -> None:
        """Go on to the next size, the limit itself being the last."""
        if self._target < self._limit:
            self._target = min(self._target + STEP, self._limit)
        else:
            self._target = self._limit + 1

"""Whom to dial, at which addresses, and when again."""

from dataclasses import dataclass, field

FIRST_DELAY = 0.25  # TUNING: seconds; a process that restarts is back within one
LONGEST_DELAY = 5.0  # TUNING: seconds; a cable that is plugged in again is noticed soon
MAX_ADDRESSES = 8  # TUNING: of one machine; the first ones stay


@dataclass(slots=True)
class Target:
    """One machine to be connected to: a name of ours for it and its addresses, best first."""

    name: str
    addresses: list[tuple[str, int]] = field(default_factory=list)

    def add(self, host: str, port: int) -> bool:
        """Remember one more address; whether it is new."""
        if (host, port) in self.addresses or len(self.addresses) >= MAX_ADDRESSES:
            return False
        self.addresses.append((host, port))
        return True

    def remove(self, host: str, port: int) -> None:
        """Forget an address."""
        if (host, port) in self.addresses:
            self.addresses.remove((host, port))


@dataclass(slots=True)
class Backoff:
    """Doubling delays between tries, up to a bound; a success starts it over."""

    delay: float = field(default=FIRST_DELAY)

    def failed(self) -> float:
        """Seconds to wait before the next try."""
        delay = self.delay
        self.delay = min(self.delay * 2, LONGEST_DELAY)
        return delay

    def succeeded(self) -> None:
        """Begin with short delays again."""
        self.delay = FIRST_DELAY

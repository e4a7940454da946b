"""What our address is, by the votes of those who answer us."""

from dataclasses import dataclass

from pearbox_edge.wire import Address

_KEPT = 16  # SPEC samples that count; the oldest goes first
_COMPARED = 4  # SPEC the latest samples that a new one can agree with


@dataclass(slots=True, eq=False)
class _Guess:
    host: str
    port: int
    hits: int = 1


class NatSampler:
    """Agree on the address that others see us under.

    `host` is None while they disagree; `port` is 0 when they agree on the host alone, as behind a
    NAT that takes another port for each of them. A few liars do not change the result.
    Format: npm nat-sampler 1.0.1. Vectors: 04-dht-rpc.json, natSampler.
    """

    def __init__(self) -> None:
        self.host: str | None = None
        self.port = 0
        self.size = 0
        """Samples counted, 16 at most."""
        self.threshold = 0
        """How many of them have to agree."""
        self._pairs: list[tuple[_Guess, _Guess]] = []
        self._oldest = 0
        self._best: _Guess | None = None
        self._best_host: _Guess | None = None

    @property
    def address(self) -> Address | None:
        """Host and port, if both are agreed on."""
        return Address(self.host, self.port) if self.host is not None and self.port else None

    def add(self, address: Address) -> int:
        """Count what one of them says; returns how many lately said the same."""
        pair = (self._vote(0, address.host, address.port), self._vote(1, address.host, 0))
        if len(self._pairs) < _KEPT:
            self.size += 1
            self.threshold = self.size - _tolerated(self.size)
            self._pairs.append(pair)
        else:
            for guess in self._pairs[self._oldest]:
                guess.hits -= 1
            self._pairs[self._oldest] = pair
            self._oldest = (self._oldest + 1) % _KEPT
        exact, host = pair
        if self._best is None or self._best.hits < exact.hits:
            self._best = exact
        if self._best_host is None or self._best_host.hits < host.hits:
            self._best_host = host
        if self._best.hits >= self.threshold:
            self.host, self.port = self._best.host, self._best.port
        elif self._best_host.hits >= self.threshold:
            self.host, self.port = self._best_host.host, 0
        else:
            self.host, self.port = None, 0
        return exact.hits

    def _vote(self, column: int, host: str, port: int) -> _Guess:
        """Join one of the latest guesses, or make a new one."""
        count = len(self._pairs)
        for back in range(1, min(_COMPARED, count) + 1):
            guess = self._pairs[(self._oldest - back) % count][column]
            if guess.host == host and guess.port == port:
                guess.hits += 1
                return guess
        return _Guess(host, port)


def _tolerated(size: int) -> int:
    """How many samples may disagree."""
    return (size >= 4) + (size >= 8) + (size >= 12)

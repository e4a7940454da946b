"""What kind of NAT a socket is behind, from the addresses that others see it at."""

from pearbox_edge.wire import Address

from .messages import Firewall

MAX_SAMPLES = 64  # TUNING answers that count; four are asked for
_ENOUGH = 3  # SPEC samples before anything is said


class _Tally:
    """How often each address was seen, the most often seen first."""

    def __init__(self) -> None:
        self.seen: list[tuple[Address, int]] = []

    def add(self, address: Address) -> None:
        for place, (known, hits) in enumerate(self.seen):
            if known == address:
                del self.seen[place]
                hits += 1
                while place and self.seen[place - 1][1] < hits:
                    place -= 1
                self.seen.insert(place, (address, hits))
                return
        self.seen.append((address, 1))


class NatClassifier:
    """Says of one socket whether all see it at the same address.

        UNKNOWN --3 samples and more--> CONSISTENT | RANDOM

    A node that everybody reaches is OPEN from the start.
    Pure. Format: npm hyperdht 6.34.0, `lib/nat.js`. Vectors: 05-hyperdht.json, nats.
    """

    def __init__(self, *, firewalled: bool) -> None:
        self.firewall = Firewall.UNKNOWN if firewalled else Firewall.OPEN
        self.samples = 0
        self._firewalled = firewalled
        self._visited: set[Address] = set()
        self._hosts = _Tally()
        self._addresses = _Tally()

    @property
    def addresses(self) -> tuple[Address, ...] | None:
        """What to tell the other side; port 0: a different one for everybody. None if unknown."""
        if self.firewall == Firewall.RANDOM:
            return (self._hosts.seen[0][0],)
        if self.firewall != Firewall.CONSISTENT:
            return None
        chosen: list[Address] = []
        for address, hits in self._addresses.seen:
            if hits >= 2 or len(chosen) < 2:
                chosen.append(address)
        return tuple(chosen)

    def add(self, seen: Address, by: Address) -> None:
        """A node saw us at this address; each node counts once."""
        if by in self._visited or self.samples >= MAX_SAMPLES:
            return
        self._visited.add(by)
        self.samples += 1
        self._hosts.add(Address(seen.host, 0))
        self._addresses.add(seen)
        if self._firewalled and self.samples >= _ENOUGH:
            self._classify()

    def _classify(self) -> None:
        hits = [count for _, count in self._addresses.seen]
        if hits[0] >= _ENOUGH:
            self.firewall = Firewall.CONSISTENT
        elif hits[0] == 1 or (len(self._hosts.seen) == 1 and self.samples > _ENOUGH):
            self.firewall = Firewall.RANDOM
        elif len(self._hosts.seen) > 1 and hits[1] > 1:
            self.firewall = Firewall.CONSISTENT
        elif self.samples > _ENOUGH + 1:
            self.firewall = Firewall.RANDOM

"""Which cores are open, and since when nobody has needed them."""

from collections.abc import Iterator
from dataclasses import dataclass

from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.replication import Replicator
from pearbox_edge.ids import DiscoveryKey

IDLE_SECONDS = 8.0  # SPEC sheet 16: a core without handles and peers is closed after four times 2 s
LINGER_SECONDS = 20.0
"""TUNING: a core nobody holds still says that it downloads, so that a channel is not closed just
before the next handle; the real package waits 20 to 40 s."""


@dataclass(slots=True)
class OpenCore:
    """A core, its replicator, and since when it has no handle and no channel."""

    core: Hypercore
    replicator: Replicator
    idle_since: float | None = None
    unheld_since: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether anybody but the store has it open."""
        return self.core.sessions > 1


class OpenCores:
    """All open cores of a store and its namespaces, by discovery key."""

    def __init__(self) -> None:
        self._cores: dict[DiscoveryKey, OpenCore] = {}

    def __len__(self) -> int:
        return len(self._cores)

    def __iter__(self) -> Iterator[OpenCore]:
        return iter(list(self._cores.values()))

    def get(self, discovery_key: DiscoveryKey) -> OpenCore | None:
        """An open core."""
        return self._cores.get(discovery_key)

    def add(self, entry: OpenCore) -> None:
        """A core was opened."""
        self._cores[entry.core.discovery_key] = entry

    def remove(self, entry: OpenCore) -> None:
        """A core is being closed."""
        self._cores.pop(entry.core.discovery_key, None)

    def sweep(self, now: float) -> list[OpenCore]:
        """Look at all cores: an unheld one stops downloading; gives those to close."""
        idle = []
        for entry in self:
            if entry.is_held:
                entry.idle_since = entry.unheld_since = None
                continue
            if entry.unheld_since is None:
                entry.unheld_since = now
            if now - entry.unheld_since >= LINGER_SECONDS:
                entry.replicator.set_downloading(False)
            if not entry.replicator.is_idle:
                entry.idle_since = None
            elif entry.idle_since is None:
                entry.idle_since = now
            elif now - entry.idle_since >= IDLE_SECONDS:
                idle.append(entry)
        return idle

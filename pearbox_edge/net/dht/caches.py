"""What strangers left with us: for a while, and only so much of it."""

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from pearbox_edge.ids import PublicKey

K = TypeVar("K")
V = TypeVar("V")


class _Kept(NamedTuple, Generic[V]):
    value: V
    expires_at: float
    size: int


class ExpiringCache(Generic[K, V]):
    """A mapping whose entries leave after `max_age` seconds; the oldest first when it is full.

    max_bytes: the most that values may take together; 0 for no such limit.
    """

    def __init__(
        self,
        max_size: int,
        max_age: float,
        *,
        max_bytes: int = 0,
        on_drop: Callable[[K, V], None] | None = None,
    ) -> None:
        self.bytes = 0
        """Sum of the sizes given with `set`."""
        self._max_size = max_size
        self._max_age = max_age
        self._max_bytes = max_bytes
        self._on_drop = on_drop
        self._kept: dict[K, _Kept[V]] = {}  # renewed entries move to the end: oldest first

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[K]:
        return iter(self._kept)

    def get(self, key: K, now: float) -> V | None:
        """The value, unless it is too old."""
        kept = self._kept.get(key)
        return None if kept is None or kept.expires_at <= now else kept.value

    def set(self, key: K, value: V, now: float, *, size: int = 0) -> None:
        """Keep a value from now on."""
        before = self._kept.pop(key, None)
        if before is not None:
            self.bytes -= before.size
        self._kept[key] = _Kept(value, now + self._max_age, size)
        self.bytes += size
        self.expire(now)
        while len(self._kept) > self._max_size or 0 < self._max_bytes < self.bytes:
            self._drop(next(iter(self._kept)))

    def pop(self, key: K) -> V | None:
        """Forget one; `on_drop` is not told."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        self.bytes -= kept.size
        return kept.value

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self._kept:
            key = next(iter(self._kept))
            if self._kept[key].expires_at > now:
                return
            self._drop(key)

    def _drop(self, key: K) -> None:
        kept = self._kept.pop(key)
        self.bytes -= kept.size
        if self._on_drop is not None:
            self._on_drop(key, kept.value)


class AnnouncementCache:
    """Who is listed under which topic, as encoded records.

    A topic holds `max_per_topic` at most, so that one popular (or flooded) topic leaves room.
    """

    def __init__(self, max_size: int, max_age: float, max_per_topic: int) -> None:
        self._max_per_topic = max_per_topic
        self._topics: dict[bytes, dict[PublicKey, bytes]] = {}
        self._order: ExpiringCache[tuple[bytes, PublicKey], None] = ExpiringCache(
            max_size, max_age, on_drop=lambda name, _none: self._unlist(*name)
        )

    def __len__(self) -> int:
        return len(self._order)

    def add(self, topic: bytes, public_key: PublicKey, record: bytes, now: float) -> None:
        """List a machine, or list it anew."""
        self._unlist(topic, public_key)
        listed = self._topics.setdefault(topic, {})
        listed[public_key] = record
        self._order.set((topic, public_key), None, now)
        if len(listed) > self._max_per_topic:
            self.remove(topic, next(iter(listed)))

    def remove(self, topic: bytes, public_key: PublicKey) -> None:
        """Take a machine off the list."""
        self._order.pop((topic, public_key))
        self._unlist(topic, public_key)

    def pick(
        self, topic: bytes, count: int, now: float, random_bytes: Callable[[int], bytes]
    ) -> list[bytes]:
        """Some of those listed, in random order, so that everybody is named as often."""
        self._order.expire(now)
        records = list(self._topics.get(topic, {}).values())
        size = len(records)
        picked = min(count, size)
        chance = random_bytes(4 * picked)
        for place in range(picked):
            number = int.from_bytes(chance[4 * place : 4 * place + 4], "little")
            other = place + number % (size - place)
            records[place], records[other] = records[other], records[place]
        return records[:picked]

    def _unlist(self, topic: bytes, public_key: PublicKey) -> None:
        listed = self._topics.get(topic)
        if listed is not None and listed.pop(public_key, None) is not None and not listed:
            del self._topics[topic]

from collections.abc import Callable

from pearbox_edge.ids import PublicKey
from pearbox_edge.net.dht.caches import AnnouncementCache, ExpiringCache

TOPIC = bytes(32)


def key(number: int) -> PublicKey:
    return PublicKey(number.to_bytes(32, "big"))


def chance(seed: int) -> Callable[[int], bytes]:
    return lambda size: bytes((seed * 7 + i * 13) % 256 for i in range(size))


def test_an_entry_leaves_when_it_is_too_old() -> None:
    cache: ExpiringCache[int, str] = ExpiringCache(10, 5.0)
    cache.set(1, "a", 0.0)
    assert cache.get(1, 4.9) == "a"
    assert cache.get(1, 5.0) is None
    cache.set(2, "b", 6.0)
    assert list(cache) == [2]


def test_renewing_an_entry_keeps_it_longer() -> None:
    cache: ExpiringCache[int, str] = ExpiringCache(10, 5.0)
    cache.set(1, "a", 0.0)
    cache.set(2, "b", 1.0)
    cache.set(1, "c", 4.0)
    cache.expire(6.5)
    assert list(cache) == [1] and cache.get(1, 8.9) == "c"


def test_a_full_cache_forgets_the_oldest_first_and_says_so() -> None:
    dropped: list[int] = []
    cache: ExpiringCache[int, str] = ExpiringCache(2, 5.0, on_drop=lambda k, _v: dropped.append(k))
    for number in range(4):
        cache.set(number, "x", 0.0)
    assert list(cache) == [2, 3] and dropped == [0, 1]
    assert cache.pop(2) == "x" and cache.pop(2) is None
    assert dropped == [0, 1]


def test_values_never_take_more_than_their_bytes() -> None:
    cache: ExpiringCache[int, bytes] = ExpiringCache(100, 5.0, max_bytes=10)
    for number in range(5):
        cache.set(number, bytes(4), 0.0, size=4)
        assert cache.bytes <= 10
    assert list(cache) == [3, 4] and cache.bytes == 8
    cache.set(3, bytes(1), 0.0, size=1)
    assert cache.bytes == 5
    cache.pop(4)
    assert cache.bytes == 1


def test_a_topic_lists_each_machine_once() -> None:
    records = AnnouncementCache(10, 5.0, 10)
    records.add(TOPIC, key(1), b"old", 0.0)
    records.add(TOPIC, key(1), b"new", 1.0)
    assert len(records) == 1
    assert records.pick(TOPIC, 20, 2.0, chance(1)) == [b"new"]


def test_who_does_not_announce_again_is_not_listed_any_more() -> None:
    records = AnnouncementCache(10, 5.0, 10)
    records.add(TOPIC, key(1), b"1", 0.0)
    records.add(TOPIC, key(2), b"2", 3.0)
    assert records.pick(TOPIC, 20, 5.0, chance(1)) == [b"2"]
    records.remove(TOPIC, key(2))
    assert records.pick(TOPIC, 20, 5.0, chance(1)) == [] and len(records) == 0


def test_a_crowded_topic_forgets_its_oldest_and_leaves_others_alone() -> None:
    records = AnnouncementCache(10, 5.0, 3)
    records.add(b"other", key(9), b"9", 0.0)
    for number in range(5):
        records.add(TOPIC, key(number), bytes((number,)), 0.0)
    assert sorted(records.pick(TOPIC, 20, 1.0, chance(1))) == [b"\2", b"\3", b"\4"]
    assert records.pick(b"other", 20, 1.0, chance(1)) == [b"9"]
    assert len(records) == 4


def test_all_topics_together_are_capped() -> None:
    records = AnnouncementCache(3, 5.0, 10)
    for number in range(10):
        records.add(bytes((number,)), key(number), b"r", 0.0)
    assert len(records) == 3
    assert records.pick(b"\0", 20, 0.0, chance(1)) == []
    assert records.pick(b"\x09", 20, 0.0, chance(1)) == [b"r"]


def test_picks_are_random_and_none_comes_twice() -> None:
    records = AnnouncementCache(100, 5.0, 100)
    for number in range(50):
        records.add(TOPIC, key(number), bytes((number,)), 0.0)
    first = records.pick(TOPIC, 20, 0.0, chance(1))
    second = records.pick(TOPIC, 20, 0.0, chance(2))
    assert len(set(first)) == len(set(second)) == 20
    assert first != second

from itertools import pairwise

from pearbox_edge.lan.schedule import (
    ANNOUNCE_COUNT,
    QUERY_LONGEST,
    Repeats,
    announcements,
    queries,
)


def times(repeats: Repeats, until: float) -> list[float]:
    taken: list[float] = []
    while (due := repeats.deadline()) is not None and due <= until:
        assert repeats.take(due)
        taken.append(due)
    return taken


def test_nothing_is_due_before_the_start_or_after_a_stop() -> None:
    repeats = queries()
    assert not repeats.take(1e9)
    repeats.start(5)
    repeats.stop()
    assert repeats.deadline() is None


def test_questions_are_repeated_for_ever_ever_further_apart() -> None:
    repeats = queries()
    repeats.start(10)
    asked = times(repeats, 10 + 3600)
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps[:6] == [1, 2, 4, 8, 16, QUERY_LONGEST]
    assert set(gaps[6:]) == {QUERY_LONGEST}
    assert asked[-1] > 3500


def test_an_announcement_is_said_a_few_times() -> None:
    repeats = announcements()
    repeats.start(0)
    assert times(repeats, 1e6) == [0, 1, 3]
    assert ANNOUNCE_COUNT == 3


def test_it_is_not_due_twice_at_one_time_and_a_late_look_catches_up_once() -> None:
    repeats = queries()
    repeats.start(0)
    assert repeats.take(0)
    assert not repeats.take(0.5)
    assert repeats.take(50)
    assert not repeats.take(50)


def test_a_new_start_begins_from_the_beginning() -> None:
    repeats = queries()
    repeats.start(0)
    times(repeats, 100)
    repeats.start(200)
    assert times(repeats, 203) == [200, 201, 203]

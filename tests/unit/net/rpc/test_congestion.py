import pytest

from pearbox_edge.net.rpc.congestion import SLOT, AdaptiveTimeout, CongestionWindow
from pearbox_edge.wire import Address

THERE = Address("203.0.113.7", 1)


def filled(count: int, now: float = 0.0) -> CongestionWindow:
    window = CongestionWindow(0.0)
    for _ in range(count):
        window.sent(now)
    return window


def test_a_slot_takes_eighty() -> None:
    assert not filled(79).is_full(0.0)
    assert filled(80).is_full(0.0)


def test_the_next_slot_takes_more_up_to_twice_as_many_in_all() -> None:
    window = filled(80)
    assert window.reopens_at(0.1) == SLOT
    assert not window.is_full(SLOT)
    for _ in range(80):
        window.sent(SLOT)
    assert window.is_full(2 * SLOT)
    assert window.is_full(3 * SLOT)
    assert not window.is_full(4 * SLOT)


def test_an_answer_makes_room() -> None:
    window = filled(80)
    window.settled(0.1)
    assert not window.is_full(0.1)


def test_an_answer_to_an_older_slot_makes_none() -> None:
    window = filled(80)
    for _ in range(80):
        window.sent(SLOT)
    window.settled(2 * SLOT)
    assert window.is_full(2 * SLOT)


def test_a_long_pause_empties_it() -> None:
    window = filled(80)
    assert not window.is_full(1000.0)
    assert window.reopens_at(1000.0) == 1000.0 + SLOT


def test_an_unknown_node_gets_more_time_with_every_send() -> None:
    adaptive = AdaptiveTimeout()
    waits = [adaptive.timeout(THERE, attempt, 0.0, 0.0) for attempt in range(1, 8)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_a_known_node_gets_what_it_used_to_take() -> None:
    adaptive = AdaptiveTimeout()
    adaptive.answered(THERE, 0.4, 0.0)
    assert adaptive.timeout(THERE, 1, 0.0, 1.0) == pytest.approx(0.8)
    assert adaptive.timeout(THERE, 2, 0.0, 1.0) == pytest.approx(1.6)
    assert adaptive.timeout(THERE, 9, 0.5, 1.0) == 4.0
    adaptive.answered(THERE, 0.4, 2.0)
    assert adaptive.timeout(THERE, 1, 0.0, 2.0) == pytest.approx(0.7)


def test_a_fast_node_still_gets_a_little_time() -> None:
    adaptive = AdaptiveTimeout()
    adaptive.answered(THERE, 0.001, 0.0)
    assert adaptive.timeout(THERE, 1, 0.0, 0.0) == 0.3


def test_what_was_learnt_is_forgotten_after_a_while() -> None:
    adaptive = AdaptiveTimeout()
    adaptive.answered(THERE, 0.4, 0.0)
    assert adaptive.timeout(THERE, 1, 0.0, 601.0) == 0.25


def test_many_nodes_do_not_fill_the_memory() -> None:
    adaptive = AdaptiveTimeout()
    for port in range(5000):
        adaptive.answered(Address("203.0.113.7", port), 0.1, 0.0)
    assert len(adaptive) == 4096

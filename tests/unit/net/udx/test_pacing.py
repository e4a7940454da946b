import pytest

from pearbox_edge.net.udx.pacing import BURST_TIME, MIN_BURST, Pacer


def test_the_first_window_leaves_at_once() -> None:
    assert Pacer().allowed(5.0, 100.0) == MIN_BURST


def test_credit_grows_with_time_and_is_spent() -> None:
    pacer = Pacer()
    pacer.allowed(0.0, 1000.0)
    pacer.spend(10)
    assert pacer.allowed(0.0, 1000.0) == 0
    assert pacer.ready_at(1000.0) == pytest.approx(0.001)
    assert pacer.allowed(0.003, 1000.0) == 3


def test_credit_has_a_limit() -> None:
    pacer = Pacer()
    pacer.allowed(0.0, 1e6)
    assert pacer.allowed(100.0, 1e6) == int(1e6 * BURST_TIME)


def test_at_the_told_moment_there_is_credit() -> None:
    for rate in (3.0, 77.7, 1234.5, 1e6):
        pacer = Pacer()
        pacer.allowed(0.1, rate)
        pacer.spend(10)
        assert pacer.allowed(pacer.ready_at(rate), rate) >= 1

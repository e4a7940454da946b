import pytest

from pearbox_edge.net.udx.rtt import MAX_RTO, MIN_RTO, MIN_WINDOW, RttEstimator


def test_without_samples_a_second_is_waited() -> None:
    rtt = RttEstimator()
    assert rtt.smoothed is None
    assert rtt.minimum is None
    assert rtt.rto == 1.0


def test_samples_are_smoothed_by_an_eighth_and_a_quarter() -> None:
    rtt = RttEstimator()
    rtt.add(0.8, 0.0)
    assert (rtt.smoothed, rtt.variance) == (0.8, 0.4)
    rtt.add(1.6, 1.0)
    assert rtt.smoothed == pytest.approx(0.9)
    assert rtt.variance == pytest.approx(0.5)
    assert rtt.rto == pytest.approx(2.9)


def test_the_timeout_keeps_its_bounds() -> None:
    rtt = RttEstimator()
    rtt.add(0.001, 0.0)
    assert rtt.rto == MIN_RTO
    slow = RttEstimator()
    slow.add(60.0, 0.0)
    assert slow.rto == MAX_RTO


def test_a_sample_that_is_out_of_all_proportion_is_clamped() -> None:
    rtt = RttEstimator()
    for number in range(50):
        rtt.add(0.1, number)
    rtt.add(100.0, 51.0)
    assert rtt.latest < 1.0


def test_the_minimum_is_forgotten_after_a_while() -> None:
    rtt = RttEstimator()
    rtt.add(0.1, 0.0)
    rtt.add(0.3, 1.0)
    rtt.add(0.2, 2.0)
    assert rtt.minimum == 0.1
    rtt.add(0.5, MIN_WINDOW + 1.5)
    assert rtt.minimum == 0.2

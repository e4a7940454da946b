import pytest

from pearbox_edge.net.udx.flight import Run
from pearbox_edge.net.udx.rate import RateSampler


def run(first: int, end: int) -> Run:
    return Run(first, end, memoryview(bytes(end - first)), 1)


def test_the_rate_is_what_arrived_over_the_time_it_took() -> None:
    rates = RateSampler()
    runs = [run(0, 10), run(10, 20)]
    for number, each in enumerate(runs):
        rates.on_sent(each, 0.0, in_flight=number * 10)
    rates.on_acked(runs[0], 0.1)
    first = rates.sample(0.1, rtt=0.1, min_rtt=0.1)
    assert (first.acked, first.delivered) == (10, 10)
    assert first.interval == pytest.approx(0.1)
    later = run(20, 30)
    rates.on_sent(later, 0.1, in_flight=10)
    later.sent_at = 0.1
    rates.on_acked(runs[1], 0.15)
    rates.sample(0.15, rtt=None, min_rtt=0.1)
    rates.on_acked(later, 0.2)
    sample = rates.sample(0.2, rtt=0.1, min_rtt=0.1)
    assert (sample.delivered, sample.prior_delivered) == (20, 10)
    assert sample.interval == pytest.approx(0.1)


def test_a_clump_of_acks_says_nothing_of_the_rate() -> None:
    rates = RateSampler()
    one = run(0, 10)
    rates.on_sent(one, 0.0, in_flight=0)
    rates.on_acked(one, 0.01)
    assert rates.sample(0.01, rtt=None, min_rtt=0.1).delivered == 0


def test_what_was_sent_while_we_had_little_to_send_is_marked() -> None:
    rates = RateSampler()
    rates.on_app_limited(0)
    slow, fast = run(0, 1), run(1, 2)
    rates.on_sent(slow, 0.0, in_flight=0)
    rates.on_acked(slow, 0.1)
    assert rates.sample(0.1, rtt=0.1, min_rtt=0.1).app_limited
    rates.on_sent(fast, 0.1, in_flight=0)
    rates.on_acked(fast, 0.2)
    rates.sample(0.2, rtt=0.1, min_rtt=0.1)
    last = run(2, 3)
    rates.on_sent(last, 0.2, in_flight=0)
    assert not last.app_limited


def test_no_ack_no_sample() -> None:
    sample = RateSampler().sample(1.0, rtt=None, min_rtt=None)
    assert (sample.acked, sample.delivered) == (0, 0)

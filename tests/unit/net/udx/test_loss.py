import pytest

from pearbox_edge.net.udx.flight import Flight, Run
from pearbox_edge.net.udx.loss import TAIL_MIN, Rack, tail_timeout
from pearbox_edge.net.udx.rtt import RttEstimator


def known_rtt(seconds: float = 0.1) -> RttEstimator:
    rtt = RttEstimator()
    rtt.add(seconds, 0.0)
    return rtt


def flying(count: int, gap: float = 0.001) -> Flight:
    flight = Flight()
    for seq in range(count):
        run = Run(seq, seq + 1, memoryview(b"x"), 1)
        run.sent_at = seq * gap
        run.sends = 1
        flight.add(run)
    return flight


def sack(rack: Rack, flight: Flight, seq: int, now: float) -> None:
    for run in flight.sack(seq, seq + 1):
        rack.on_acked(run, now, 0.1)


def lost(rack: Rack, flight: Flight, now: float, *, in_recovery: bool = False) -> list[int]:
    runs, _ = rack.find_lost(flight, now, known_rtt(), in_recovery=in_recovery)
    return [run.first for run in runs]


def test_what_was_overtaken_by_three_is_lost_at_once() -> None:
    rack, flight = Rack(), flying(6)
    for seq in (2, 3, 4):
        sack(rack, flight, seq, seq * 0.001 + 0.1)
    assert lost(rack, flight, 0.104) == [0, 1]


def test_what_was_overtaken_by_one_has_a_quarter_of_the_round_trip_left() -> None:
    rack, flight = Rack(), flying(6)
    sack(rack, flight, 2, 0.102)
    runs, again = rack.find_lost(flight, 0.102, known_rtt(), in_recovery=False)
    assert runs == []
    assert again == pytest.approx(0.001 + 0.1 + 0.025)
    assert lost(rack, flight, 0.1255) == [0]
    assert lost(rack, flight, 0.127) == [0, 1]


def test_in_recovery_nothing_is_waited_for() -> None:
    rack, flight = Rack(), flying(4)
    sack(rack, flight, 2, 0.102)
    assert lost(rack, flight, 0.102, in_recovery=True) == [0, 1]


def test_once_packets_were_seen_to_overtake_each_other_patience_is_kept() -> None:
    rack, flight = Rack(), flying(8)
    sack(rack, flight, 3, 0.103)
    sack(rack, flight, 1, 0.1035)
    assert rack.reordering_seen
    for seq in (4, 5, 6):
        sack(rack, flight, seq, seq * 0.001 + 0.1)
    assert lost(rack, flight, 0.106) == []


def test_an_ack_too_early_for_the_second_sending_makes_it_more_patient() -> None:
    rack, flight = Rack(), flying(8)
    first = next(iter(flight))
    first.sends, first.sent_at = 2, 0.2
    sack(rack, flight, 0, 0.21)
    assert rack.reordering_seen
    sack(rack, flight, 5, 0.105)
    _, again = rack.find_lost(flight, 0.105, known_rtt(), in_recovery=False)
    assert again == pytest.approx(0.004 + 0.1 + 0.05)


def test_nothing_sent_later_than_the_newest_ack_is_lost() -> None:
    rack, flight = Rack(), flying(4)
    sack(rack, flight, 1, 0.101)
    assert lost(rack, flight, 9.0) == [0]


def test_the_tail_waits_two_round_trips() -> None:
    assert tail_timeout(RttEstimator(), 1) is None
    assert tail_timeout(known_rtt(0.1), 5) == pytest.approx(0.2)
    assert tail_timeout(known_rtt(0.1), 1) == pytest.approx(0.202)
    assert tail_timeout(known_rtt(0.0001), 5) == TAIL_MIN

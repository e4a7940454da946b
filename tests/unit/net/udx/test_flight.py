import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import UsageError
from pearbox_edge.net.udx.flight import Flight, Run


def run(first: int, end: int) -> Run:
    payload = b"".join(bytes([seq % 256]) * 2 for seq in range(first, end))
    return Run(first, end, memoryview(payload), 2)


def flying(*ends: int) -> Flight:
    flight = Flight()
    first = 0
    for end in ends:
        flight.add(run(first, end))
        first = end
    return flight


def test_a_split_run_keeps_its_payloads() -> None:
    left = Run(4, 9, memoryview(b"aabbccdde"), 2, ends_stream=True)
    right = left.split(6)
    assert [bytes(left.part(seq)) for seq in (4, 5)] == [b"aa", b"bb"]
    assert [bytes(right.part(seq)) for seq in (6, 7, 8)] == [b"cc", b"dd", b"e"]
    assert right.ends_stream
    assert not left.ends_stream
    with pytest.raises(UsageError):
        right.split(6)


def test_an_ack_within_a_run_takes_its_left_part() -> None:
    flight = flying(4, 8)
    (done,) = flight.ack(3)
    assert (done.first, done.end) == (0, 3)
    assert (flight.acked, flight.in_flight, flight.sacked) == (3, 5, 0)
    assert flight.ack(2) == []


steps = st.one_of(
    st.tuples(st.just("ack"), st.integers(0, 30), st.just(0)),
    st.tuples(st.just("sack"), st.integers(0, 29), st.integers(1, 10)),
    st.tuples(st.just("lose"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("again"), st.integers(1, 9), st.just(0)),
)


@given(st.lists(steps, max_size=30))
def test_the_counts_follow_a_simple_model(script: list[tuple[str, int, int]]) -> None:
    flight = flying(5, 6, 17, 30)
    state = ["flying"] * 30
    acked = 0
    for verb, a, b in script:
        if verb == "ack":
            acked = max(acked, a)
            flight.ack(a)
            state[:a] = ["done"] * a
        elif verb == "sack" and a >= acked:
            end = min(a + b, 30)
            flight.sack(a, end)
            state[a:end] = ["done"] * (end - a)
        elif verb == "lose":
            for lost in list(flight)[a : a + 1]:
                flight.mark_lost(lost)
                state[lost.first : lost.end] = ["lost"] * len(lost)
        elif verb == "again":
            again = [seq for each in flight.take_lost(a) for seq in range(each.first, each.end)]
            assert again == [seq for seq in range(30) if state[seq] == "lost"][:a]
            for seq in again:
                state[seq] = "flying"
        assert flight.in_flight == state.count("flying")
        assert flight.lost == state.count("lost")
        assert flight.sacked == sum(state[seq] == "done" for seq in range(flight.acked, 30))
        assert [seq for each in flight for seq in range(each.first, each.end)] == [
            seq for seq in range(30) if state[seq] != "done"
        ]
        for each in flight:
            assert each.payload == run(each.first, each.end).payload


def test_the_last_packet_may_be_had_alone() -> None:
    flight = flying(4)
    last = flight.last_packet()
    assert (last.first, last.end) == (3, 4)
    assert flight.last_packet() is last
    flight.clear()
    assert not len(flight)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.data.replication.remote_bitfield import (
    LONG_SPAN,
    MAX_PAGES,
    MAX_SPANS,
    RemoteBitfield,
)
from pearbox_edge.errors import PeerError

SIZE = 4 * LONG_SPAN
places = st.sampled_from(
    [0, 1, 31, 32, 33, 64, 1000, LONG_SPAN - 32, LONG_SPAN, LONG_SPAN + 1, 2 * LONG_SPAN]
)
lengths = st.sampled_from([0, 1, 2, 31, 32, 100, LONG_SPAN - 1, LONG_SPAN, LONG_SPAN + 40])
steps = st.tuples(st.sampled_from(["add", "drop", "insert"]), places, lengths)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=8), st.lists(places, max_size=4))
def test_it_agrees_with_a_set(does: list[tuple[str, int, int]], probes: list[int]) -> None:
    ours, model = RemoteBitfield(), bytearray(SIZE)
    for what, start, length in does:
        match what:
            case "add":
                ours.add(start, length)
                model[start : start + length] = b"\1" * length
            case "drop":
                ours.drop(start, length)
                model[start : start + length] = bytes(length)
            case _:
                start -= start % 32
                words = bytes([0b1010_0001] * (length // 8 // 4 * 4))
                ours.insert(start, words)
                bits = [word >> bit & 1 for word in words for bit in range(8)]
                model[start : start + len(bits)] = bytes(bits)
    for start in {0, SIZE - 1, *probes, *(one for _, at, n in does for one in (at, at + n))}:
        assert ours.has(start) == bool(model[start])
        found = model.find(1, start, SIZE)
        assert ours.first_held(start, SIZE) == (SIZE if found < 0 else found)
        end = min(start + 70, SIZE)
        assert ours.has_range(start, end) == all(model[start:end])


def test_huge_claims_take_no_memory() -> None:
    field = RemoteBitfield()
    field.add(5, 1 << 52)
    field.add(0, 5)
    assert field.contiguous == 5 + (1 << 52)
    field.drop(10, 1 << 51)
    assert field.contiguous == 10
    assert field.has((1 << 51) + 11)
    assert not field.has(11)


def test_scattered_claims_are_forgotten_past_the_caps() -> None:
    field = RemoteBitfield()
    for number in range(2 * MAX_PAGES):
        field.add(1 + number * LONG_SPAN, 1)
    assert not field.has(1)
    assert field.has(1 + (2 * MAX_PAGES - 1) * LONG_SPAN)
    for number in range(2 * MAX_SPANS):
        field.add((1 << 40) + number * 3 * LONG_SPAN, LONG_SPAN + number)
    kept = sum(field.has((1 << 40) + number * 3 * LONG_SPAN) for number in range(2 * MAX_SPANS))
    assert kept == MAX_SPANS


def test_a_bitfield_that_starts_off_a_word_is_refused() -> None:
    with pytest.raises(PeerError):
        RemoteBitfield().insert(8, bytes(4))


def test_a_bitfield_is_the_truth_for_its_span_alone() -> None:
    field = RemoteBitfield()
    field.add(0, 200)
    field.insert(64, bytes(4))
    assert field.contiguous == 64
    assert not field.has(70)
    assert field.has(96)

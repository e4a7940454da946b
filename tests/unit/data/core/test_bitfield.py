"""A bitfield is a set of numbers that takes memory only where something is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core import Bitfield
from pearbox_edge.data.storage import PAGE_BITS

NEAR = st.integers(0, 200)
INDICES = st.one_of(
    NEAR, st.integers(PAGE_BITS - 40, PAGE_BITS + 40), st.integers(3 * PAGE_BITS, 3 * PAGE_BITS + 9)
)
RANGES = st.tuples(INDICES, INDICES).map(sorted)
STEPS = st.lists(st.tuples(st.sampled_from(["set", "range", "clear", "cut"]), RANGES), max_size=8)
END = 5 * PAGE_BITS


def played(steps: list[tuple[str, list[int]]]) -> tuple[Bitfield, set[int]]:
    bits, model = Bitfield(), set[int]()
    for step, (start, end) in steps:
        match step:
            case "set":
                assert bits.set(start) is (start not in model)
                model.add(start)
            case "range":
                bits.set_range(start, end)
                model |= set(range(start, end))
            case "clear":
                bits.clear_range(start, end)
                model -= set(range(start, end))
            case _:
                bits.truncate(end)
                model = {index for index in model if index < end}
    return bits, model


def runs_of(model: set[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in sorted(model):
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


@given(STEPS)
def test_it_agrees_with_a_set_after_any_steps(steps: list[tuple[str, list[int]]]) -> None:
    bits, model = played(steps)
    assert bits.count == len(model)
    assert list(bits.runs(0, END)) == runs_of(model)
    first_missing = next(index for index in range(END) if index not in model)
    assert bits.contiguous == first_missing
    assert Bitfield(bits.take_changed()).count == len(model)
    assert bits.take_changed() == {}


@given(STEPS, RANGES)
def test_gaps_are_what_runs_leave_out(steps: list[tuple[str, list[int]]], span: list[int]) -> None:
    bits, model = played(steps)
    start, end = span
    gaps = {index for low, high in bits.gaps(start, end) for index in range(low, high)}
    assert gaps == set(range(start, end)) - model
    assert bits.has_range(start, end) is (not gaps)


@given(STEPS, st.integers(0, 6), st.integers(0, 200))
def test_words_are_the_bits_of_a_message(
    steps: list[tuple[str, list[int]]], word: int, length: int
) -> None:
    bits, model = played(steps)
    data = bits.words(32 * word, length)
    assert len(data) % 4 == 0
    held = {32 * word + i for i in range(8 * len(data)) if data[i // 8] >> i % 8 & 1}
    assert held == {index for index in model if 32 * word <= index < 32 * word + length}


def test_words_reach_across_pages() -> None:
    bits = Bitfield()
    bits.set_range(PAGE_BITS - 3, PAGE_BITS + 5)
    data = bits.words(PAGE_BITS - 32, 64)
    assert int.from_bytes(data, "little") == 0xFF << 29


@given(STEPS, RANGES)
def test_pages_with_a_range_are_those_after_setting_it(
    steps: list[tuple[str, list[int]]], span: list[int]
) -> None:
    bits, _ = played(steps)
    bits.take_changed()
    planned = bits.pages_with(*span)
    before = bits.count
    assert bits.count == before
    bits.set_range(*span)
    changed = bits.take_changed()
    assert all(planned[number] == page for number, page in changed.items())


def test_a_claimed_range_allocates_nothing_when_searched() -> None:
    bits = Bitfield()
    bits.set(7)
    assert bits.first_set(8, 1 << 40) == 1 << 40
    assert list(bits.gaps(0, 1 << 40)) == [(0, 7), (8, 1 << 40)]
    bits.clear_range(0, 1 << 40)
    assert bits.count == 0


@pytest.mark.parametrize("length", [PAGE_BITS - 1, PAGE_BITS, PAGE_BITS + 1])
def test_contiguous_crosses_pages(length: int) -> None:
    bits = Bitfield()
    for index in range(length, 0, -1):
        bits.set(index)
    assert bits.contiguous == 0
    bits.set(0)
    assert bits.contiguous == length + 1

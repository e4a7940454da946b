import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import (
    MAX_UINT,
    Reader,
    Writer,
    read_biguint,
    read_biguint64,
    read_float32,
    read_float64,
    read_lexint,
    write_biguint,
    write_biguint64,
    write_bitfield,
    write_float32,
    write_float64,
    write_lexint,
)

NO_LEXINT = range(1 << 32, (1 << 32) + 251)
lexints = st.one_of(st.integers(0, 70_000), st.integers(0, 1 << 44)).filter(
    lambda value: value not in NO_LEXINT
)
READERS: list[Callable[[Reader], Any]] = [
    read_lexint,
    read_biguint,
    read_biguint64,
    read_float32,
    read_float64,
]


def written(write: Callable[[Writer, Any], None], value: Any) -> bytes:
    writer = Writer()
    write(writer, value)
    return writer.finish()


@given(lexints)
def test_lexints_come_back(value: int) -> None:
    assert read_lexint(Reader(written(write_lexint, value))) == value


@given(lexints, lexints)
def test_the_bytes_of_lexints_sort_as_the_numbers_do(one: int, other: int) -> None:
    as_bytes = written(write_lexint, one) < written(write_lexint, other)
    assert as_bytes == (one < other)


@given(st.integers(1 << 44, MAX_UINT))
def test_a_lexint_beyond_44_bits_keeps_its_first_ones(value: int) -> None:
    read = read_lexint(Reader(written(write_lexint, value)))
    assert 0 <= value - read < 1 << 9


@pytest.mark.parametrize("value", [-1, 1 << 32, (1 << 32) + 250, MAX_UINT + 1])
def test_a_number_without_lexint_form_is_a_bug_of_ours(value: int) -> None:
    with pytest.raises(UsageError):
        write_lexint(Writer(), value)


@pytest.mark.parametrize(
    "data", ["ffff0000000000ff", "fffaffffffffffff", "ff15ffffffffffffff", "ff00000000000000"]
)
def test_a_lexint_that_stands_for_no_number_is_refused(data: str) -> None:
    with pytest.raises(PeerError):
        read_lexint(Reader(bytes.fromhex(data)))


@given(st.integers(0, 1 << 300))
def test_numbers_of_any_size_come_back(value: int) -> None:
    assert read_biguint(Reader(written(write_biguint, value))) == value


@given(st.integers(0, (1 << 64) - 1))
def test_numbers_of_64_bits_come_back(value: int) -> None:
    assert read_biguint64(Reader(written(write_biguint64, value))) == value


def test_big_numbers_out_of_range_are_a_bug_of_ours() -> None:
    for write, value in ((write_biguint, -1), (write_biguint64, -1), (write_biguint64, 1 << 64)):
        with pytest.raises(UsageError):
            write(Writer(), value)


@given(st.floats(width=32, allow_nan=False))
def test_fractions_come_back(value: float) -> None:
    assert read_float32(Reader(written(write_float32, value))) == value
    assert read_float64(Reader(written(write_float64, value))) == value


def test_a_fraction_too_large_for_single_precision_becomes_infinite() -> None:
    assert read_float32(Reader(written(write_float32, -1e300))) == -math.inf


@pytest.mark.parametrize(("bits", "size"), [(1, 1), (7, 1), (8, 3), (16, 3), (17, 5), (33, 9)])
def test_flags_take_the_width_of_all_of_them(bits: int, size: int) -> None:
    for value in (0, 1, (1 << bits) - 1):
        writer = Writer()
        write_bitfield(writer, value, bits)
        assert len(writer) == size
        assert Reader(writer.finish()).uint() == value


def test_flags_wider_than_their_form_are_a_bug_of_ours() -> None:
    for value, bits in ((-1, 7), (0xFD, 7), (1 << 16, 12), (1 << 32, 32)):
        with pytest.raises(UsageError):
            write_bitfield(Writer(), value, bits)


@given(st.binary(max_size=30), st.sampled_from(READERS))
def test_any_bytes_give_a_number_or_a_peer_error(
    data: bytes, read: Callable[[Reader], Any]
) -> None:
    try:
        read(Reader(data))
    except PeerError:
        return


@given(st.integers(0, 1 << 100))
def test_a_big_number_cut_anywhere_is_refused(value: int) -> None:
    whole = written(write_biguint, value)
    for size in range(len(whole)):
        with pytest.raises(PeerError):
            read_biguint(Reader(whole[:size]))

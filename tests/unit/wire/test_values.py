import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import (
    MAX_ARRAY,
    MAX_UINT,
    Json,
    Reader,
    Timestamp,
    Value,
    Writer,
    read_any,
    read_bitarray,
    read_json,
    read_record,
    write_any,
    write_bitarray,
    write_json,
    write_record,
)

texts = st.text(max_size=8)
fractions = st.floats(allow_nan=False).filter(lambda value: not value.is_integer())
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 52), MAX_UINT),
    fractions.filter(math.isfinite),
    texts,
)
jsons: st.SearchStrategy[Json] = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
values: st.SearchStrategy[Value] = st.recursive(
    st.one_of(
        plain,
        fractions,
        st.binary(max_size=8),
        st.integers(-(1 << 52), (1 << 52) - 1).map(Timestamp),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def any_bytes(value: Value) -> bytes:
    writer = Writer()
    write_any(writer, value)
    return writer.finish()


@given(values)
def test_values_of_any_type_come_back(value: Value) -> None:
    assert read_any(Reader(any_bytes(value))) == value


@given(values)
def test_a_value_cut_anywhere_is_refused(value: Value) -> None:
    whole = any_bytes(value)
    for size in range(len(whole)):
        with pytest.raises(PeerError):
            read_any(Reader(whole[:size]))


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_give_values_or_a_peer_error(data: bytes) -> None:
    for read in (read_any, read_json, read_bitarray):
        try:
            read(Reader(data))
        except PeerError:
            continue


def test_a_whole_fraction_travels_as_an_integer() -> None:
    assert any_bytes(7.0) == any_bytes(7) == b"\x04\x07"
    assert any_bytes(-7.0) == any_bytes(-7) == b"\x05\x0d"


def test_an_integer_out_of_range_is_a_bug_of_ours() -> None:
    for value in (MAX_UINT + 1, -(1 << 52) - 1, 1e300):
        with pytest.raises(UsageError):
            any_bytes(value)


def test_nesting_that_would_exhaust_the_stack_is_refused() -> None:
    with pytest.raises(PeerError):
        read_any(Reader(b"\x07\x01" * 100_000))
    with pytest.raises(PeerError):
        read_any(Reader(b"\x08\x01\x00" * 100_000))
    assert read_any(Reader(b"\x07\x01" * 60 + b"\x00")) is not None


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(PeerError):
        read_any(Reader(b"\x0a\x00"))


@given(jsons)
def test_json_comes_back(value: Json) -> None:
    writer = Writer()
    write_json(writer, value)
    assert read_json(Reader(writer.finish())) == value


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "[" * 100_000, "9" * 5000, "'a'"])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    writer = Writer()
    writer.string(text)
    with pytest.raises(PeerError):
        read_json(Reader(writer.finish()))


def test_what_json_cannot_say_is_a_bug_of_ours() -> None:
    for value in (math.inf, math.nan):
        with pytest.raises(UsageError):
            write_json(Writer(), value)


@given(st.lists(st.booleans(), max_size=40))
def test_bits_come_back(bits: list[bool]) -> None:
    writer = Writer()
    write_bitarray(writer, bits)
    assert len(writer) == 1 + (len(bits) + 7) // 8
    assert read_bitarray(Reader(writer.finish())) == bits


def test_more_bits_than_there_are_bytes_for_are_refused() -> None:
    writer = Writer()
    writer.uint(MAX_UINT)
    with pytest.raises(PeerError):
        read_bitarray(Reader(writer.finish()))


@given(st.dictionaries(texts, st.integers(0, 1000), max_size=5))
def test_records_come_back_in_order(record: dict[str, int]) -> None:
    writer = Writer()
    write_record(writer, record, Writer.string, Writer.uint)
    read = read_record(Reader(writer.finish()), Reader.string, Reader.uint)
    assert list(read.items()) == list(record.items())


def test_a_record_no_reader_takes_is_a_bug_of_ours() -> None:
    huge = dict.fromkeys(range(MAX_ARRAY + 1), 0)
    with pytest.raises(UsageError):
        write_record(Writer(), huge, Writer.uint, Writer.uint)

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import UsageError
from pearbox_edge.wire import MAX_ARRAY, MAX_UINT, Buffer, Reader, Writer

uints = st.one_of(st.integers(0, 300), st.integers(0, 1 << 33), st.integers(0, MAX_UINT))


def written(write: Callable[[Writer], None]) -> bytes:
    writer = Writer()
    write(writer)
    return writer.finish()


@pytest.mark.parametrize(
    ("value", "size"),
    [(0, 1), (252, 1), (253, 3), (65535, 3), (65536, 5), (0xFFFFFFFF, 5), (1 << 32, 9)],
)
def test_a_number_takes_its_shortest_form(value: int, size: int) -> None:
    assert len(written(lambda writer: writer.uint(value))) == size


@pytest.mark.parametrize("value", [-1, MAX_UINT + 1])
def test_a_number_the_format_cannot_carry_is_a_bug_of_ours(value: int) -> None:
    for verb in (Writer.uint, Writer.uint8, Writer.uint16, Writer.uint32, Writer.uint64):
        with pytest.raises(UsageError):
            verb(Writer(), value)


def test_a_number_too_wide_for_its_field_is_a_bug_of_ours() -> None:
    for verb, bits in ((Writer.uint8, 8), (Writer.uint16, 16), (Writer.uint24, 24)):
        verb(Writer(), (1 << bits) - 1)
        with pytest.raises(UsageError):
            verb(Writer(), 1 << bits)


def test_signed_numbers_out_of_range_are_a_bug_of_ours() -> None:
    for value in (-(1 << 52) - 1, 1 << 52):
        with pytest.raises(UsageError):
            Writer().int_(value)


def test_bytes_of_the_wrong_size_are_a_bug_of_ours() -> None:
    for verb in (Writer.fixed32, Writer.fixed64):
        with pytest.raises(UsageError):
            verb(Writer(), bytes(33))
    with pytest.raises(UsageError):
        Writer().fixed_string("abc", 4)


def test_half_a_surrogate_pair_is_a_bug_of_ours() -> None:
    with pytest.raises(UsageError):
        Writer().string("\ud800")


def test_an_array_no_reader_takes_is_a_bug_of_ours() -> None:
    with pytest.raises(UsageError):
        Writer().array(range(MAX_ARRAY + 1), Writer.uint)


def test_none_and_empty_are_the_same_optional_buffer() -> None:
    for value in (None, b""):
        writer = Writer()
        writer.optional_buffer(value)
        assert writer.finish() == b"\0"


def test_finish_gives_all_so_far_and_writing_may_go_on() -> None:
    writer = Writer()
    writer.raw(b"ab")
    assert (writer.finish(), len(writer)) == (b"ab", 2)
    writer.raw(b"c")
    assert writer.finish() == b"abc"


@given(st.lists(uints, max_size=20))
def test_numbers_come_back(values: list[int]) -> None:
    data = written(lambda writer: writer.array(values, Writer.uint))
    assert Reader(data).array(Reader.uint) == values


@given(st.integers(1, 8), st.booleans(), st.data())
def test_numbers_of_a_fixed_width_come_back(size: int, big: bool, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, min(MAX_UINT, (1 << 8 * size) - 1)))
    raw = written(lambda writer: writer.fixed_uint(value, size, big_endian=big))
    assert len(raw) == size
    assert Reader(raw).fixed_uint(size, big_endian=big) == value


@given(st.integers(-(1 << 52), (1 << 52) - 1))
def test_signed_numbers_come_back(value: int) -> None:
    assert Reader(written(lambda writer: writer.int_(value))).int_() == value
    assert Reader(written(lambda writer: writer.fixed_int(value, 8))).fixed_int(8) == value


@given(st.binary(max_size=300), st.sampled_from([bytes, bytearray, memoryview]), st.text())
def test_bytes_and_text_come_back(data: bytes, kind: Callable[[bytes], Buffer], text: str) -> None:
    inner = Writer()
    inner.string(text)
    writer = Writer()
    writer.buffer(kind(data))
    writer.optional_buffer(kind(data))
    writer.frame(inner)
    writer.bool_(True)
    writer.raw(kind(data))
    reader = Reader(writer.finish())
    assert reader.buffer() == data
    assert reader.optional_buffer() == (data or None)
    assert reader.frame().string() == text
    assert reader.bool_()
    assert reader.raw() == data

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import MAX_ARRAY, MAX_UINT, OUT_OF_BOUNDS, Reader, Writer

VERBS: list[Callable[[Reader], Any]] = [
    Reader.uint,
    Reader.uint8,
    Reader.uint16,
    Reader.uint24,
    Reader.uint32,
    Reader.uint64,
    Reader.int_,
    Reader.bool_,
    Reader.buffer,
    Reader.optional_buffer,
    Reader.fixed32,
    Reader.fixed64,
    Reader.raw,
    Reader.string,
    Reader.frame,
    lambda reader: reader.fixed_int(3),
    lambda reader: reader.fixed_uint(7, big_endian=True),
    lambda reader: reader.array(Reader.uint),
    lambda reader: reader.array(Reader.string),
    lambda reader: reader.raw_array(Reader.uint),
    lambda reader: reader.frame().array(Reader.buffer),
]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_reads_from_every_kind_of_buffer(kind: Callable[[bytes], bytes]) -> None:
    reader = Reader(kind(b"\x05\xfd\x34\x12\x02hi"))
    assert [reader.uint(), reader.uint(), reader.string()] == [5, 0x1234, "hi"]
    assert reader.remaining == 0


def test_a_number_is_read_in_a_longer_form_than_needed() -> None:
    forms = (b"\x07", b"\xfd\x07\0", b"\xfe\x07\0\0\0", b"\xff\x07\0\0\0\0\0\0\0")
    assert [Reader(form).uint() for form in forms] == [7, 7, 7, 7]


@pytest.mark.parametrize("data", [b"", b"\xfd\x01", b"\xfe\x01\x02\x03", b"\xff\x01\x02\x03\x04"])
def test_a_cut_number_is_out_of_bounds(data: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        Reader(data).uint()
    assert caught.value.code == OUT_OF_BOUNDS


def test_the_largest_number_is_read_and_one_more_is_refused() -> None:
    assert Reader(b"\xff" + MAX_UINT.to_bytes(8, "little")).uint() == MAX_UINT
    for verb in (Reader.uint, Reader.uint64):
        data = (MAX_UINT + 1).to_bytes(8, "little")
        with pytest.raises(PeerError) as caught:
            verb(Reader(data if verb is Reader.uint64 else b"\xff" + data))
        assert caught.value.code == "OUT_OF_RANGE"


def test_signed_numbers_reach_from_minus_to_plus_two_to_the_52() -> None:
    assert Reader(b"\xff" + MAX_UINT.to_bytes(8, "little")).int_() == -(1 << 52)
    assert Reader(b"\xff" + (MAX_UINT - 1).to_bytes(8, "little")).int_() == (1 << 52) - 1


def test_nothing_is_read_past_the_end_given_though_the_buffer_goes_on() -> None:
    data = bytes(range(100))
    for verb in (Reader.uint, Reader.uint8, Reader.uint16, Reader.fixed32, Reader.bool_):
        with pytest.raises(PeerError):
            verb(Reader(data, 10, 10))
    assert bytes(Reader(data, 10, 13).raw()) == data[10:13]


def test_a_reader_outside_its_buffer_is_a_bug_of_ours() -> None:
    for start, end in ((-1, 2), (0, 4), (3, 2)):
        with pytest.raises(UsageError):
            Reader(b"abc", start, end)


def test_a_buffer_is_a_view_of_the_readers_memory() -> None:
    data = bytearray(b"\x03abc")
    view = Reader(data).buffer()
    data[1] = ord("z")
    assert bytes(view) == b"zbc"


def test_what_is_kept_is_bytes() -> None:
    reader = Reader(memoryview(b"\x01a" + bytes(34)))
    assert type(reader.optional_buffer()) is bytes
    assert type(reader.fixed32()) is bytes
    assert type(reader.fixed(2)) is bytes


def test_an_empty_optional_buffer_is_none() -> None:
    assert Reader(b"\0").optional_buffer() is None


def test_only_a_one_is_true() -> None:
    assert [Reader(bytes((byte,))).bool_() for byte in (0, 1, 2, 255)] == [
        False,
        True,
        False,
        False,
    ]


def test_text_that_is_not_utf8_is_refused() -> None:
    for data in (b"\x01\xff", b"\x03\xed\xa0\x80"):
        with pytest.raises(PeerError):
            Reader(data).string()


def test_an_array_announcing_too_many_items_is_refused_before_reading_any() -> None:
    writer = Writer()
    writer.uint(MAX_ARRAY + 1)
    seen: list[Reader] = []
    with pytest.raises(PeerError):
        Reader(writer.finish() + bytes(10)).array(seen.append)
    assert not seen


def test_an_array_may_have_a_smaller_cap() -> None:
    assert Reader(b"\x02\x01\x02").array(Reader.uint, at_most=2) == [1, 2]
    with pytest.raises(PeerError):
        Reader(b"\x03\x01\x02\x03").array(Reader.uint, at_most=2)


def test_an_array_of_nothing_up_to_the_end_does_not_go_on_for_ever() -> None:
    with pytest.raises(PeerError):
        Reader(b"x").raw_array(lambda reader: reader.fixed(0))


def test_a_frame_is_skipped_whole_whatever_is_left_in_it() -> None:
    reader = Reader(b"\x03\x01\x02\x03\x09")
    inner = reader.frame()
    assert inner.uint() == 1
    assert inner.remaining == 2
    assert reader.uint() == 9


def test_a_frame_does_not_let_its_reader_past_its_end() -> None:
    inner = Reader(b"\x02\x05abcde").frame()
    with pytest.raises(PeerError):
        inner.buffer()


@given(st.binary(max_size=40), st.sampled_from(VERBS))
@settings(max_examples=300)
def test_any_bytes_give_a_value_or_a_peer_error(data: bytes, verb: Callable[[Reader], Any]) -> None:
    reader = Reader(data)
    try:
        verb(reader)
    except PeerError:
        return
    assert 0 <= reader.start <= reader.end


@given(st.lists(st.binary(max_size=4), max_size=4), st.integers(0, MAX_UINT), st.text(max_size=9))
def test_input_cut_anywhere_is_out_of_bounds(items: list[bytes], number: int, text: str) -> None:
    writer = Writer()
    writer.uint(number)
    writer.array(items, Writer.buffer)
    writer.string(text)
    whole = writer.finish()

    def read(data: bytes) -> None:
        reader = Reader(data)
        reader.uint()
        reader.array(Reader.buffer)
        reader.string()

    read(whole)
    for size in range(len(whole)):
        with pytest.raises(PeerError) as caught:
            read(whole[:size])
        assert caught.value.code == OUT_OF_BOUNDS

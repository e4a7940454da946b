import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import MAX_UINT, OUT_OF_BOUNDS
from pearbox_edge.wire.protobuf import (
    MAX_PACKED_SIZE,
    fields,
    pack,
    read_varint,
    unpack,
    write_field,
    write_varint,
)

uints = st.one_of(st.integers(0, 200), st.integers(0, 1 << 22), st.integers(0, MAX_UINT))


def varint(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


def message(*items: tuple[int, bytes]) -> bytes:
    out = bytearray()
    for number, data in items:
        write_field(out, number, data)
    return bytes(out)


def listed(data: bytes) -> list[tuple[int, bytes]]:
    return [(number, bytes(view)) for number, view in fields(data)]


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (MAX_UINT, "ffffffffffffff0f")],
)
def test_numbers_are_written_seven_bits_a_byte(value: int, data: str) -> None:
    assert varint(value).hex() == data
    assert read_varint(bytes.fromhex(data)) == (value, len(data) // 2)


def test_a_number_is_read_where_it_stands() -> None:
    assert read_varint(b"\xff\x80\x01\xff", 1) == (128, 3)


def test_numbers_out_of_range_are_refused_both_ways() -> None:
    for value in (-1, MAX_UINT + 1):
        with pytest.raises(UsageError):
            write_varint(bytearray(), value)
    for data in ("8080808080808010", "ffffffffffffffffff01", "80" * 11 + "01", "80" * 5000):
        for read in (read_varint, unpack):
            with pytest.raises(PeerError):
                read(bytes.fromhex(data))


def test_a_header_as_hyperbee_writes_it_is_read() -> None:
    assert listed(b"\x0a\x08hyperbee\x12\x00") == [(1, b"hyperbee"), (2, b"")]
    assert message((1, b"hyperbee"), (2, b"")) == b"\x0a\x08hyperbee\x12\x00"


def test_fields_are_views_of_the_messages_memory() -> None:
    data = bytearray(message((1, b"abc")))
    (_, view) = next(fields(data))
    data[2] = ord("z")
    assert bytes(view) == b"zbc"


def test_fields_of_other_wire_types_are_skipped() -> None:
    negative = b"\x08" + b"\xff" * 9 + b"\x01"
    others = negative + b"\x08\x05" + b"\x11" + bytes(8) + b"\x1d" + bytes(4)
    assert listed(others + message((7, b"x")) + others) == [(7, b"x")]


@pytest.mark.parametrize("data", ["0b", "0c", "0e", "0f"])
def test_groups_and_unknown_wire_types_are_refused(data: str) -> None:
    with pytest.raises(PeerError):
        listed(bytes.fromhex(data))


@pytest.mark.parametrize(
    "data", ["0a", "0a05aa", "0aff", "08", "08ff", "1100", "1d00", "ff", "08" + "80" * 20]
)
def test_a_field_past_the_end_is_refused(data: str) -> None:
    with pytest.raises(PeerError) as caught:
        listed(bytes.fromhex(data))
    assert caught.value.code == OUT_OF_BOUNDS


def test_a_field_number_beyond_one_byte_is_read() -> None:
    assert listed(message((1000, b"far"), (1, b"x" * 200))) == [(1000, b"far"), (1, b"x" * 200)]


def test_a_packed_list_beyond_any_use_is_refused() -> None:
    assert unpack(bytes(MAX_PACKED_SIZE)) == [0] * MAX_PACKED_SIZE
    with pytest.raises(PeerError):
        unpack(bytes(MAX_PACKED_SIZE + 1))


def test_a_packed_list_cut_in_a_number_is_out_of_bounds() -> None:
    with pytest.raises(PeerError) as caught:
        unpack(b"\x05\x80")
    assert caught.value.code == OUT_OF_BOUNDS


@given(st.lists(uints, max_size=30))
def test_packed_numbers_come_back(values: list[int]) -> None:
    data = pack(values)
    assert data == b"".join(map(varint, values))
    assert unpack(memoryview(data)) == values


@given(st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=200)), max_size=6))
def test_fields_come_back(items: list[tuple[int, bytes]]) -> None:
    assert listed(message(*items)) == items


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_give_values_or_a_peer_error(data: bytes) -> None:
    for read in (read_varint, unpack, listed):
        try:
            read(data)
        except PeerError:
            continue


@given(st.lists(st.tuples(st.integers(1, 3), st.binary(max_size=20)), min_size=1, max_size=4))
def test_a_message_cut_anywhere_gives_its_first_fields_or_a_peer_error(
    items: list[tuple[int, bytes]],
) -> None:
    whole = message(*items)
    for size in range(len(whole)):
        try:
            found = listed(whole[:size])
        except PeerError:
            continue
        assert found == items[: len(found)]

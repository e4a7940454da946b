import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.net.udx import Packet, decode_packet, encode_packet, is_udx
from pearbox_edge.net.udx.packet import (
    DATA,
    HEADER_SIZE,
    SACK,
    SEQUENCES,
    difference,
    header,
    headers,
    is_uniform,
    readdress,
    write_sacks,
)

words = st.integers(0, SEQUENCES - 1)
packets = st.builds(
    Packet,
    flags=st.sampled_from([0, 1, 2, 3, 8, 16, 32]),
    id=words,
    window=words,
    seq=words,
    ack=words,
    padding=st.integers(0, 255),
    payload=st.binary(max_size=40),
)


@given(packets)
def test_a_packet_is_read_as_it_was_written(packet: Packet) -> None:
    assert decode_packet(encode_packet(packet)) == packet


@given(words, st.lists(st.tuples(words, words), min_size=1, max_size=50))
def test_sacks_are_read_as_they_were_written(ack: int, sacks: list[tuple[int, int]]) -> None:
    data = encode_packet(Packet(SACK, 1, 2, 3, ack, sacks=tuple(sacks)))
    assert decode_packet(data).sacks == tuple(sacks)


def test_sacks_before_a_payload_end_where_the_offset_says() -> None:
    data = encode_packet(Packet(SACK | DATA, 1, 2, 3, 4, 8, ((5, 6),), b"payload"))
    packet = decode_packet(data)
    assert packet.sacks == ((5, 6),)
    assert packet.payload == b"payload"


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_give_a_packet_or_a_peer_error(data: bytes, looks_right: bool) -> None:
    if looks_right:
        data = b"\xff\x01" + data
    try:
        packet = decode_packet(data)
    except PeerError:
        return
    assert is_udx(data)
    assert len(packet.payload) <= len(data)


@given(packets, st.data())
def test_a_cut_packet_gives_a_packet_or_a_peer_error(packet: Packet, data: st.DataObject) -> None:
    whole = encode_packet(packet)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    if len(cut) < HEADER_SIZE + packet.padding:
        with pytest.raises(PeerError):
            decode_packet(cut)
    else:
        assert bytes(packet.payload).startswith(bytes(decode_packet(cut).payload))


@given(words, st.integers(-(1 << 31), (1 << 31) - 1))
def test_distances_hold_across_the_wrap(start: int, distance: int) -> None:
    assert difference((start + distance) % SEQUENCES, start) == distance


@given(st.integers(0, 3), st.integers(0, 6))
def test_many_headers_are_the_single_ones(before: int, count: int) -> None:
    first = SEQUENCES - before
    found = headers(DATA, 7, 8, first, first + count, 9)
    assert found == [header(DATA, 7, 8, seq, 9) for seq in range(first, first + count)]


def test_more_than_fifty_blocks_are_cut() -> None:
    assert len(write_sacks([(i, i + 1) for i in range(0, 200, 2)])) == 50 * 8


def run(*packets: bytes) -> memoryview:
    return memoryview(bytearray(b"".join(packets)))


def test_a_run_for_two_streams_is_not_uniform() -> None:
    one, two = header(DATA, 1, 2, 3, 4) + b"abcd", header(DATA, 2, 2, 3, 4) + b"abcd"
    assert is_uniform(run(one, one, one[:22]), 24)
    assert not is_uniform(run(one, two, one), 24)
    assert not is_uniform(run(one, one, one[:19]), 24)
    assert not is_uniform(run(b"\3" * 24, b"\3" * 24), 24)


def test_a_relay_changes_the_ids_of_a_whole_run_and_nothing_else() -> None:
    parts = [header(DATA, 1, 2, seq, 4) + b"abcd" for seq in range(3)]
    whole = run(*parts, parts[0][:21])
    readdress(whole, 24, 0x01020304)
    wanted = [header(DATA, 0x01020304, 2, seq, 4) + b"abcd" for seq in range(3)]
    assert whole == b"".join([*wanted, wanted[0][:21]])

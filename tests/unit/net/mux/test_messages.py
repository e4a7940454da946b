import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.net.mux.messages import (
    ALONE_SIZE,
    BATCH_SIZE,
    MAX_NAME,
    Outgoing,
    decode_open,
    encode_open,
    encode_uint,
    join_frames,
    split_frame,
)
from pearbox_edge.wire import Reader

NUMBERS = st.one_of(st.integers(1, 300), st.integers(1, (1 << 53) - 1))
FRAMES = st.lists(st.tuples(NUMBERS, NUMBERS, st.binary(max_size=50)), max_size=8)


def outgoing(channel: int, kind: int, *parts: bytes) -> Outgoing:
    return channel, encode_uint(kind), parts, sum(map(len, parts))


def sent(waiting: list[Outgoing]) -> list[memoryview]:
    return [memoryview(b"".join(message)) for message in join_frames(waiting)]


@given(NUMBERS)
def test_numbers_are_encoded_as_everywhere(number: int) -> None:
    assert Reader(encode_uint(number)).uint() == number


@given(FRAMES)
def test_frames_arrive_as_they_were_sent_in_order(frames: list[tuple[int, int, bytes]]) -> None:
    arrived = [
        item
        for frame in sent([outgoing(*frame) for frame in frames])
        for item in split_frame(frame)
    ]
    assert [(number, kind, bytes(body)) for number, kind, body in arrived] == frames


def test_small_frames_share_a_message_and_big_ones_go_alone() -> None:
    big, small = bytes(ALONE_SIZE), b"small"
    messages = join_frames(
        [outgoing(1, 0, small), outgoing(2, 0, small), outgoing(1, 0, big), outgoing(1, 0, small)]
    )
    assert [sum(map(len, message)) > ALONE_SIZE for message in messages] == [False, True, False]
    assert any(part is big for part in messages[1])


def test_batch_ends_at_about_64_kib() -> None:
    messages = sent([outgoing(1, 0, bytes(1000))] * 200)
    assert len(messages) == 4
    assert all(len(message) <= BATCH_SIZE + 4096 for message in messages)


@given(st.binary(max_size=200))
def test_any_frame_is_taken_apart_or_refused(data: bytes) -> None:
    try:
        items = split_frame(memoryview(data))
    except PeerError:
        return
    assert sum(len(body) for _, _, body in items) <= len(data)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=2, max_size=4), st.data())
def test_cut_batch_gives_fewer_items_or_is_refused(
    bodies: list[bytes], data: st.DataObject
) -> None:
    (whole,) = sent([outgoing(1, 0, body) for body in bodies])
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        items = split_frame(cut)
    except PeerError:
        return
    assert [body for _, _, body in items] == bodies[: len(items)]
    assert len(items) < len(bodies)


def test_batch_within_a_batch_is_refused() -> None:
    frame = b"\0\0" + b"\0" * 3 + b"\0\0\0\0"
    with pytest.raises(PeerError):
        split_frame(memoryview(b"\0\0\0\3\0\1\1"))
    with pytest.raises(PeerError):
        split_frame(memoryview(frame + b"\1"))


@given(NUMBERS, st.text(max_size=30), st.binary(max_size=40), st.binary(max_size=40))
def test_open_reads_as_it_was_written(
    number: int, protocol: str, id_: bytes, handshake: bytes
) -> None:
    asked = decode_open(memoryview(encode_open(number, protocol, id_, handshake)))
    assert (asked.channel, asked.protocol, asked.id) == (number, protocol, id_ or None)
    assert asked.handshake == handshake


@given(st.binary(max_size=100))
def test_any_open_is_read_or_refused(data: bytes) -> None:
    try:
        decode_open(memoryview(data))
    except PeerError:
        return


@given(st.data())
def test_cut_open_is_refused(data: st.DataObject) -> None:
    whole = encode_open(7, "demo", b"id" * 16, b"")
    with pytest.raises(PeerError):
        decode_open(memoryview(whole[: data.draw(st.integers(0, len(whole) - 1))]))


@pytest.mark.parametrize(("protocol", "id_"), [("p" * (MAX_NAME + 1), b"i"), ("p", b"i" * 1025)])
def test_endless_name_is_refused(protocol: str, id_: bytes) -> None:
    with pytest.raises(PeerError):
        decode_open(memoryview(encode_open(1, protocol, id_, b"")))

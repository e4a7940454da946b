import contextlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.net.noise import (
    HandshakeDone,
    Options,
    Pattern,
    SecretStreamMachine,
    SessionKeys,
)
from pearbox_edge.net.noise.secret_stream import MAX_HANDSHAKE_FRAME, MAX_MESSAGE, SEAL_CHUNK
from tests.kit.net import seeded_bytes

ALICE = KeyPair.from_seed(b"a" * 32)
BOB = KeyPair.from_seed(b"b" * 32)
QUIET = Options(keep_alive=None)


def machine(*, is_initiator: bool, options: Options = QUIET) -> SecretStreamMachine:
    return SecretStreamMachine.handshaking(
        Pattern.XX,
        is_initiator=is_initiator,
        key_pair=ALICE if is_initiator else BOB,
        random_bytes=seeded_bytes(1 if is_initiator else 2),
        now=0.0,
        options=options,
    )


def keys(*, is_initiator: bool) -> SessionKeys:
    return SessionKeys(
        is_initiator=is_initiator,
        tx=b"t" * 32 if is_initiator else b"r" * 32,
        rx=b"r" * 32 if is_initiator else b"t" * 32,
        handshake_hash=b"h" * 64,
        remote_public_key=BOB.public_key if is_initiator else ALICE.public_key,
    )


def started(*, is_initiator: bool, options: Options = QUIET) -> SecretStreamMachine:
    draw = seeded_bytes(1 if is_initiator else 2)
    return SecretStreamMachine(
        keys=keys(is_initiator=is_initiator), random_bytes=draw, now=0.0, options=options
    )


def written(side: SecretStreamMachine, now: float = 0.0) -> bytearray:
    return bytearray().join(side.transmit(now))


def feed(side: SecretStreamMachine, data: bytes | bytearray, now: float = 0.0) -> None:
    side.receive(memoryview(bytearray(data)), now)


def connect(left: SecretStreamMachine, right: SecretStreamMachine) -> None:
    for _ in range(3):
        feed(right, written(left))
        feed(left, written(right))


def pair() -> tuple[SecretStreamMachine, SecretStreamMachine]:
    left, right = started(is_initiator=True), started(is_initiator=False)
    connect(left, right)
    return left, right


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + body


def test_handshake_in_band_opens_both_sides() -> None:
    left, right = machine(is_initiator=True), machine(is_initiator=False)
    connect(left, right)
    for side, other in ((left, BOB), (right, ALICE)):
        (event,) = side.events()
        assert isinstance(event, HandshakeDone)
        assert event.keys.remote_public_key == other.public_key
        assert side.keys == event.keys
    left.send([(b"hello", b" there")])
    feed(right, written(left))
    assert right.messages() == [b"hello there"]


def test_messages_may_follow_the_last_handshake_message_at_once() -> None:
    left, right = machine(is_initiator=True), machine(is_initiator=False)
    feed(right, written(left))
    feed(left, written(right))
    left.send([(b"early",)])
    feed(right, written(left))
    assert right.messages() == [b"early"]


def test_message_before_the_handshake_is_our_mistake() -> None:
    with pytest.raises(UsageError):
        machine(is_initiator=True).send([(b"too soon",)])


def test_stream_with_neither_handshake_nor_keys_is_our_mistake() -> None:
    with pytest.raises(UsageError):
        SecretStreamMachine(random_bytes=bytes, now=0.0)


@given(st.lists(st.lists(st.binary(max_size=100), max_size=3), max_size=6))
def test_messages_arrive_whole_and_in_order(messages: list[list[bytes]]) -> None:
    left, right = pair()
    left.send(messages)
    feed(right, written(left))
    whole = [b"".join(message) for message in messages]
    assert right.messages() == [message for message in whole if message]
    assert right.ended_cleanly


@given(st.data())
def test_input_cut_anywhere_gives_the_same_messages(data: st.DataObject) -> None:
    left, right = machine(is_initiator=True), machine(is_initiator=False)

    def feed_in_pieces(side: SecretStreamMachine, stream: bytearray) -> None:
        cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            feed(side, stream[start:stop])

    feed_in_pieces(right, written(left))
    feed_in_pieces(left, written(right))
    left.send([(b"one",), (b"",), (b"two" * 30,)])
    left.send([(b"three",)])
    feed_in_pieces(right, written(left))
    assert right.messages() == [b"one", b"two" * 30, b"three"]


def test_one_byte_at_a_time_is_enough() -> None:
    left, right = pair()
    left.send([(b"slowly",), (b"but surely",)])
    arrived: list[memoryview] = []
    for byte in written(left):
        feed(right, bytes([byte]))
        arrived += right.messages()
    assert arrived == [b"slowly", b"but surely"]


def test_messages_are_opened_inside_the_buffer_they_came_in() -> None:
    left, right = pair()
    left.send([(b"first",), (b"second",)])
    buffer = written(left)
    right.receive(memoryview(buffer), 0.0)
    first, second = right.messages()
    assert first.obj is buffer
    assert second.obj is buffer
    assert b"first" in buffer


def test_read_only_input_is_copied() -> None:
    left, right = pair()
    left.send([(b"hello",)])
    right.receive(memoryview(bytes(written(left))), 0.0)
    assert right.messages() == [b"hello"]


def test_output_buffers_end_at_about_a_mebibyte() -> None:
    left, right = pair()
    left.send([(bytes(600 << 10),)] * 4)
    buffers = left.transmit(0.0)
    assert len(buffers) == 2
    assert all(len(buffer) < 2 * SEAL_CHUNK for buffer in buffers)
    for buffer in buffers:
        right.receive(memoryview(buffer), 0.0)
    assert [len(message) for message in right.messages()] == [600 << 10] * 4


def test_longest_message_passes_and_a_longer_one_is_our_mistake() -> None:
    left, right = pair()
    left.send([(bytes(MAX_MESSAGE),)])
    feed(right, written(left))
    assert [len(message) for message in right.messages()] == [MAX_MESSAGE]
    with pytest.raises(UsageError):
        left.send([(bytes(MAX_MESSAGE), b"x")])


@given(st.integers(0), st.sampled_from([b"first", b"second"]))
def test_one_wrong_bit_ends_the_stream_after_what_came_before(bit: int, text: bytes) -> None:
    left, right = pair()
    left.send([(b"first",)])
    good = written(left)
    left.send([(b"second",)])
    bad = written(left)
    place = 8 * 3 + bit % (8 * (len(bad) - 3))
    bad[place // 8] ^= 1 << place % 8
    with pytest.raises(PeerError):
        feed(right, good + bad)
    assert right.messages() == [b"first"]


def test_repeated_frame_is_refused() -> None:
    left, right = pair()
    left.send([(b"again",)])
    data = written(left)
    feed(right, data)
    with pytest.raises(PeerError):
        feed(right, data)


@given(st.booleans(), st.binary(max_size=200))
def test_garbage_is_refused_or_waits_for_more(shook_hands: bool, data: bytes) -> None:
    side = started(is_initiator=False) if shook_hands else machine(is_initiator=False)
    with contextlib.suppress(PeerError):
        feed(side, data)
    assert side.messages() == []


def test_long_handshake_frame_is_refused_by_its_length() -> None:
    side = machine(is_initiator=False)
    with pytest.raises(PeerError):
        feed(side, (MAX_HANDSHAKE_FRAME + 1).to_bytes(3, "little"))


@pytest.mark.parametrize("size", [0, 16, 55, 57, 1 << 23])
def test_header_of_another_size_is_refused_by_its_length(size: int) -> None:
    with pytest.raises(PeerError):
        feed(started(is_initiator=True), size.to_bytes(3, "little"))


def test_header_of_our_own_role_is_refused() -> None:
    side, reflected = started(is_initiator=True), started(is_initiator=True)
    with pytest.raises(PeerError, match="header"):
        feed(side, written(reflected))


@pytest.mark.parametrize("size", range(17))
def test_frame_too_short_for_a_message_is_refused(size: int) -> None:
    _, right = pair()
    with pytest.raises(PeerError):
        feed(right, frame(bytes(size)))


def test_announced_length_alone_takes_no_memory() -> None:
    _, right = pair()
    tracemalloc.start()
    try:
        feed(right, b"\xff\xff\xff" + bytes(100))
        for _ in range(10):
            feed(right, bytes(100))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 10


def test_stream_does_not_end_cleanly_within_a_frame() -> None:
    left, right = pair()
    left.send([(b"hello",)])
    feed(right, written(left)[:-1])
    assert not right.ended_cleanly


def test_empty_message_keeps_the_stream_alive_and_is_swallowed() -> None:
    left = started(is_initiator=True, options=Options(keep_alive=5.0))
    right = started(is_initiator=False)
    connect(left, right)
    assert left.deadline() == 5.0
    left.expire(4.9)
    assert written(left, 4.9) == b""
    left.expire(5.0)
    data = written(left, 5.0)
    assert len(data) == 3 + 17
    assert left.deadline() == 10.0
    feed(right, data)
    assert right.messages() == []


def test_sending_puts_the_keep_alive_off() -> None:
    left = started(is_initiator=True, options=Options(keep_alive=5.0))
    written(left)
    left.send([(b"hello",)])
    written(left, 3.0)
    assert left.deadline() == 8.0


def test_nothing_is_kept_alive_before_the_handshake() -> None:
    left = machine(is_initiator=True, options=Options(keep_alive=5.0))
    assert left.deadline() is None


def test_silence_ends_the_stream_only_while_we_listen() -> None:
    side = started(is_initiator=True, options=Options(keep_alive=None, idle_timeout=13.0))
    assert side.deadline() is None
    side.expire(100.0)
    side.listen(100.0)
    assert side.deadline() == 113.0
    feed(side, b"\x38", 105.0)
    assert side.deadline() == 118.0
    side.expire(117.9)
    with pytest.raises(UnavailableError):
        side.expire(118.0)
    side.rest()
    assert side.deadline() is None

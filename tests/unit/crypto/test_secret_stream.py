import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import HEADER_SIZE, SEAL_SIZE, Opener, Sealer
from pearbox_edge.errors import PeerError, UsageError

KEY = bytes(range(32))
HEADER = bytes(range(HEADER_SIZE))


def sealed(sealer: Sealer, plain: bytes) -> bytearray:
    out = bytearray(1) + plain + bytearray(16)
    sealer.seal(memoryview(out))
    return out


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_messages_open_in_the_order_they_were_sealed(messages: list[bytes]) -> None:
    sealer, opener = Sealer(KEY, HEADER), Opener(KEY, HEADER)
    for message in messages:
        cipher = sealed(sealer, message)
        assert len(cipher) == len(message) + SEAL_SIZE
        assert bytes(opener.open(memoryview(cipher))) == message


def test_sealing_and_opening_happen_in_the_callers_memory() -> None:
    out = bytearray(1000)
    out[101:106] = b"hello"
    view = memoryview(out)
    Sealer(KEY, HEADER).seal(view[100:122])
    assert out[101:106] != b"hello"
    assert out[:100] == bytes(100)
    assert out[122:] == bytes(878)
    plain = Opener(KEY, HEADER).open(view[100:122])
    assert bytes(plain) == bytes(out[101:106]) == b"hello"
    assert out[:100] == bytes(100)
    assert out[122:] == bytes(878)


def test_a_message_out_of_order_does_not_open_and_the_right_one_still_does() -> None:
    sealer, opener = Sealer(KEY, HEADER), Opener(KEY, HEADER)
    first, second = sealed(sealer, b"1"), sealed(sealer, b"2")
    with pytest.raises(PeerError):
        opener.open(memoryview(second))
    assert bytes(opener.open(memoryview(first))) == b"1"
    assert bytes(opener.open(memoryview(second))) == b"2"


@given(st.integers(0, 8 * 25 - 1))
def test_a_message_with_any_bit_flipped_does_not_open_and_stays_as_it_was(bit: int) -> None:
    cipher = sealed(Sealer(KEY, HEADER), b"12345678")
    cipher[bit >> 3] ^= 1 << (bit & 7)
    before = bytes(cipher)
    with pytest.raises(PeerError) as caught:
        Opener(KEY, HEADER).open(memoryview(cipher))
    assert caught.value.code == "DECRYPTION_FAILED"
    assert cipher == before


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        Opener(KEY, HEADER).open(memoryview(bytearray(data)))


def test_a_message_cut_anywhere_is_refused() -> None:
    cipher = sealed(Sealer(KEY, HEADER), b"some text")
    for size in range(len(cipher)):
        with pytest.raises(PeerError):
            Opener(KEY, HEADER).open(memoryview(cipher)[:size])


def test_another_key_or_header_does_not_open() -> None:
    cipher = sealed(Sealer(KEY, HEADER), b"text")
    for key, header in ((bytes(32), HEADER), (KEY, bytes(HEADER_SIZE))):
        with pytest.raises(PeerError):
            Opener(key, header).open(memoryview(bytearray(cipher)))


def test_memory_that_may_not_change_is_left_alone() -> None:
    cipher = bytes(sealed(Sealer(KEY, HEADER), b"text"))
    for work in (Opener(KEY, HEADER).open, Sealer(KEY, HEADER).seal):
        with pytest.raises(UsageError):
            work(memoryview(cipher))


def test_wrong_sizes_are_a_bug_of_ours() -> None:
    for kind in (Sealer, Opener):
        for key, header in ((KEY[1:], HEADER), (KEY, HEADER[1:])):
            with pytest.raises(UsageError):
                kind(key, header)
    with pytest.raises(UsageError):
        Sealer(KEY, HEADER).seal(memoryview(bytearray(SEAL_SIZE - 1)))

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import secretbox_seal, xsalsa20, xsalsa20_into
from pearbox_edge.crypto.sodium import XsalsaXor
from pearbox_edge.crypto.xsalsa20 import xor_with_secretbox
from pearbox_edge.errors import UsageError

KEY = bytes(range(32))
NONCE = bytes(range(24))

keys = st.binary(min_size=32, max_size=32)
nonces = st.binary(min_size=24, max_size=24)


def by_fallback(data: bytes, nonce: bytes, key: bytes) -> bytes:
    out = bytearray(len(data))
    xor_with_secretbox(memoryview(out), data, nonce, key)
    return bytes(out)


@pytest.mark.parametrize("size", [0, 1, 16, 31, 32, 33, 64, 65, 200, 65536])
def test_both_ways_to_compute_it_agree(size: int) -> None:
    data = bytes(i & 255 for i in range(size))
    assert xsalsa20(data, NONCE, KEY) == by_fallback(data, NONCE, KEY)


@given(st.binary(max_size=100), nonces, keys)
def test_both_ways_agree_for_any_key_and_nonce(data: bytes, nonce: bytes, key: bytes) -> None:
    assert xsalsa20(data, nonce, key) == by_fallback(data, nonce, key)


@given(st.binary(max_size=100), nonces, keys)
def test_twice_gives_the_text_back(data: bytes, nonce: bytes, key: bytes) -> None:
    assert xsalsa20(xsalsa20(data, nonce, key), nonce, key) == data


@pytest.mark.parametrize("work", [xsalsa20_into, xor_with_secretbox])
def test_it_works_in_place_and_touches_nothing_around(work: XsalsaXor) -> None:
    memory = bytearray(b"\xaa" * 300)
    view = memoryview(memory)[100:200]
    work(view, view, NONCE, KEY)
    assert bytes(view) == xsalsa20(b"\xaa" * 100, NONCE, KEY)
    assert memory[:100] == memory[200:] == b"\xaa" * 100


def test_the_stream_is_the_one_a_secretbox_uses() -> None:
    assert xsalsa20(bytes(100), NONCE, KEY)[32:] == secretbox_seal(NONCE, KEY, bytes(68))[16:]


def test_wrong_sizes_and_fixed_memory_are_a_bug_of_ours() -> None:
    out = memoryview(bytearray(4))
    for data, nonce, key in (
        (b"abcd", NONCE[1:], KEY),
        (b"abcd", NONCE, KEY[1:]),
        (b"abc", NONCE, KEY),
    ):
        with pytest.raises(UsageError):
            xsalsa20_into(out, data, nonce, key)
    with pytest.raises(UsageError):
        xsalsa20_into(memoryview(b"abcd"), b"abcd", NONCE, KEY)

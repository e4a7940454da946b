from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import aead_open, aead_seal, secretbox_open, secretbox_seal
from pearbox_edge.errors import PeerError, UsageError

KEY = bytes(range(32))
NONCE = bytes(range(12))
BOX_NONCE = bytes(range(24))


@given(st.binary(max_size=100), st.binary(max_size=80))
def test_sealed_messages_open(plain: bytes, ad: bytes) -> None:
    cipher = aead_seal(KEY, NONCE, memoryview(ad), memoryview(plain))
    assert len(cipher) == len(plain) + 16
    assert aead_open(KEY, NONCE, ad, memoryview(cipher)) == plain
    box = secretbox_seal(BOX_NONCE, KEY, memoryview(plain))
    assert len(box) == len(plain) + 16
    assert secretbox_open(BOX_NONCE, KEY, bytearray(box)) == plain


def test_the_example_of_rfc_8439_comes_out() -> None:
    plain = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it."
    )
    key = bytes(range(0x80, 0xA0))
    nonce = bytes.fromhex("070000004041424344454647")
    cipher = aead_seal(key, nonce, bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), plain)
    assert cipher[:8].hex() == "d31a8d34648e60db"
    assert cipher[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


@pytest.mark.parametrize(
    "change",
    [
        lambda key, nonce, ad, cipher: (bytes(32), nonce, ad, cipher),
        lambda key, nonce, ad, cipher: (key, bytes(12), ad, cipher),
        lambda key, nonce, ad, cipher: (key, nonce, ad + b"!", cipher),
        lambda key, nonce, ad, cipher: (key, nonce, b"", cipher),
        lambda key, nonce, ad, cipher: (key, nonce, ad, cipher[:-1]),
        lambda key, nonce, ad, cipher: (key, nonce, ad, bytes((cipher[0] ^ 1,)) + cipher[1:]),
    ],
)
def test_whatever_differs_keeps_it_shut(
    change: Callable[[bytes, bytes, bytes, bytes], tuple[bytes, bytes, bytes, bytes]],
) -> None:
    with pytest.raises(PeerError) as caught:
        aead_open(*change(KEY, NONCE, b"ad", aead_seal(KEY, NONCE, b"ad", b"text")))
    assert caught.value.code == "DECRYPTION_FAILED"


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        aead_open(KEY, NONCE, b"", data)
    with pytest.raises(PeerError):
        secretbox_open(BOX_NONCE, KEY, data)


def test_a_message_cut_anywhere_is_refused() -> None:
    cipher, box = aead_seal(KEY, NONCE, b"", b"text"), secretbox_seal(BOX_NONCE, KEY, b"text")
    for size in range(len(cipher)):
        with pytest.raises(PeerError):
            aead_open(KEY, NONCE, b"", cipher[:size])
        with pytest.raises(PeerError):
            secretbox_open(BOX_NONCE, KEY, box[:size])


def test_keys_and_nonces_of_the_wrong_size_are_a_bug_of_ours() -> None:
    for key, nonce in ((KEY[1:], NONCE), (KEY, NONCE[1:])):
        with pytest.raises(UsageError):
            aead_seal(key, nonce, b"", b"")
        with pytest.raises(UsageError):
            aead_open(key, nonce, b"", bytes(16))
    for key, nonce in ((KEY[1:], BOX_NONCE), (KEY, NONCE)):
        with pytest.raises(UsageError):
            secretbox_seal(nonce, key, b"")
        with pytest.raises(UsageError):
            secretbox_open(nonce, key, bytes(16))

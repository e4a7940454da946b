"""Sealing single messages: ChaCha20-Poly1305 (Noise) and secretbox (unordered messages)."""

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt,
    crypto_aead_chacha20poly1305_ietf_encrypt,
    crypto_secretbox_easy,
    crypto_secretbox_open_easy,
)
from nacl.exceptions import CryptoError

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import Buffer

_KEY_SIZE = 32
_TAG_SIZE = 16
_AEAD_NONCE_SIZE = 12
_BOX_NONCE_SIZE = 24


def aead_seal(key: bytes, nonce: bytes, ad: Buffer, plain: Buffer) -> bytes:
    """Seal with ChaCha20-Poly1305 (IETF): ciphertext and 16 bytes of tag, bound to `ad`.

    key: 32 bytes; nonce: 12 bytes, never the same twice. UsageError for other sizes.
    """
    _check(key, nonce, _AEAD_NONCE_SIZE)
    return crypto_aead_chacha20poly1305_ietf_encrypt(bytes(plain), bytes(ad), nonce, key)


def aead_open(key: bytes, nonce: bytes, ad: Buffer, cipher: Buffer) -> bytes:
    """Open what `aead_seal` made; PeerError if any bit of it, of `ad` or of the nonce differs."""
    _check(key, nonce, _AEAD_NONCE_SIZE)
    if len(cipher) < _TAG_SIZE:
        raise PeerError("a sealed message of under 16 bytes", code="DECRYPTION_FAILED")
    try:
        return crypto_aead_chacha20poly1305_ietf_decrypt(bytes(cipher), bytes(ad), nonce, key)
    except CryptoError:
        raise PeerError("a sealed message does not open", code="DECRYPTION_FAILED") from None


def secretbox_seal(nonce: bytes, key: bytes, data: Buffer) -> bytes:
    """Seal with XSalsa20-Poly1305: 16 bytes of tag, then the ciphertext.

    nonce: 24 bytes, never the same twice; key: 32 bytes. UsageError for other sizes.
    """
    _check(key, nonce, _BOX_NONCE_SIZE)
    return crypto_secretbox_easy(bytes(data), nonce, key)


def secretbox_open(nonce: bytes, key: bytes, data: Buffer) -> bytes:
    """Open what `secretbox_seal` made; PeerError if any bit of it differs."""
    _check(key, nonce, _BOX_NONCE_SIZE)
    if len(data) < _TAG_SIZE:
        raise PeerError("a sealed box of under 16 bytes", code="DECRYPTION_FAILED")
    try:
        return crypto_secretbox_open_easy(bytes(data), nonce, key)
    except CryptoError:
        raise PeerError("a sealed box does not open", code="DECRYPTION_FAILED") from None


def _check(key: bytes, nonce: bytes, nonce_size: int) -> None:
    if len(key) != _KEY_SIZE or len(nonce) != nonce_size:
        raise UsageError(f"needs a key of {_KEY_SIZE} bytes and a nonce of {nonce_size}")

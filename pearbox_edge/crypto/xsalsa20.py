"""XSalsa20 without a tag, as block encryption uses it (libsodium's crypto_stream_xor).

PyNaCl offers no call for it. Its library has the function, nearly always; where it is hidden, the
first 32 bytes of the stream are computed here and the rest comes out of a secretbox.
"""

from struct import Struct

from nacl.bindings import crypto_secretbox_easy

from pearbox_edge.errors import UsageError
from pearbox_edge.wire import Buffer

from .sodium import find_xsalsa20

_KEY_SIZE = 32
_NONCE_SIZE = 24
_BOX_TAG_SIZE = 16
_BOX_SKIPS = 32  # SPEC: a secretbox keeps the first 32 bytes of the stream for its tag

_WORDS_4 = Struct("<4I")
_WORDS_8 = Struct("<8I")
_WORDS_16 = Struct("<16I")
_SIGMA = _WORDS_4.unpack(b"expand 32-byte k")
_MASK = 0xFFFFFFFF

_COLUMNS = ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11))
_ROWS = ((0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14))


def xsalsa20(data: Buffer, nonce: bytes, key: bytes) -> bytes:
    """Encrypt or decrypt (the same thing) `data`; no tag, so the caller checks integrity.

    nonce: 24 bytes, never the same twice under one key; key: 32 bytes. UsageError for other sizes.
    """
    out = bytearray(len(data))
    xsalsa20_into(memoryview(out), data, nonce, key)
    return bytes(out)


def xsalsa20_into(out: memoryview, data: Buffer, nonce: bytes, key: bytes) -> None:
    """Do the same into `out`, of the size of `data`; it may be the very same memory."""
    if len(key) != _KEY_SIZE or len(nonce) != _NONCE_SIZE or len(out) != len(data):
        raise UsageError("xsalsa20 needs a key of 32 bytes, a nonce of 24 and an output that fits")
    if out.readonly:
        raise UsageError("xsalsa20 needs a writable output")
    _xor(out, data, nonce, key)


def xor_with_secretbox(out: memoryview, data: Buffer, nonce: bytes, key: bytes) -> None:
    """Do it without the library's own function: slower, the same bytes."""
    source = bytes(data)
    size = min(_BOX_SKIPS, len(source))
    first = int.from_bytes(source[:size], "little")
    stream = int.from_bytes(_first_bytes(nonce, key)[:size], "little")
    out[:size] = (first ^ stream).to_bytes(size, "little")
    out[size:] = crypto_secretbox_easy(source[size:], nonce, key)[_BOX_TAG_SIZE:]


def _first_bytes(nonce: bytes, key: bytes) -> bytes:
    """Compute the first 32 bytes of the stream: a subkey from 16 bytes of nonce, then a block."""
    state = _state(key, nonce[:16])
    mixed = _rounds(state)
    subkey = _WORDS_8.pack(*(mixed[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))
    state = _state(subkey, nonce[16:] + bytes(8))
    mixed = _rounds(state)
    block = _WORDS_16.pack(*((a + b) & _MASK for a, b in zip(state, mixed, strict=True)))
    return block[:_BOX_SKIPS]


def _state(key: bytes, middle: bytes) -> list[int]:
    """Lay out Salsa20's 16 words: constants on the diagonal, key around, nonce in the middle."""
    k = _WORDS_8.unpack(key)
    n = _WORDS_4.unpack(middle)
    return [_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3]]


def _rounds(state: list[int]) -> list[int]:
    """Run the 20 rounds of Salsa20 over a copy."""
    x = list(state)
    for _ in range(10):
        for quarters in (_COLUMNS, _ROWS):
            for a, b, c, d in quarters:
                x[b] ^= _turned(x[a] + x[d], 7)
                x[c] ^= _turned(x[b] + x[a], 9)
                x[d] ^= _turned(x[c] + x[b], 13)
                x[a] ^= _turned(x[d] + x[c], 18)
    return x


def _turned(word: int, bits: int) -> int:
    word &= _MASK
    return (word << bits | word >> (32 - bits)) & _MASK


_xor = find_xsalsa20() or xor_with_secretbox

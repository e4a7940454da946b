"""The calls into libsodium that PyNaCl has no typed function for, with types put on them here.

Every call works on the caller's own memory and gives up the interpreter lock while it runs.
Sizes are checked by the callers: libsodium itself reads and writes as much as it likes.
"""

import ctypes
from collections.abc import Callable
from typing import NewType

# PyNaCl types its functions but not the extension module under them: what comes from here is put
# into typed functions at once, and nothing untyped leaves this file.
from nacl import _sodium

from pearbox_edge.wire import Buffer

_ffi = _sodium.ffi
_lib = _sodium.lib
_from_buffer = _ffi.from_buffer
_push = _lib.crypto_secretstream_xchacha20poly1305_push
_pull = _lib.crypto_secretstream_xchacha20poly1305_pull
_NULL = _ffi.NULL
_BYTES = _ffi.typeof("unsigned char[]")

StreamState = NewType("StreamState", object)
"""One direction of a secret stream, inside libsodium."""

XsalsaXor = Callable[[memoryview, Buffer, bytes, bytes], None]
"""xor(out, data, nonce, key): `out` may be `data` itself."""


def stream_state(key: bytes, header: bytes) -> StreamState:
    """Start a secret stream from a key of 32 and a header of 24 bytes.

    The state that writes and the one that reads are equal; libsodium only offers to draw the
    header itself when writing, so both begin as readers here.
    """
    size: int = _lib.crypto_secretstream_xchacha20poly1305_statebytes()
    state = _ffi.new("unsigned char[]", size)
    _lib.crypto_secretstream_xchacha20poly1305_init_pull(state, header, key)
    return StreamState(state)


def stream_push(state: StreamState, out: memoryview) -> None:
    """Seal what lies at out[1:-16], in place; `out` is writable and 17 bytes or more."""
    cipher = _from_buffer(_BYTES, out)
    _push(state, cipher, _NULL, cipher + 1, len(out) - 17, _NULL, 0, 0)


def stream_pull(state: StreamState, cipher: memoryview) -> bool:
    """Open in place, to cipher[1:-16]; false (and nothing changed) if the tag is wrong."""
    data = _from_buffer(_BYTES, cipher)
    opened: int = _pull(state, data + 1, _NULL, _NULL, data, len(cipher), _NULL, 0)
    return opened == 0


def find_xsalsa20() -> XsalsaXor | None:
    """Look for XSalsa20 in the library inside PyNaCl, which has it but offers no call for it."""
    try:
        symbol = ctypes.CDLL(_sodium.__file__).crypto_stream_xsalsa20_xor
    except (OSError, AttributeError):
        return None
    address = ctypes.cast(symbol, ctypes.c_void_p).value
    call = _ffi.cast(
        "int (*)(unsigned char *, const unsigned char *, unsigned long long,"
        " const unsigned char *, const unsigned char *)",
        address,
    )

    def xor(out: memoryview, data: Buffer, nonce: bytes, key: bytes) -> None:
        call(_from_buffer(_BYTES, out), _from_buffer(_BYTES, data), len(data), nonce, key)

    return xor

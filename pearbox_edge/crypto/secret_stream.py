"""The cipher of the secret stream: libsodium's crypto_secretstream_xchacha20poly1305, in place."""

from pearbox_edge.errors import PeerError, UsageError

from .sodium import stream_pull, stream_push, stream_state

HEADER_SIZE = 24
"""SPEC sheet 03: random bytes that start one direction, sent once in clear."""

SEAL_SIZE = 17
"""SPEC sheet 03: what a message grows by: a byte before it and 16 after it."""

_KEY_SIZE = 32


class Sealer:
    """The sending side of one direction; the n-th message opens only as the n-th.

    key: 32 bytes; header: HEADER_SIZE fresh random bytes, which the other side needs too.
    """

    __slots__ = ("_state",)

    def __init__(self, key: bytes, header: bytes) -> None:
        _check(key, header)
        self._state = stream_state(key, header)

    def seal(self, out: memoryview) -> None:
        """Turn `out`, with the plain bytes at out[1:-16], into the whole sealed message.

        Raises UsageError if `out` is shorter than SEAL_SIZE or cannot be written to.
        """
        if len(out) < SEAL_SIZE or out.readonly:
            raise UsageError("sealing needs a writable buffer of 17 bytes or more")
        stream_push(self._state, out)


class Opener:
    """The receiving side of one direction; key and header are those of its Sealer."""

    __slots__ = ("_state",)

    def __init__(self, key: bytes, header: bytes) -> None:
        _check(key, header)
        self._state = stream_state(key, header)

    def open(self, cipher: memoryview) -> memoryview:
        """Open a sealed message in place and give its plain bytes, cipher[1:-16].

        Raises PeerError if it is too short or not the message that was sealed next; UsageError if
        `cipher` cannot be written to. Tags of any kind are taken; upstream acts on none of them.
        """
        if len(cipher) < SEAL_SIZE:
            raise PeerError("a sealed message of under 17 bytes", code="DECRYPTION_FAILED")
        if cipher.readonly:
            raise UsageError("opening needs a writable buffer")
        if not stream_pull(self._state, cipher):
            raise PeerError("a sealed message does not open", code="DECRYPTION_FAILED")
        return cipher[1:-16]


def _check(key: bytes, header: bytes) -> None:
    if len(key) != _KEY_SIZE or len(header) != HEADER_SIZE:
        raise UsageError(f"a secret stream needs a key of {_KEY_SIZE} bytes and a header of 24")

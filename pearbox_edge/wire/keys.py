"""Keys as text and back (npm hypercore-id-encoding 1.3.0)."""

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import KEY_SIZE

from .buffers import Buffer
from .zbase32 import z32_decode, z32_encode

LINK_SCHEME = "pear://"
INVALID_KEY = "INVALID_KEY"

_Z32_LENGTH = 52
_HEX_LENGTH = 64


def encode_key(key: Buffer) -> str:
    """Write a key of 32 bytes as its 52 characters of z-base-32.

    Raises UsageError if it is not 32 bytes.
    """
    if len(key) != KEY_SIZE:
        raise UsageError(f"a key is {KEY_SIZE} bytes, not {len(key)}")
    return z32_encode(key)


def decode_key(text: str | Buffer) -> bytes:
    """Read a key in any form it is passed around in, as 32 bytes.

    text: 52 characters of z-base-32, 64 of hex, `pear://` and one of them (what follows the next
    `/` is cut off), or the 32 bytes themselves. Raises PeerError for anything else.
    """
    if not isinstance(text, str):
        if len(text) != KEY_SIZE:
            raise PeerError(f"a key is {KEY_SIZE} bytes, not {len(text)}", code=INVALID_KEY)
        return bytes(text)
    if text.startswith(LINK_SCHEME):
        text = text[len(LINK_SCHEME) :].split("/", 1)[0]
    if len(text) == _Z32_LENGTH:
        try:
            return z32_decode(text)
        except PeerError as error:
            raise PeerError("a key in z-base-32 has a wrong character", code=INVALID_KEY) from error
    if len(text) == _HEX_LENGTH and text.isascii() and text.isalnum():
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise PeerError("a key in hex has a wrong character", code=INVALID_KEY) from None
    raise PeerError("a key is 52 characters of z-base-32 or 64 of hex", code=INVALID_KEY)

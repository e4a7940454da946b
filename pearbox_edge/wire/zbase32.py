"""z-base-32: bytes as text that people can copy (npm z32 1.1.0)."""

import base64

from .buffers import Buffer, invalid

ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
"""SPEC sheet 01: digit by digit, most significant bits first."""

_RFC_4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_Z32 = bytes.maketrans(_RFC_4648.encode(), ALPHABET.encode())
_FROM_Z32 = str.maketrans(ALPHABET, _RFC_4648)
_DIGITS = frozenset(ALPHABET)
_IMPOSSIBLE_TAILS = frozenset({1, 3, 6})


def z32_encode(data: Buffer) -> str:
    """Write bytes as z-base-32: 8 characters for 5 bytes, no padding (32 bytes make 52)."""
    return base64.b32encode(data).rstrip(b"=").translate(_TO_Z32).decode("ascii")


def z32_decode(text: str) -> bytes:
    """Read z-base-32; bits left over in the last character are ignored.

    Raises PeerError for a character outside the alphabet (capitals too) or an impossible length.
    """
    if not _DIGITS.issuperset(text):
        raise invalid("a character that is not z-base-32")
    if len(text) % 8 in _IMPOSSIBLE_TAILS:
        raise invalid(f"{len(text)} characters of z-base-32 are no whole bytes")
    return base64.b32decode(text.translate(_FROM_Z32) + "=" * (-len(text) % 8))

"""What both directions share: the type of bytes, the limits of the format, the error codes."""

from pearbox_edge.errors import PeerError

Buffer = bytes | bytearray | memoryview
"""Bytes in any of the shapes they travel in; a memoryview is of single bytes."""

MAX_UINT = (1 << 53) - 1
"""SPEC sheet 01: the largest number any unsigned codec carries (what JavaScript can count to)."""

MAX_ARRAY = 0x100000
"""SPEC sheet 01: the largest count an array may announce."""

OUT_OF_BOUNDS = "OUT_OF_BOUNDS"
"""Code of the PeerError for input that ends too early."""

OUT_OF_RANGE = "OUT_OF_RANGE"
"""Code of the PeerError for a number or count above the limits of the format."""

INVALID_ENCODING = "INVALID_ENCODING"
"""Code of the PeerError for bytes that stand for no value."""


def out_of_bounds(needed: int, available: int) -> PeerError:
    """Make the error for input that ends too early."""
    return PeerError(f"out of bounds: {needed} bytes needed, {available} left", code=OUT_OF_BOUNDS)


def out_of_range(what: str) -> PeerError:
    """Make the error for a number above the limits of the format."""
    return PeerError(f"out of range: {what}", code=OUT_OF_RANGE)


def invalid(what: str) -> PeerError:
    """Make the error for bytes that stand for no value."""
    return PeerError(f"invalid encoding: {what}", code=INVALID_ENCODING)

"""The rarer numbers of compact encoding: order-preserving, beyond 2^53, fractions, flag sets."""

import math
from struct import Struct

from pearbox_edge.errors import UsageError

from .buffers import MAX_ARRAY, MAX_UINT, out_of_range
from .reader import Reader
from .writer import Writer

_FLOAT_32 = Struct("<f")
_FLOAT_64 = Struct("<d")

_LEXINT_DIRECT = 251  # SPEC sheet 01: smaller numbers are their own byte
_LEXINT_FAR = 0xFF  # SPEC sheet 01: exponent and 48 bits follow


def read_lexint(reader: Reader) -> int:
    """Read a number whose bytes sort as the numbers do.

    From 2^44 on upstream's form keeps only the first bits. Raises PeerError for what stands for no
    whole number up to 2^53-1 (upstream writes 2^32 to 2^32+250 that way).
    """
    flag = reader.uint8()
    if flag < _LEXINT_DIRECT:
        return flag
    if flag < _LEXINT_FAR:
        return reader.fixed_uint(flag - _LEXINT_DIRECT + 1, big_endian=True) + _LEXINT_DIRECT
    exponent = reader.uint8()
    if exponent >= _LEXINT_DIRECT:
        raise out_of_range("a lexint exponent")
    rest = reader.fixed_uint(6, big_endian=True)
    shift = exponent - 11
    value = (rest << shift if shift >= 0 else rest >> -shift) + _LEXINT_DIRECT
    if value > MAX_UINT or value < 1 << 32:
        raise out_of_range(f"lexint {value}")
    return value


def write_lexint(writer: Writer, value: int) -> None:
    """Write a number so that its bytes sort as the numbers do; from 2^44 on the last bits get lost.

    UsageError for numbers that upstream's form cannot carry: above 2^53-1, and 2^32 to 2^32+250.
    """
    if 0 <= value < _LEXINT_DIRECT:
        writer.uint8(value)
        return
    if not 0 <= value <= MAX_UINT or 1 << 32 <= value < (1 << 32) + _LEXINT_DIRECT:
        raise UsageError(f"{value} has no lexint form")
    rest = value - _LEXINT_DIRECT
    size = (value.bit_length() + 7) // 8
    if size <= 4:
        writer.uint8(_LEXINT_DIRECT + size - 1)
        writer.fixed_uint(rest, size, big_endian=True)
        return
    exponent = rest.bit_length() - 33
    shift = exponent - 11
    writer.uint8(_LEXINT_FAR)
    writer.uint8(exponent)
    writer.fixed_uint(rest >> shift if shift >= 0 else rest << -shift, 6, big_endian=True)


def read_biguint64(reader: Reader) -> int:
    """Read eight bytes as a number up to 2^64-1."""
    return int.from_bytes(reader.fixed(8), "little")


def write_biguint64(writer: Writer, value: int) -> None:
    """Write a number up to 2^64-1 as eight bytes."""
    if not 0 <= value < 1 << 64:
        raise UsageError(f"{value} is not from 0 to 2^64-1")
    writer.raw(value.to_bytes(8, "little"))


def read_biguint(reader: Reader) -> int:
    """Read a number of any size: a count of 64-bit words, then the words."""
    return int.from_bytes(reader.fixed(8 * reader.count()), "little")


def write_biguint(writer: Writer, value: int) -> None:
    """Write a number of any size from 0 on."""
    words = (value.bit_length() + 63) // 64
    if value < 0 or words > MAX_ARRAY:
        raise UsageError("a number below 0 or beyond any use")
    writer.uint(words)
    writer.raw(value.to_bytes(8 * words, "little"))


def read_float32(reader: Reader) -> float:
    """Read a fraction of single precision; may be infinite or not a number."""
    value: float = _FLOAT_32.unpack(reader.fixed(4))[0]
    return value


def write_float32(writer: Writer, value: float) -> None:
    """Write a fraction in single precision; too large ones become infinite, as upstream."""
    try:
        writer.raw(_FLOAT_32.pack(value))
    except OverflowError:
        writer.raw(_FLOAT_32.pack(math.copysign(math.inf, value)))


def read_float64(reader: Reader) -> float:
    """Read a fraction of double precision; may be infinite or not a number."""
    value: float = _FLOAT_64.unpack(reader.fixed(8))[0]
    return value


def write_float64(writer: Writer, value: float) -> None:
    """Write a fraction in double precision."""
    writer.raw(_FLOAT_64.pack(value))


def write_bitfield(writer: Writer, value: int, bits: int) -> None:
    """Write `bits` flags (bit 0 first) in the form of a `uint` wide enough for that many.

    `Reader.uint` reads them back. Raises UsageError if the value is wider than that form.
    Format: npm compact-encoding-bitfield 1.1.0.
    """
    if bits < 8:
        if not 0 <= value < 0xFD:
            raise UsageError(f"{value} is not a set of {bits} flags")
        writer.uint8(value)
        return
    mark, size = (0xFD, 2) if bits <= 16 else (0xFE, 4) if bits <= 32 else (0xFF, 8)
    writer.uint8(mark)
    writer.fixed_uint(value, size)

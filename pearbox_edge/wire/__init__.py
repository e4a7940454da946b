"""Bytes to values and back: compact encoding, z-base-32, keys as text, protobuf fields.

Upstream: npm compact-encoding 3.5.2, z32 1.1.0, hypercore-id-encoding 1.3.0 (sheet 01).
Door: `Reader`, `Writer`, `encode_key`, `decode_key`, `parse_link`; decoders raise only PeerError.
Must not know: any protocol's messages, hashes, sockets or time.
Everything is little endian unless a name says otherwise.
"""

from . import protobuf
from .address import (
    Address,
    DialableKey,
    read_dialable_key,
    read_ip,
    read_ip_address,
    read_ipv4,
    read_ipv4_address,
    read_ipv6,
    read_ipv6_address,
    write_dialable_key,
    write_ip,
    write_ip_address,
    write_ipv4,
    write_ipv4_address,
    write_ipv6,
    write_ipv6_address,
)
from .buffers import MAX_ARRAY, MAX_UINT, OUT_OF_BOUNDS, Buffer
from .ints import (
    read_biguint,
    read_biguint64,
    read_float32,
    read_float64,
    read_lexint,
    write_biguint,
    write_biguint64,
    write_bitfield,
    write_float32,
    write_float64,
    write_lexint,
)
from .keys import decode_key, encode_key
from .links import Link, format_link, parse_link
from .reader import Reader
from .values import (
    Json,
    Timestamp,
    Value,
    read_any,
    read_bitarray,
    read_json,
    read_record,
    write_any,
    write_bitarray,
    write_json,
    write_record,
)
from .writer import Writer
from .zbase32 import z32_decode, z32_encode

__all__ = [
    "MAX_ARRAY",
    "MAX_UINT",
    "OUT_OF_BOUNDS",
    "Address",
    "Buffer",
    "DialableKey",
    "Json",
    "Link",
    "Reader",
    "Timestamp",
    "Value",
    "Writer",
    "decode_key",
    "encode_key",
    "format_link",
    "parse_link",
    "protobuf",
    "read_any",
    "read_biguint",
    "read_biguint64",
    "read_bitarray",
    "read_dialable_key",
    "read_float32",
    "read_float64",
    "read_ip",
    "read_ip_address",
    "read_ipv4",
    "read_ipv4_address",
    "read_ipv6",
    "read_ipv6_address",
    "read_json",
    "read_lexint",
    "read_record",
    "write_any",
    "write_biguint",
    "write_biguint64",
    "write_bitarray",
    "write_bitfield",
    "write_dialable_key",
    "write_float32",
    "write_float64",
    "write_ip",
    "write_ip_address",
    "write_ipv4",
    "write_ipv4_address",
    "write_ipv6",
    "write_ipv6_address",
    "write_json",
    "write_lexint",
    "write_record",
    "z32_decode",
    "z32_encode",
]

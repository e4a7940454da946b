"""Replays 01-compact-encoding.json: codecs both ways, refusals, keys as text, hashes."""

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pearbox_edge import wire
from pearbox_edge.crypto import KeyPair, discovery_key, hash_bytes, namespace
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey, PublicKey
from pearbox_edge.wire import Address, DialableKey, Reader, Timestamp, Writer
from tests.kit.vectors import Entry, replays

LAYER = "01-compact-encoding"

Read = Callable[[Reader], Any]
Write = Callable[[Writer, Any], None]


class Codec(NamedTuple):
    """One of upstream's codecs: how we read and write it, and how its value looks in the file."""

    read: Read
    write: Write
    from_json: Callable[[Any], Any] = lambda value: value
    to_json: Callable[[Any], Any] = lambda value: value


def as_bytes(read: Read, write: Write) -> Codec:
    return Codec(
        read,
        write,
        lambda value: None if value is None else bytes.fromhex(value),
        lambda value: None if value is None else bytes(value).hex(),
    )


def as_text(encode: Callable[[str], bytes], decode: Callable[[bytes], str]) -> Codec:
    return Codec(
        lambda reader: decode(bytes(reader.buffer())),
        lambda writer, value: writer.buffer(encode(value)),
    )


def as_address(read: Read, write: Write, family: int | None) -> Codec:
    def to_json(value: Address) -> Any:
        seen = family or (6 if ":" in value.host else 4)
        return {"host": value.host, "family": seen, "port": value.port}

    return Codec(read, write, lambda value: Address(value["host"], value["port"]), to_json)


def many(codec: Codec) -> Codec:
    return Codec(
        lambda reader: reader.array(codec.read),
        lambda writer, value: writer.array(value, codec.write),
        lambda value: [codec.from_json(item) for item in value],
        lambda value: [codec.to_json(item) for item in value],
    )


def fixed(size: int) -> tuple[Read, Write]:
    return (
        lambda reader: reader.fixed_uint(size),
        lambda writer, value: writer.fixed_uint(value, size),
    )


def signed(size: int) -> tuple[Read, Write]:
    return (
        lambda reader: reader.fixed_int(size),
        lambda writer, value: writer.fixed_int(value, size),
    )


def big_endian(size: int) -> tuple[Read, Write]:
    return (
        lambda reader: reader.fixed_uint(size, big_endian=True),
        lambda writer, value: writer.fixed_uint(value, size, big_endian=True),
    )


def flags(bits: int) -> Codec:
    return Codec(
        Reader.uint,
        lambda writer, value: wire.write_bitfield(writer, value, bits),
    )


def write_framed_string(writer: Writer, value: str) -> None:
    inner = Writer()
    inner.string(value)
    writer.frame(inner)


def write_ndjson(writer: Writer, value: Any) -> None:
    inner = Writer()
    wire.write_json(inner, value)
    writer.string(Reader(inner.finish()).string() + "\n")


def any_from_json(value: Any) -> Any:
    if isinstance(value, dict) and "buffer" in value:
        return bytes.fromhex(value["buffer"])
    if isinstance(value, dict) and "date" in value:
        return Timestamp(value["date"])
    return value


def any_to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"buffer": value.hex()}
    return {"date": value.ms} if isinstance(value, Timestamp) else value


BIG = (lambda value: int(value[:-1]), lambda value: f"{value}n")
UINT = Codec(Reader.uint, Writer.uint)
STRING = Codec(Reader.string, Writer.string)
BUFFER = as_bytes(Reader.buffer, Writer.buffer)
FIXED_32 = as_bytes(Reader.fixed32, Writer.fixed32)
IPV4_ADDRESS = as_address(wire.read_ipv4_address, wire.write_ipv4_address, 4)

CODECS: dict[str, Codec] = {
    "uint": UINT,
    "uint8": Codec(Reader.uint8, Writer.uint8),
    "uint16": Codec(Reader.uint16, Writer.uint16),
    "uint24": Codec(Reader.uint24, Writer.uint24),
    "uint32": Codec(Reader.uint32, Writer.uint32),
    "uint40": Codec(*fixed(5)),
    "uint48": Codec(*fixed(6)),
    "uint56": Codec(*fixed(7)),
    "uint64": Codec(Reader.uint64, Writer.uint64),
    "uint32be": Codec(*big_endian(4)),
    "uint64be": Codec(*big_endian(8)),
    "int": Codec(Reader.int_, Writer.int_),
    "int8": Codec(*signed(1)),
    "int16": Codec(*signed(2)),
    "int32": Codec(*signed(4)),
    "int64": Codec(*signed(8)),
    "lexint": Codec(wire.read_lexint, wire.write_lexint),
    "float32": Codec(wire.read_float32, wire.write_float32),
    "float64": Codec(wire.read_float64, wire.write_float64),
    "bool": Codec(Reader.bool_, Writer.bool_),
    "biguint64": Codec(wire.read_biguint64, wire.write_biguint64, *BIG),
    "biguint": Codec(wire.read_biguint, wire.write_biguint, *BIG),
    "buffer": BUFFER,
    "optionalBuffer": as_bytes(Reader.optional_buffer, Writer.optional_buffer),
    "fixed32": FIXED_32,
    "fixed64": as_bytes(Reader.fixed64, Writer.fixed64),
    "fixed(6)": as_bytes(lambda r: r.fixed(6), lambda w, value: w.fixed(value, 6)),
    "raw": as_bytes(Reader.raw, Writer.raw),
    "string": STRING,
    "ascii": as_text(lambda text: text.encode("ascii"), lambda data: data.decode("ascii")),
    "hex": as_text(bytes.fromhex, bytes.hex),
    "base64": as_text(base64.b64decode, lambda data: base64.b64encode(data).decode()),
    "utf16le": as_text(
        lambda text: text.encode("utf-16-le"), lambda data: data.decode("utf-16-le")
    ),
    "string.fixed(4)": Codec(
        lambda reader: reader.fixed_string(4), lambda writer, value: writer.fixed_string(value, 4)
    ),
    "array(uint)": many(UINT),
    "array(string)": many(STRING),
    "array(buffer)": many(BUFFER),
    "array(fixed32)": many(FIXED_32),
    "array(ipv4Address)": many(IPV4_ADDRESS),
    "raw.array(uint)": Codec(
        lambda reader: reader.raw_array(Reader.uint),
        lambda writer, value: writer.raw_array(value, Writer.uint),
    ),
    "frame(string)": Codec(lambda reader: reader.frame().string(), write_framed_string),
    "bitarray": Codec(wire.read_bitarray, wire.write_bitarray),
    "uint32array": many(Codec(Reader.uint32, Writer.uint32)),
    "record(string,uint)": Codec(
        lambda reader: wire.read_record(reader, Reader.string, Reader.uint),
        lambda writer, value: wire.write_record(writer, value, Writer.string, Writer.uint),
    ),
    "stringRecord": Codec(
        lambda reader: wire.read_record(reader, Reader.string, Reader.string),
        lambda writer, value: wire.write_record(writer, value, Writer.string, Writer.string),
    ),
    "json": Codec(wire.read_json, wire.write_json),
    "ndjson": Codec(wire.read_json, write_ndjson),
    "date": Codec(Reader.int_, Writer.int_),
    "any": Codec(wire.read_any, wire.write_any, any_from_json, any_to_json),
    "ipv4": Codec(wire.read_ipv4, wire.write_ipv4),
    "ipv6": Codec(wire.read_ipv6, wire.write_ipv6),
    "ip": Codec(wire.read_ip, wire.write_ip),
    "ipv4Address": IPV4_ADDRESS,
    "net.ipv4Address": IPV4_ADDRESS,
    "ipv6Address": as_address(wire.read_ipv6_address, wire.write_ipv6_address, 6),
    "ipAddress": as_address(wire.read_ip_address, wire.write_ip_address, None),
    "bitfield(7)": flags(7),
    "bitfield(12)": flags(12),
    "bitfield(32)": flags(32),
    "bitfield(64)": flags(64),
}

ENDLESS = {"raw", "raw.array(uint)"}
"""Codecs that take all there is: cutting their input gives another value."""


@replays(LAYER, "cases")
def case(entry: Entry, file: Entry) -> None:
    name = entry["codec"]
    codec = CODECS[name]
    data = bytes.fromhex(entry["hex"])
    expected = entry.get("decoded", entry.get("decodesTo", entry["value"]))
    if name == "optionalBuffer" and entry["value"] == "":
        expected = None
    if name == "lexint" and "decodesTo" in entry and entry["decodesTo"] is None:
        # Upstream writes these so that nobody can read them back: we do neither.
        with pytest.raises(PeerError):
            codec.read(Reader(data))
        return

    writer = Writer()
    codec.write(writer, codec.from_json(entry["value"]))
    assert writer.finish() == data
    for around in (data, b"\xaa" + data + (b"" if name in ENDLESS else b"\xbb")):
        inset = len(around) > len(data)
        reader = Reader(around, 1 if inset else 0, len(data) + 1 if inset else None)
        assert codec.to_json(codec.read(reader)) == expected
        assert reader.remaining == 0
    if name not in ENDLESS:
        for size in range(0, len(data), 1 + len(data) // 50):
            with pytest.raises(PeerError):
                codec.read(Reader(data[:size]))


@replays(LAYER, "rejects")
def reject(entry: Entry, file: Entry) -> None:
    reader = Reader(bytes.fromhex(entry["hex"]))
    read = CODECS[entry["codec"]].read
    if entry["refused"]:
        with pytest.raises(PeerError):
            read(reader)
    else:
        assert read(reader) == {"uint": 1, "bool": False}[entry["codec"]]


@replays(LAYER, "z32")
def z32(entry: Entry, file: Entry) -> None:
    data = bytes.fromhex(entry["bytes"])
    assert wire.z32_encode(data) == entry["text"]
    assert wire.z32_decode(entry["text"]) == data


@replays(LAYER, "ids")
def key_as_text(entry: Entry, file: Entry) -> None:
    given = entry["input"]
    key = given if isinstance(given, str) else bytes.fromhex(given["bytes"])
    if entry["accepted"]:
        assert wire.decode_key(key).hex() == entry["key"]
        assert wire.decode_key(wire.encode_key(wire.decode_key(key))).hex() == entry["key"]
    else:
        with pytest.raises(PeerError):
            wire.decode_key(key)


@replays(LAYER, "addresses")
def dialable_key(entry: Entry, file: Entry) -> None:
    data = bytes.fromhex(entry["hex"])
    nodes = entry["nodes"]
    value = DialableKey(
        PublicKey(bytes.fromhex(entry["key"])),
        None if nodes is None else tuple(Address(**node) for node in nodes),
    )
    assert wire.read_dialable_key(data) == value
    bare = len(data) == 32
    assert wire.write_dialable_key(value) == (data + b"\0" if bare else data)
    with pytest.raises(PeerError):
        wire.read_dialable_key(data[: 31 if len(data) <= 33 else -1])


@replays(LAYER, "namespaces")
def tag(entry: Entry, file: Entry) -> None:
    number = entry["id"]
    tags = namespace(entry["name"], number + 1)
    assert tags[number].hex() == entry["hash"]
    assert len(set(tags)) == number + 1


@replays(LAYER, "hashes")
def hashed(entry: Entry, file: Entry) -> None:
    match entry["what"]:
        case "blake2b-256(data)":
            assert hash_bytes(bytes.fromhex(entry["data"])).hex() == entry["out"]
        case "blake2b-256(concat)":
            assert hash_bytes(*map(bytes.fromhex, entry["parts"])).hex() == entry["out"]
        case "discoveryKey(key)":
            assert discovery_key(CoreKey(bytes.fromhex(entry["key"]))).hex() == entry["out"]
        case "keyPair(seed)":
            pair = KeyPair.from_seed(bytes.fromhex(entry["seed"]))
            assert pair.public_key.hex() == entry["publicKey"]
            assert pair.secret_key.hex() == entry["secretKey"]
        case other:
            pytest.fail(f"no such hash: {json.dumps(other)}")

"""Bees as the npm package writes them: every block byte for byte, every way of reading."""

import asyncio
import dataclasses
from typing import Any

import pytest

from pearbox_edge.data.bee import (
    BeeBatch,
    BeeView,
    Cache,
    Extension,
    Get,
    Header,
    Hyperbee,
    Iterator,
    KeyRange,
    Metadata,
    decode_extension,
    decode_header,
    decode_node,
    encode_extension,
    encode_header,
    encode_index,
    encode_node,
)
from pearbox_edge.errors import PeerError
from tests.kit.bees import as_json, blocks_of, filled_bee, from_hex, new_bee
from tests.kit.vectors import Entry, replays

LAYER = "13-hyperbee"


@replays(LAYER, "bee")
def bee(entry: Entry, file: Entry) -> None:
    asyncio.run(_write_bee(entry))
    asyncio.run(_read_bee(entry))


async def _write_bee(entry: Entry) -> None:
    bee = await new_bee(always_duplicate=entry["options"].get("alwaysDuplicate", True))
    appended = []
    for step in entry["ops"]:
        before = bee.core.length
        async with bee.batch() as batch:
            for operation in step.get("batch", [step]):
                await _operate(batch, operation)
        appended.append(bee.core.length - before)
    assert [block.hex() for block in await blocks_of(bee.core)] == entry["blocks"]
    assert appended == entry["blocksAppended"]
    await _queries(bee, entry)


async def _operate(batch: BeeBatch, operation: dict[str, Any]) -> None:
    if "put" in operation:
        key, value = operation["put"]
        await batch.put(bytes.fromhex(key), from_hex(value))
    else:
        await batch.delete(bytes.fromhex(operation["del"]))


async def _read_bee(entry: Entry) -> None:
    blocks = [bytes.fromhex(block) for block in entry["blocks"]]
    for seq, decoded in enumerate(entry.get("decoded", [])):
        if seq == 0:
            assert decode_header(blocks[0]) == Header(metadata=None)
            continue
        node = decode_node(seq, blocks[seq])
        assert node.key.hex() == decoded["key"]
        assert node.value == from_hex(decoded["value"])
        levels = [{"keys": level.keys, "children": level.children} for level in node.levels]
        assert levels == decoded["levels"]
        index = encode_index(node.levels)
        assert encode_node(node.key, node.value, index) == blocks[seq]
    await _queries(await filled_bee(blocks), entry)


async def _queries(bee: Hyperbee, entry: Entry) -> None:
    assert bee.version == entry["version"]
    assert await _listing(bee.snapshot()) == entry["entries"]
    for case in entry.get("ranges", []):
        asked = dict(case["range"])
        reverse, limit = asked.pop("reverse", False), asked.pop("limit", None)
        bounds = KeyRange(**{name: bytes.fromhex(key) for name, key in asked.items()})
        found = [item.key.hex() async for item in bee.range(bounds, reverse=reverse, limit=limit)]
        assert found == case["keys"]
    for case in entry.get("gets", []):
        assert as_json(await bee.get(bytes.fromhex(case["key"]))) == case["entry"]
    if "history" in entry:
        history = [
            {
                "type": "del" if step.deleted else "put",
                "seq": step.seq,
                "key": step.key.hex(),
                "value": None if step.value is None else step.value.hex(),
            }
            async for step in bee.history()
        ]
        assert history == entry["history"]
    if "checkout" in entry:
        old = bee.checkout(entry["checkout"]["version"])
        listed = [[item.key.hex(), item.seq] async for item in old.range()]
        assert listed == entry["checkout"]["entries"]
    if "diffFrom" in entry:
        changes = [
            {"left": as_json(change.left), "right": as_json(change.right)}
            async for change in bee.diff(entry["diffFrom"]["version"])
        ]
        assert changes == entry["diffFrom"]["changes"]


async def _listing(view: BeeView) -> list[dict[str, Any] | None]:
    return [as_json(item) async for item in view.range()]


@replays(LAYER, "sub")
def sub(entry: Entry, file: Entry) -> None:
    asyncio.run(_sub(entry))


async def _sub(entry: Entry) -> None:
    bee = await new_bee()
    values = iter(b"abcd")
    for put in entry["puts"]:
        inner = bee
        for name in put["path"]:
            inner = inner.sub(name.encode(), put.get("sep", "\0").encode())
        await inner.put(put["key"].encode(), bytes([next(values)]))
    assert [block.hex() for block in await blocks_of(bee.core)] == entry["blocks"]
    assert [item.key.hex() async for item in bee.range()] == entry["rawKeys"]
    files = bee.sub(b"files")
    listings = {"files": files, "files/deep": files.sub(b"deep"), "x": bee.sub(b"x", b"!")}
    for name, inner in listings.items():
        assert [item.key.hex() async for item in inner.range()] == entry["listing"][name]
    encoder = entry["subEncoder"]
    assert (files.prefix + b"one").hex() == encoder["files:one"]
    assert (files.sub(b"deep").prefix + b"two").hex() == encoder["files/deep:two"]
    whole = KeyRange().within(files.prefix)
    assert (whole.gt or b"").hex() == encoder["rangeOfFiles"]["gte"]
    assert (whole.lt or b"").hex() == encoder["rangeOfFiles"]["lt"]
    part = KeyRange(gt=b"/a/", lt=b"/a0").within(files.prefix)
    assert (part.gt or b"").hex() == encoder["rangeGtLt"]["gt"]
    assert (part.lt or b"").hex() == encoder["rangeGtLt"]["lt"]


@replays(LAYER, "header")
def header(entry: Entry, file: Entry) -> None:
    metadata = None
    if (given := entry["metadata"]) is not None:
        metadata = Metadata(from_hex(given.get("contentFeed")), from_hex(given.get("userData")))
    value = Header(metadata)
    assert entry["protocol"] == "hyperbee"
    assert encode_header(value).hex() == entry["encoded"]
    assert decode_header(bytes.fromhex(entry["encoded"])) == value


@replays(LAYER, "headerReject")
def header_reject(entry: Entry, file: Entry) -> None:
    assert not entry["decodes"]
    with pytest.raises(PeerError):
        decode_header(bytes.fromhex(entry["encoded"]))


@replays(LAYER, "extension")
def extension(entry: Entry, file: Entry) -> None:
    message = decode_extension(bytes.fromhex(entry["encoded"]))
    assert _plain(message) == entry["decoded"]
    assert encode_extension(message).hex() == entry["encoded"]
    built = Extension(
        _build(Cache, entry["decoded"]["cache"]),
        _build(Get, entry["decoded"]["get"]),
        _build(Iterator, entry["decoded"]["iterator"]),
    )
    assert built == message


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, tuple):
        return list(value)
    return value.hex() if isinstance(value, bytes) else value


def _build(kind: Any, given: dict[str, Any] | None) -> Any:
    if given is None:
        return None
    binary = {"key", "gte", "gt", "lte", "lt"}
    fields = {name: from_hex(v) if name in binary else v for name, v in given.items()}
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()})

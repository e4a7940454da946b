"""Blobs as the npm package writes them: ids, stored blocks, ranges, maps."""

import asyncio
import json
from typing import Any

from pearbox_edge.crypto import hash_bytes
from pearbox_edge.data.blobs import (
    BlobId,
    Hyperblobs,
    MappedBlock,
    decode_block_map,
    encode_block_map,
    mapped_size,
)
from pearbox_edge.data.core import PADDING, BlockCipher, EncryptionMode, Hypercore, block_key
from pearbox_edge.ids import CoreKey
from tests.kit.bees import blocks_of, from_hex, new_core
from tests.kit.vectors import Entry, replays

LAYER = "14-hyperblobs"


@replays(LAYER, "blobs")
def blobs(entry: Entry, file: Entry) -> None:
    asyncio.run(_blobs(entry))


async def _blobs(entry: Entry) -> None:
    encryption_key = from_hex(entry["encryptionKey"])
    single, together = await new_core(encryption_key), await new_core(encryption_key)
    data = [bytes.fromhex(put["data"]) for put in entry["puts"]]
    ids = [BlobId.from_json(put["id"]) for put in entry["puts"]]
    for core in (single, together):
        blobs = Hyperblobs(core, block_size=entry["blockSize"])
        if core is single:
            assert [await blobs.put(part) for part in data] == ids
        else:
            assert await blobs.put_many(data) == ids
        assert core.length == entry["length"]
        assert core.byte_length == entry["byteLengthUser"]
        padding = PADDING * core.length if encryption_key else 0
        assert core.byte_length + padding == entry["byteLengthStored"]
        stored = await blocks_of(core)
        if encryption_key is not None:
            key = block_key(
                EncryptionMode.DEFAULT, encryption_key, CoreKey(bytes.fromhex(entry["key"]))
            )
            cipher = BlockCipher(key)
            stored = [cipher.encrypt(index, 0, block) for index, block in enumerate(stored)]
        assert [block.hex() for block in stored] == entry["blocks"]
        for part, blob in zip(data, ids, strict=True):
            assert await blobs.get(blob) == part
        for read in entry["reads"]:
            await _read(blobs, read)
    for put, blob in zip(entry["puts"], ids, strict=True):
        assert json.dumps(blob.to_json()) == json.dumps(put["id"])


async def _read(blobs: Hyperblobs, read: dict[str, Any]) -> None:
    options = read["opts"]
    start = options.get("start", 0)
    length = options.get("length")
    if "end" in options:
        length = options["end"] + 1 - start
    found = await blobs.get(BlobId.from_json(read["id"]), start, length)
    assert found.hex() == read["data"]


@replays(LAYER, "defaultBlockSize")
def default_block_size(entry: Entry, file: Entry) -> None:
    asyncio.run(_default_block_size(entry))


async def _default_block_size(entry: Entry) -> None:
    blobs = Hyperblobs(await new_core())
    for put in entry["puts"]:
        size = put["size"]
        data = bytes(7 * i + size & 255 for i in range(size))
        blob = await blobs.put(data)
        assert blob == BlobId.from_json(put["id"])
        blocks = await blobs.core.get_many(blob.block_offset, blob.block_end)
        assert [len(block) for block in blocks] == put["blockSizes"]
        assert hash_bytes(await blobs.get(blob)).hex() == put["blake2b"]


@replays(LAYER, "batchIdFieldOrder")
def batch_id_field_order(entry: Entry, file: Entry) -> None:
    for text, batch_order in ((entry["json"], True), (entry["streamJson"], False)):
        blob = BlobId.from_json(json.loads(text))
        assert json.dumps(blob.to_json(batch_order=batch_order), separators=(",", ":")) == text


@replays(LAYER, "blockMap")
def block_map(entry: Entry, file: Entry) -> None:
    asyncio.run(_block_map(entry))


async def _block_map(entry: Entry) -> None:
    written = Hyperblobs(await new_core())
    ids: list[BlobId] = []
    for write, result in zip(entry["writes"], entry["results"], strict=True):
        against = write.get("against")
        blob = await written.put_mapped(
            [bytes.fromhex(chunk) for chunk in write["chunks"]],
            dedup=write.get("dedup", False),
            previous=None if against is None else ids[against],
        )
        ids.append(blob)
        assert json.dumps(blob.to_json()) == json.dumps(result["id"])
    assert [block.hex() for block in await blocks_of(written.core)] == entry["blocks"]
    core: Hypercore = await new_core()
    await core.append([bytes.fromhex(block) for block in entry["blocks"]])
    for blobs in (written, Hyperblobs(core)):
        for result in entry["results"]:
            blob = BlobId.from_json(result["id"])
            listed = [entry._asdict() for entry in await blobs.block_map(blob)]
            expected = [{"block": b["index"], "size": b["byteLength"]} for b in result["map"]]
            assert listed == expected
            assert (await blobs.get(blob)).hex() == result["data"]
            assert await blobs.byte_length(blob) == result["byteLength"]
            assert (await blobs.get(blob, 10, 60)).hex() == result["range10to70"]


@replays(LAYER, "blockMapEncoding")
def block_map_encoding(entry: Entry, file: Entry) -> None:
    entries = [MappedBlock(block["index"], block["byteLength"]) for block in entry["blocks"]]
    assert [block.hex() for block in encode_block_map(entries)] == entry["encoded"]
    assert decode_block_map(bytes.fromhex(block) for block in entry["encoded"]) == entries
    assert mapped_size(entries) == sum(block["byteLength"] for block in entry["blocks"])

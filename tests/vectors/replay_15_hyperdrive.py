"""Drives as the npm package writes them: keys, blocks and signatures; and every way of reading."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pearbox_edge.crypto import KeyPair, hash_bytes, tree_hash
from pearbox_edge.data.core import Hypercore, Manifest, Prologue, Signer
from pearbox_edge.data.drive import (
    DriveReader,
    Entry,
    Hyperdrive,
    MirrorCount,
    MirrorFile,
    content_key,
    content_manifest,
    decode_entry,
    encode_value,
    normalise,
    parse,
    plan_mirror,
    stringify,
)
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import InputError
from pearbox_edge.ids import CoreKey, PublicKey
from pearbox_edge.wire import encode_key
from tests.kit import vectors
from tests.kit.bees import from_hex
from tests.kit.drives import new_drive

LAYER = "15-hyperdrive"
Fields = vectors.Entry


@vectors.replays(LAYER, "drive")
def drive(entry: Fields, file: Fields) -> None:
    asyncio.run(_drive(entry))


async def _drive(entry: Fields) -> None:
    storage = MemoryStorage()
    encryption_key = from_hex(entry["encryptionKey"])
    async with new_drive(
        storage=storage,
        primary_key=bytes.fromhex(entry["primaryKey"]),
        namespace=entry["namespace"],
        encryption_key=encryption_key,
    ) as ours:
        for step in entry["ops"]:
            await _operate(ours, step)
        blobs = await ours.get_blobs()
        await _check_core(ours.core, entry["db"])
        await _check_core(blobs.core, entry["blobs"])
        await _check_keys(ours, entry)
        await _check_reading(ours, entry)
    # The same as a stranger sees it: only the key is known, not who signs.
    async with Corestore(storage, primary_key=bytes(32)) as store:
        key = CoreKey(bytes.fromhex(entry["driveKey"]))
        async with Hyperdrive(store, key, encryption_key=encryption_key) as theirs:
            assert not theirs.writable
            await _check_keys(theirs, entry)
            await _check_reading(theirs, entry)


async def _operate(drive: Hyperdrive, step: Fields) -> None:
    match step["op"]:
        case "put":
            await drive.put(step["path"], bytes.fromhex(step["data"]), **step["options"])
        case "symlink":
            await drive.symlink(step["path"], step["target"])
        case "del":
            assert await drive.delete(step["path"])


async def _check_core(core: Hypercore, expected: Fields) -> None:
    assert core.key.hex() == expected["key"]
    assert core.discovery_key.hex() == expected["discoveryKey"]
    assert core.manifest == _manifest(expected["manifest"])
    assert (core.length, core.fork) == (expected["length"], expected["fork"])
    assert core.head.signature.hex() == expected["signature"]
    roots = [(root["index"], root["size"], from_hex(root["hash"])) for root in expected["roots"]]
    assert core.head.tree_hash == tree_hash((i, size, hash_ or b"") for i, size, hash_ in roots)
    stored = await core.storage.open_core(core.discovery_key)
    assert stored is not None
    blocks = []
    for index in range(core.length):
        start, end = await core.byte_offset(index), await core.byte_offset(index + 1)
        blocks.append((await core.storage.read(stored.core_id, start, end - start)).hex())
    assert blocks == expected["blocks"]


async def _check_keys(drive: Hyperdrive, entry: Fields) -> None:
    await drive.get_blobs()
    assert drive.key.hex() == entry["driveKey"]
    assert encode_key(drive.key) == entry["driveId"]
    assert drive.discovery_key.hex() == entry["discoveryKey"]
    assert drive.content_key is not None
    assert drive.content_key.hex() == entry["contentKey"]
    assert drive.core.manifest is not None
    derived = content_key(drive.core.manifest, drive.key)
    assert (derived and derived.hex()) == entry["contentKeyFromManifest"]
    assert drive.version == entry["version"]


async def _check_reading(drive: Hyperdrive, entry: Fields) -> None:
    assert [_json(item) async for item in drive.list()] == entry["entries"]
    for path, content in entry["files"].items():
        assert await drive.get(path) == bytes.fromhex(content)
    followed = await drive.entry("/link", follow=True)
    assert followed is not None
    assert followed.path == entry["linkFollow"]
    assert await drive.blobs_length() == entry["blobsLength"]
    version = entry["diffFrom"]["version"]
    changes = [
        {"left": _brief(change.left), "right": _brief(change.right)}
        async for change in drive.diff(version)
    ]
    assert changes == entry["diffFrom"]["changes"]
    old = drive.checkout(entry["checkout"]["version"])
    assert [[item.path, item.seq] async for item in old.list()] == entry["checkout"]["entries"]
    content = await old.get("/readme.txt")
    assert content == bytes.fromhex(entry["checkout"]["/readme.txt"])
    for folder, names in entry["readdir"].items():
        assert [name async for name in drive.readdir(folder)] == names
    await _check_lists(drive, entry["list"])


async def _check_lists(drive: DriveReader, lists: dict[str, list[str]]) -> None:
    for folder, paths in lists.items():
        name = folder.removesuffix(" shallow")
        recursive = name == folder
        assert [item.path async for item in drive.list(name, recursive=recursive)] == paths


def _json(entry: Entry) -> dict[str, Any]:
    value = encode_value(
        executable=entry.executable,
        linkname=entry.linkname,
        blob=entry.blob,
        metadata=entry.metadata,
    )
    again = decode_entry(entry.path.encode(), entry.seq, value)
    assert again == entry
    return {"seq": entry.seq, "key": entry.path, "value": json.loads(value)}


def _brief(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else {"key": entry.path, "seq": entry.seq}


@vectors.replays(LAYER, "driveCompat")
def drive_compat(entry: Fields, file: Fields) -> None:
    asyncio.run(_drive_compat(entry, file["seed"]))


async def _drive_compat(entry: Fields, seed: str) -> None:
    storage = MemoryStorage()
    for label, part, key in (
        ("compatDb", "db", "driveKey"),
        ("compatBlobs", "blobs", "contentKey"),
    ):
        pair = _key_pair(seed, label)
        assert pair.public_key.hex() == entry[key]
        core = await Hypercore.open(storage, key=CoreKey(pair.public_key), key_pair=pair)
        await core.append([bytes.fromhex(block) for block in entry[part]["blocks"]])
        assert core.length == entry[part]["length"]
        await core.close()
    async with Corestore(storage, primary_key=bytes(32)) as store:
        drive_key = CoreKey(bytes.fromhex(entry["driveKey"]))
        async with Hyperdrive(store, drive_key) as drive:
            assert drive.content_key == bytes.fromhex(entry["contentKey"])
            assert drive.core.manifest is not None
            assert content_key(drive.core.manifest, drive.key) == entry["contentKeyFromManifest"]
            for path, content in entry["files"].items():
                assert await drive.get(path) == bytes.fromhex(content)
            listed = [item async for item in drive.list()]
            assert [item.path for item in listed] == list(entry["files"])
            block = bytes.fromhex(entry["db"]["blocks"][1])
            assert json.dumps(_json(listed[0])["value"], separators=(",", ":")).encode() in block


def _key_pair(seed: str, label: str) -> KeyPair:
    """The pair that the generator drew for a label."""
    root = hash_bytes(f"upper-vectors/{seed}/15".encode())
    return KeyPair.from_seed(hash_bytes(root, f"kp/{label}".encode(), bytes(4)))


@vectors.replays(LAYER, "contentKey")
def content_keys(entry: Fields, file: Fields) -> None:
    manifest, key = _manifest(entry["manifest"]), CoreKey(bytes.fromhex(entry["key"]))
    assert manifest.key == key
    assert content_manifest(manifest, key) == _manifest(entry["contentManifest"])
    derived = content_key(manifest, key)
    assert derived is not None
    assert derived.hex() == entry["contentKey"]


def _manifest(fields: Fields) -> Manifest:
    prologue = fields["prologue"]
    linked = fields["linked"]
    return Manifest(
        tuple(
            Signer(PublicKey(bytes.fromhex(s["publicKey"])), bytes.fromhex(s["namespace"]))
            for s in fields["signers"]
        ),
        fields["quorum"],
        fields["version"],
        fields["allowPatch"],
        None if prologue is None else Prologue(bytes.fromhex(prologue["hash"]), prologue["length"]),
        None if linked is None else tuple(CoreKey(bytes.fromhex(key)) for key in linked),
        from_hex(fields["userData"]),
    )


@vectors.replays(LAYER, "path")
def path(entry: Fields, file: Fields) -> None:
    if entry["rejected"]:
        with pytest.raises(InputError):
            normalise(entry["input"])
    else:
        assert normalise(entry["input"]) == entry["output"]
        assert normalise(entry["output"]) == entry["output"]


class _Side:
    """A tree of files given as path, content and executable bit."""

    def __init__(self, files: dict[str, tuple[bytes, bool]]) -> None:
        self.contents = {path: content for path, (content, _) in files.items()}
        self._files = [
            MirrorFile(path, len(content), executable)
            for path, (content, executable) in sorted(files.items())
        ]

    async def files(self) -> AsyncIterator[MirrorFile]:
        for file in self._files:
            yield file


@vectors.replays(LAYER, "mirror")
def mirror(entry: Fields, file: Fields) -> None:
    asyncio.run(_mirror(entry))


async def _mirror(entry: Fields) -> None:
    sizes = {item["key"]: item for item in entry["entriesAfterFirst"]}
    before = {path: (bytes(i["byteLength"]), i["executable"]) for path, i in sizes.items()}
    # As the note of the vector says: same size with other bytes, one gone, one new.
    after = {"/a.txt": (b"x" * 100, False), "/new": (b"n", False), "/run.sh": before["/run.sh"]}
    assert await _run(_Side(before), _Side({})) == entry["first"]
    assert await _run(_Side(before), _Side(before)) == entry["second"]
    assert await _run(_Side(after), _Side(before), include_equal=True) == entry["third"]
    assert await _run(_Side(after), _Side(after)) == entry["dryRunAfter"]
    assert parse(stringify(entry["first"]).encode()) == entry["first"]


async def _run(source: _Side, destination: _Side, *, include_equal: bool = False) -> Fields:
    async def same(left: MirrorFile, right: MirrorFile) -> bool:
        return source.contents[left.path] == destination.contents[right.path]

    count = MirrorCount()
    records = [
        {
            "op": record.step.value,
            "key": record.path,
            "bytesRemoved": record.bytes_removed,
            "bytesAdded": record.bytes_added,
        }
        async for record in plan_mirror(
            source, destination, same, include_equal=include_equal, count=count
        )
    ]
    counted = {
        "files": count.files,
        "add": count.add,
        "remove": count.remove,
        "change": count.change,
    }
    return {"diffs": sorted(records, key=lambda record: str(record["key"])), "count": counted}

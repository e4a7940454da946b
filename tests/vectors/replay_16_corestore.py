"""Replays 16-corestore.json: names, namespaces, aliases, and the spellings of a key."""

import asyncio

import pytest

from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore, child_namespace, key_pair_of, manifest_of, seed_of
from pearbox_edge.errors import PeerError
from pearbox_edge.wire import decode_key, encode_key
from tests.kit.cores import manifest_of as manifest_from
from tests.kit.vectors import Entry, replays


@replays("16-corestore", "named")
def named(entry: Entry, file: Entry) -> None:
    primary_key = bytes.fromhex(entry["primaryKey"])
    namespace = bytes(32)
    for name in entry["namespaces"]:
        namespace = child_namespace(namespace, name)
    assert namespace.hex() == entry["namespace"]
    assert seed_of(primary_key, namespace, entry["name"]).hex() == entry["seed"]
    key_pair = key_pair_of(primary_key, namespace, entry["name"])
    assert key_pair.public_key.hex() == entry["publicKey"]
    manifest = manifest_of(key_pair, entry["manifestVersion"])
    assert manifest == manifest_from(entry["manifest"])
    assert manifest.key.hex() == entry["key"]
    assert encode_key(manifest.key) == entry["textId"]
    asyncio.run(open_named(entry, primary_key))


async def open_named(entry: Entry, primary_key: bytes) -> None:
    version = entry["manifestVersion"]
    store = Corestore(MemoryStorage(), primary_key=primary_key, manifest_version=version)
    async with store:
        for name in entry["namespaces"]:
            store = store.namespace(name)
        core = await store.get(entry["name"])
        assert core.key.hex() == entry["key"]
        assert core.discovery_key.hex() == entry["discoveryKey"]
        assert core.writable
        await core.close()


@replays("16-corestore", "binaryName")
def binary_name(entry: Entry, file: Entry) -> None:
    primary_key, name = bytes.fromhex(entry["primaryKey"]), bytes.fromhex(entry["name"])
    assert key_pair_of(primary_key, bytes(32), name).public_key.hex() == entry["publicKey"]


@replays("16-corestore", "alias")
def alias(entry: Entry, file: Entry) -> None:
    """A name stays tied to the core it named first, whatever the default manifest is later."""
    asyncio.run(reopen(same=entry["same"]))
    assert entry["discoveryKey"] in entry["aliasesListed"]


async def reopen(*, same: bool) -> None:
    storage = MemoryStorage()
    keys = []
    for version in (1, 2):
        store = Corestore(storage, primary_key=bytes(32), manifest_version=version)
        async with store:
            core = await store.get("db")
            keys.append(core.discovery_key)
            await core.close()
            assert await store.list() == [keys[0]]
    assert (keys[0] == keys[1]) is same


@replays("16-corestore", "id")
def spelling(entry: Entry, file: Entry) -> None:
    key = bytes.fromhex(entry["key"])
    for text in (entry["z32"], entry["hex"], entry["pear"], key):
        assert decode_key(text) == key
    assert encode_key(key) == entry["z32"]


@replays("16-corestore", "idReject")
def spelling_reject(entry: Entry, file: Entry) -> None:
    if entry["accepted"]:
        decode_key(entry["input"])
        return
    with pytest.raises(PeerError):
        decode_key(entry["input"])

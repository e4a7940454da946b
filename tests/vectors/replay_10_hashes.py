"""Replays the hashes of 10-flat-tree-and-merkle.json and the keys of 11-hypercore.json."""

from pearbox_edge.crypto import (
    KeyPair,
    discovery_key,
    leaf_hash,
    namespace,
    parent_hash,
    sign,
    tree_hash,
    verify,
)
from pearbox_edge.ids import CoreKey
from pearbox_edge.wire import decode_key, encode_key
from tests.kit.vectors import Entry, replays


def flipped(data: bytes) -> bytes:
    return bytes((data[0] ^ 1,)) + data[1:]


def roots_of(entry: Entry) -> list[tuple[int, int, bytes]]:
    return [(root["index"], root["size"], bytes.fromhex(root["hash"])) for root in entry["roots"]]


@replays("10-flat-tree-and-merkle", "leafHash")
def leaf(entry: Entry, file: Entry) -> None:
    if isinstance(entry["data"], str):
        block = bytes.fromhex(entry["data"])
    else:
        block = bytes(i & 255 for i in range(entry["size"]))
    assert len(block) == entry["size"]
    for form in (block, bytearray(block), memoryview(block)):
        assert leaf_hash(form).hex() == entry["hash"]
    assert leaf_hash(block + b"\0").hex() != entry["hash"]
    if block:
        assert leaf_hash(flipped(block)).hex() != entry["hash"]


@replays("10-flat-tree-and-merkle", "parentHash")
def parent(entry: Entry, file: Entry) -> None:
    left, right = sorted((entry["left"], entry["right"]), key=lambda node: int(node["index"]))
    size = left["size"] + right["size"]
    left_hash, right_hash = bytes.fromhex(left["hash"]), bytes.fromhex(right["hash"])
    assert size == entry["parent"]["size"]
    assert parent_hash(size, left_hash, right_hash).hex() == entry["parent"]["hash"]
    assert parent_hash(size + 1, left_hash, right_hash).hex() != entry["parent"]["hash"]
    assert parent_hash(size, right_hash, left_hash).hex() != entry["parent"]["hash"]


@replays("10-flat-tree-and-merkle", "treeHash")
def tree(entry: Entry, file: Entry) -> None:
    roots = roots_of(entry)
    assert tree_hash(roots).hex() == entry["hash"]
    for place, (index, size, digest) in enumerate(roots):
        for wrong in ((index + 2, size, digest), (index, size + 1, digest)):
            assert tree_hash([*roots[:place], wrong, *roots[place + 1 :]]).hex() != entry["hash"]


@replays("11-hypercore", "namespace")
def tags(entry: Entry, file: Entry) -> None:
    assert [tag.hex() for tag in namespace(entry["name"], entry["count"])] == entry["list"]


@replays("11-hypercore", "discoveryKey")
def found_by(entry: Entry, file: Entry) -> None:
    key = CoreKey(bytes.fromhex(entry["key"]))
    assert discovery_key(key).hex() == entry["discoveryKey"]
    assert encode_key(key) == entry["z32"]
    assert decode_key(entry["z32"]) == key


@replays("11-hypercore", "keyPair")
def key_pair(entry: Entry, file: Entry) -> None:
    pair = KeyPair.from_seed(bytes.fromhex(entry["seed"]))
    assert pair.public_key.hex() == entry["publicKey"]
    assert pair.secret_key.hex() == entry["secretKey"]
    assert pair.seed.hex() == entry["seed"]
    signature = sign(b"message", pair)
    assert verify(b"message", signature, pair.public_key)
    assert not verify(b"message", flipped(signature), pair.public_key)

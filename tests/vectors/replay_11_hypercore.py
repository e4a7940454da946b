"""Replays manifests, signatures, encryption and whole core lives of 11-hypercore.json."""

import asyncio

import pytest

from pearbox_edge.crypto import KeyPair, discovery_key, keyed_hash
from pearbox_edge.data.core import (
    PADDING,
    REPLICATE_INITIATOR,
    REPLICATE_RESPONDER,
    BlockCipher,
    EncryptionMode,
    Hypercore,
    Manifest,
    Signer,
    block_key,
)
from pearbox_edge.data.core.merkle_tree import hash_of
from pearbox_edge.data.core.verifier import (
    SignatureBlob,
    SignatureProof,
    decode_blob,
    encode_blob,
    signable,
    signable_compat,
    verify_head,
)
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey, PublicKey
from pearbox_edge.wire import encode_key
from tests.kit.cores import grown, manifest_of, node_of
from tests.kit.vectors import Entry, replays


@replays("11-hypercore", "manifest")
def manifest(entry: Entry, file: Entry) -> None:
    encoded = bytes.fromhex(entry["encoded"])
    made = manifest_of(entry["manifest"])
    assert made.encode() == encoded
    decoded = Manifest.decode(encoded)
    assert decoded == manifest_of(entry["decoded"])
    assert decoded.encode() == encoded
    assert made.key.hex() == entry["key"]
    assert discovery_key(made.key).hex() == entry["discoveryKey"]
    assert encode_key(made.key) == entry["z32"]
    for end in range(len(encoded)):
        with pytest.raises(PeerError):
            Manifest.decode(encoded[:end])


@replays("11-hypercore", "manifestReject")
def manifest_reject(entry: Entry, file: Entry) -> None:
    with pytest.raises(PeerError):
        Manifest.decode(bytes.fromhex(entry["encoded"]))


@replays("11-hypercore", "capability")
def capability(entry: Entry, file: Entry) -> None:
    key, handshake_hash = bytes.fromhex(entry["key"]), bytes.fromhex(entry["handshakeHash"])
    assert keyed_hash(handshake_hash, REPLICATE_INITIATOR, key).hex() == entry["initiator"]
    assert keyed_hash(handshake_hash, REPLICATE_RESPONDER, key).hex() == entry["responder"]


@replays("11-hypercore", "verify")
def verify(entry: Entry, file: Entry) -> None:
    made = manifest_of(entry["manifest"])
    key = CoreKey(bytes.fromhex(entry["key"]))
    head = entry["head"]
    roots = [node_of(root) for root in head["roots"]]
    if "treeHash" in head:
        assert hash_of(roots).hex() == head["treeHash"]
    signature = bytes.fromhex(entry["signature"] or "")
    verdict = verify_head(key, made, head["length"], head["fork"], roots, signature)
    assert verdict is entry["accept"]
    if "signable" in entry:
        tree_hash = hash_of(roots)
        if made.is_compat(key):
            message = signable_compat(tree_hash, head["length"], head["fork"])
        else:
            context = key if made.version else made.signers[0].namespace
            message = signable(context, tree_hash, head["length"], head["fork"])
        assert message.hex() == entry["signable"]


@replays("11-hypercore", "multisigBlob")
def multisig_blob(entry: Entry, file: Entry) -> None:
    blob = bytes.fromhex(entry["blob"])
    proofs = tuple(
        SignatureProof(proof["signer"], bytes.fromhex(proof["signature"]), proof["patch"])
        for proof in entry["proofs"]
    )
    expected = SignatureBlob(proofs, tuple(node_of(node) for node in entry["patch"]))
    assert decode_blob(blob) == expected
    assert encode_blob(expected) == blob


@replays("11-hypercore", "blockEncryption")
def block_encryption(entry: Entry, file: Entry) -> None:
    core_key = CoreKey(bytes.fromhex(entry["hypercoreKey"]))
    mode = EncryptionMode(entry["mode"])
    cipher = BlockCipher(block_key(mode, bytes.fromhex(entry["encryptionKey"]), core_key))
    assert cipher.block_key.hex() == entry["blockKey"]
    assert cipher.blinding_key.hex() == entry["blindingKey"]
    plain, stored = bytes.fromhex(entry["plaintext"]), bytes.fromhex(entry["stored"])
    assert cipher.encrypt(entry["index"], entry["fork"], plain) == stored
    assert cipher.decrypt(entry["index"], memoryview(stored)) == plain


@replays("11-hypercore", "encryptedCore")
def encrypted_core(entry: Entry, file: Entry) -> None:
    asyncio.run(live_encrypted(entry))


async def live_encrypted(entry: Entry) -> None:
    # The writer's seed is not told: the blocks are compared, and the tree and signature checked.
    key = CoreKey(bytes.fromhex(entry["key"]))
    made = Manifest.default(PublicKey(bytes.fromhex(entry["publicKey"])))
    assert made.key == key
    cipher = BlockCipher(
        block_key(EncryptionMode.DEFAULT, bytes.fromhex(entry["encryptionKey"]), key)
    )
    plain = [bytes.fromhex(block) for block in entry["plaintexts"]]
    stored = [cipher.encrypt(index, 0, block) for index, block in enumerate(plain)]
    assert [block.hex() for block in stored] == entry["storedFork0"]
    after = entry["afterTruncate3"]
    plain = plain[:3] + [bytes.fromhex(block) for block in after["appended"]]
    stored = stored[:3] + [
        cipher.encrypt(index, after["fork"], block)
        for index, block in enumerate(plain)
        if index > 2
    ]
    assert [block.hex() for block in stored] == after["stored"]
    tree = grown(stored)
    assert tree.length == after["length"]
    assert tree.byte_length == after["byteLengthStored"]
    assert tree.byte_length - PADDING * tree.length == after["byteLengthUser"]
    assert tree.roots == [node_of(root) for root in after["roots"]]
    signature = bytes.fromhex(after["signature"])
    assert verify_head(key, made, tree.length, after["fork"], tree.roots, signature)
    assert [cipher.decrypt(index, block) for index, block in enumerate(stored)] == plain


@replays("11-hypercore", "life")
def life(entry: Entry, file: Entry) -> None:
    asyncio.run(live(entry))


async def live(entry: Entry) -> None:
    key_pair = KeyPair.from_seed(bytes.fromhex(entry["secretSeed"]))
    assert key_pair.public_key.hex() == entry["publicKey"]
    storage = MemoryStorage()
    core = await Hypercore.open(storage, key_pair=key_pair)
    assert core.key.hex() == entry["key"]
    assert core.manifest == manifest_of(entry["manifest"])
    blocks: list[bytes] = []
    for step in entry["steps"]:
        if "append" in step["op"]:
            added = [bytes.fromhex(block) for block in step["op"]["append"]]
            blocks += added
            await core.append(added)
        else:
            del blocks[step["op"]["truncate"] :]
            await core.truncate(step["op"]["truncate"])
        await core.close()
        core = await Hypercore.open(storage, key_pair=key_pair)
        assert (core.length, core.fork) == (step["length"], step["fork"])
        assert core.byte_length == step["byteLength"]
        assert core.head.tree_hash.hex() == step["treeHash"]
        assert core.head.signature.hex() == step["signature"]
        assert grown(blocks).roots == [node_of(root) for root in step["roots"]]
        assert await core.get_many(0, core.length) == blocks
    await core.close()


@replays("11-hypercore", "compatCore")
def compat_core(entry: Entry, file: Entry) -> None:
    key = CoreKey(bytes.fromhex(entry["key"]))
    made = Manifest(signers=(Signer(PublicKey(bytes.fromhex(entry["publicKey"]))),), quorum=1)
    assert made.is_compat(key)
    assert discovery_key(key).hex() == entry["discoveryKey"]
    tree = grown([bytes.fromhex(block) for block in entry["blocks"]])
    assert tree.hash().hex() == entry["treeHash"]
    assert signable_compat(tree.hash(), tree.length, entry["fork"]).hex() == entry["signable"]
    signature = bytes.fromhex(entry["signature"])
    assert verify_head(key, made, tree.length, entry["fork"], tree.roots, signature)
    assert not verify_head(key, made, tree.length, entry["fork"], tree.roots, signature[:-1])

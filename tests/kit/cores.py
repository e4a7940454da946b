"""Cores for tests: blocks by the vectors' rule, and cores made of parts of others."""

import hashlib
from typing import Any

from pearbox_edge.crypto import KeyPair, discovery_key
from pearbox_edge.data.core import Hypercore, Manifest, Prologue, Signer
from pearbox_edge.data.core.flat_tree import full_roots
from pearbox_edge.data.core.merkle_tree import GrowingTree
from pearbox_edge.data.storage import (
    PAGE_BITS,
    BlockWrite,
    Changeset,
    Head,
    MemoryStorage,
    TreeNode,
)
from pearbox_edge.ids import CoreKey, PublicKey

WRITER = KeyPair.from_seed(bytes(range(32)))


def ruled_blocks(rule: dict[str, Any], count: int) -> list[bytes]:
    """The long block lists of the vectors: size and bytes of block i follow from a seed."""
    seed = bytes.fromhex(rule["seed"])

    def digest(block: int, part: int) -> bytes:
        data = seed + block.to_bytes(4, "little") + part.to_bytes(4, "little")
        return hashlib.blake2b(data, digest_size=32).digest()

    blocks = []
    for number in range(count):
        size = rule["min"] + digest(number, 0xFFFFFFFF)[0] % rule["span"]
        blocks.append(b"".join(digest(number, part) for part in range(size // 32 + 1))[:size])
    return blocks


def node_of(entry: dict[str, Any]) -> TreeNode:
    """A tree node as the vectors write it."""
    return TreeNode(entry["index"], entry["size"], bytes.fromhex(entry["hash"]))


def manifest_of(entry: dict[str, Any]) -> Manifest:
    """A manifest as the vectors write it."""
    prologue, linked, user_data = entry["prologue"], entry["linked"], entry["userData"]
    return Manifest(
        signers=tuple(
            Signer(PublicKey(bytes.fromhex(s["publicKey"])), bytes.fromhex(s["namespace"]))
            for s in entry["signers"]
        ),
        quorum=entry["quorum"],
        version=entry["version"],
        allow_patch=entry["allowPatch"],
        prologue=Prologue(bytes.fromhex(prologue["hash"]), prologue["length"])
        if prologue
        else None,
        linked=tuple(CoreKey(bytes.fromhex(key)) for key in linked) if linked else None,
        user_data=bytes.fromhex(user_data) if user_data is not None else None,
    )


def grown(blocks: list[bytes]) -> GrowingTree:
    """The tree over blocks, with every node."""
    tree = GrowingTree()
    for block in blocks:
        tree.append_block(block)
    return tree


async def partial_core(
    key: CoreKey,
    manifest: Manifest | None,
    *,
    length: int = 0,
    fork: int = 0,
    nodes: list[TreeNode] | None = None,
    held: list[int] | None = None,
    signature: bytes = b"",
    blocks: list[bytes] | None = None,
    storage: MemoryStorage | None = None,
) -> Hypercore:
    """A core opened on a storage that holds just what is given; `blocks` are all of its blocks."""
    storage = storage or MemoryStorage()
    stored = await storage.create_core(
        key, discovery_key(key), manifest.encode() if manifest is not None else None
    )
    by_index = {node.index: node for node in nodes or []}
    roots = [by_index[index] for index in full_roots(length)]
    tree = GrowingTree(length, roots)
    page = bytearray(PAGE_BITS // 8)
    for index in held or []:
        page[index // 8] |= 1 << index % 8
    writes = []
    place = 0
    for index, block in enumerate(blocks or []):
        if index in (held or []) and block:
            writes.append(BlockWrite(place, block))
        place += len(block)
    await storage.commit(
        Changeset(
            stored.core_id,
            blocks=writes,
            nodes=list(by_index.values()),
            pages={0: bytes(page)} if held else {},
            head=Head(length, tree.byte_length, fork, tree.hash(), signature),
        )
    )
    return await Hypercore.open(storage, key=key)


async def full_core(blocks: list[bytes], key_pair: KeyPair = WRITER) -> Hypercore:
    """A writable core with these blocks, in memory."""
    core = await Hypercore.open(MemoryStorage(), key_pair=key_pair)
    if blocks:
        await core.append(blocks)
    return core


async def stored_nodes(core: Hypercore, length: int) -> set[TreeNode]:
    """Every node that storage holds of the first `length` blocks."""
    await core.settled()
    stored = await core.storage.open_core(core.discovery_key)
    assert stored is not None
    found = await core.storage.nodes(stored.core_id, range(2 * length))
    return set(found.values())


__all__ = [
    "WRITER",
    "full_core",
    "grown",
    "manifest_of",
    "node_of",
    "partial_core",
    "ruled_blocks",
    "stored_nodes",
]

"""Replays the proofs and refusals of 12-replication.json, both as server and as reader."""

import asyncio

from pearbox_edge.data.core import (
    Accepted,
    Hypercore,
    Manifest,
    Proof,
    Refusal,
    RefusalReason,
    flat_tree,
    upgraded_length,
)
from pearbox_edge.data.core.verifier import verify_head
from pearbox_edge.data.replication.messages import Data, decode_data, decode_request, encode_data
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey
from tests.kit.cores import grown, manifest_of, node_of, partial_core, ruled_blocks, stored_nodes
from tests.kit.vectors import Entry, replays


def source(file: Entry, name: str) -> tuple[CoreKey, Manifest, list[bytes]]:
    entry = file["sources"][name]
    key = CoreKey(bytes.fromhex(entry["key"]))
    return key, manifest_of(entry["manifest"]), ruled_blocks(entry["rule"], entry["length"])


def any_signature(file: Entry) -> bytes:
    """The served head's signature: every good upgrade carries it."""
    key, manifest, blocks = source(file, "main")
    tree = grown(blocks)
    for entry in file["cases"]:
        if entry["kind"] == "proof" and entry["accept"]:
            upgrade = decode_data(bytes.fromhex(entry["data"])).proof.upgrade
            if upgrade is not None and verify_head(
                key, manifest, tree.length, 0, tree.roots, upgrade.signature
            ):
                return upgrade.signature
    raise AssertionError("no good upgrade in the file")


async def server(file: Entry, name: str) -> Hypercore:
    key, manifest, blocks = source(file, name)
    return await partial_core(
        key,
        manifest,
        length=len(blocks),
        nodes=grown(blocks).nodes,
        held=list(range(len(blocks))),
        signature=any_signature(file),
        blocks=blocks,
    )


async def reader(entry: Entry, file: Entry) -> Hypercore:
    key, manifest, blocks = source(file, entry["source"])
    before = entry["before"]
    return await partial_core(
        key,
        manifest if before["length"] else None,
        length=before["length"],
        fork=before["fork"],
        nodes=[node_of(node) for node in before["nodes"]],
        held=before["blocks"],
        blocks=blocks,
    )


@replays("12-replication", "proof")
def proof(entry: Entry, file: Entry) -> None:
    asyncio.run(replay_proof(entry, file))


async def replay_proof(entry: Entry, file: Entry) -> None:
    message = bytes.fromhex(entry["data"])
    data = decode_data(message)
    assert b"".join(encode_data(data)) == message
    if entry["request"] is not None:
        request = decode_request(bytes.fromhex(entry["request"]))
        serving = await server(file, entry["source"])
        [answer] = await serving.prove_many([request.want])
        assert isinstance(answer, Proof)
        assert b"".join(encode_data(Data(request.id, answer))) == message
        await serving.close()
    reading = await reader(entry, file)
    length = max(reading.length, 64)
    before = await stored_nodes(reading, length)
    [verdict] = await reading.accept_many([data.proof])
    if not entry["accept"]:
        assert isinstance(verdict, PeerError)
        assert await stored_nodes(reading, length) == before
        assert reading.length == entry["before"]["length"]
        await reading.close()
        return
    assert isinstance(verdict, Accepted)
    after = entry["after"]
    assert (reading.length, reading.byte_length) == (after["length"], after["byteLength"])
    assert await stored_nodes(reading, length) == {node_of(node) for node in after["nodes"]}
    roots = [node_of(root) for root in after["roots"]]
    assert [root.index for root in roots] == flat_tree.full_roots(reading.length)
    if after.get("hasBlock"):
        assert data.proof.block is not None
        index = data.proof.block.index
        assert reading.has(index)
        assert await reading.get(index) == source(file, entry["source"])[2][index]
    reopened = await Hypercore.open(reading.storage, key=reading.key)
    assert (reopened.head, reopened.manifest) == (reading.head, reading.manifest)
    await reopened.close()
    await reading.close()


@replays("12-replication", "requestReject")
def request_reject(entry: Entry, file: Entry) -> None:
    asyncio.run(replay_reject(entry, file))


async def replay_reject(entry: Entry, file: Entry) -> None:
    serving = await server(file, entry["source"])
    request = decode_request(bytes.fromhex(entry["request"]))
    reason = RefusalReason(int(entry["reply"].removeprefix("noData reason ")))
    assert await serving.prove_many([request.want]) == [Refusal(reason)]
    await serving.close()


@replays("12-replication", "maxMissingNodes")
def max_missing_nodes(entry: Entry, file: Entry) -> None:
    assert flat_tree.max_missing_nodes(entry["index"], entry["length"]) == entry["nodes"]


@replays("12-replication", "upgradeLength")
def upgrade_length(entry: Entry, file: Entry) -> None:
    upgrade = decode_data(bytes.fromhex(entry["data"])).proof.upgrade
    assert upgrade is not None
    assert (upgrade.start, upgrade.length) == (entry["start"], entry["length"])
    assert upgraded_length(upgrade) == entry["total"]

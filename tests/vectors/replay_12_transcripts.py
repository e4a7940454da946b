"""Replays the exchanges of 12-transcripts.json: every message, every proof, and our server."""

import asyncio
from typing import Any, NamedTuple

import pytest

from pearbox_edge.crypto import hash_bytes
from pearbox_edge.data.core import Accepted, Hypercore, Proof
from pearbox_edge.data.replication import capability
from pearbox_edge.data.replication.messages import MessageType, Sync, decode_data, decode_handshake
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey
from pearbox_edge.net.mux.messages import OPEN, decode_open, split_frame
from tests.kit.cores import grown, manifest_of, node_of, partial_core
from tests.kit.replication import MemoryStream
from tests.kit.vectors import Entry, replays
from tests.kit.wire_messages import KINDS, joined

PROTOCOL = "hypercore/alpha"
CHANGES_UNDER_WAY = {"live-append", "push", "reorg", "clear-while-connected"}
"""Exchanges in which the served core changes, so that it cannot be served as it ends up."""


class Sent(NamedTuple):
    """One message of a core's channel: by whom, in which core, its type and body."""

    side: str
    core: bytes
    kind: int
    body: memoryview


@replays("12-transcripts", "transcripts")
def transcript(entry: Entry, file: Entry) -> None:
    sent = read_frames(entry)
    cores = entry.get("cores") or ([entry["core"]] if "core" in entry else [])
    check_capabilities(entry, cores)
    for core in cores:
        if "blocks" in core:
            asyncio.run(check_proofs(entry, core, sent))
            asyncio.run(serve(entry, core, sent))
    if entry["id"] == "unknown-core":
        asyncio.run(reject_unknown(entry))
    if entry["id"] == "wrong-capability":
        asyncio.run(drop_attacker(entry))


def read_frames(entry: Entry) -> list[Sent]:
    """Decode every frame, compare with the recorded decode, encode it again."""
    sent: list[Sent] = []
    numbers: dict[tuple[str, int], bytes] = {}
    for frame in entry["frames"]:
        side = frame["from"]
        items = split_frame(memoryview(bytes.fromhex(frame["hex"])))
        assert len(items) == len(frame["messages"])
        for (channel, kind, body), expected in zip(items, frame["messages"], strict=True):
            if channel == 0:
                if kind == OPEN:
                    opened = decode_open(body)
                    numbers[side, opened.channel] = opened.id or b""
                    assert opened.protocol == expected["protocol"]
                    assert (opened.id or b"").hex() == expected["id"]
                continue
            if expected["protocol"] != PROTOCOL or "msg" not in expected:
                continue
            assert (channel, kind) == (expected["channel"], expected["type"])
            check_message(bytes(body), expected)
            sent.append(Sent(side, numbers[side, channel], kind, body))
    return sent


def check_message(body: bytes, expected: Entry) -> None:
    kind = KINDS[expected["name"]]
    value = kind.decode(body)
    assert joined(kind.encode(value)) == body
    msg = expected["msg"]
    block = msg.get("block") if expected["name"] == "data" else None
    if block and isinstance(block["value"], dict):
        assert hash_bytes(value.proof.block.value).hex() == block["value"]["blake2b"]
        msg = {**msg, "block": {**block, "value": bytes(value.proof.block.value).hex()}}
    assert kind.from_json(msg) == value


def check_capabilities(entry: Entry, cores: list[Entry]) -> None:
    """Every open proves that the key is known, or does not where it was meant not to."""
    keys = {core["discoveryKey"]: CoreKey(bytes.fromhex(core["key"])) for core in cores}
    if "askedKey" in entry:
        keys[entry["askedDiscoveryKey"]] = CoreKey(bytes.fromhex(entry["askedKey"]))
    handshake_hash = bytes.fromhex(entry["handshakeHash"])
    for frame in entry["frames"]:
        for message in frame["messages"]:
            if message.get("control") != "open" or message["protocol"] != PROTOCOL:
                continue
            handshake = decode_handshake(bytes.fromhex(message["handshakeRaw"]))
            expected = capability(
                keys[message["id"]], handshake_hash, is_initiator=frame["from"] == "initiator"
            )
            forged = (
                entry["id"] == "wrong-capability" and entry["roles"][frame["from"]] == "attacker"
            )
            assert (handshake.capability == expected) is not forged


def sides(entry: Entry) -> tuple[str, str]:
    """(reader, writer) as initiator and responder."""
    writer = next(side for side, role in entry["roles"].items() if role.startswith("writer"))
    return ("responder" if writer == "initiator" else "initiator"), writer


async def open_reader(entry: Entry, core: Entry) -> Hypercore:
    key = CoreKey(bytes.fromhex(core["key"]))
    before = entry.get("readerBefore")
    if before is None:
        return await Hypercore.open(MemoryStorage(), key=key)
    return await partial_core(
        key,
        manifest_of(core["manifest"]),
        length=before["length"],
        nodes=[node_of(node) for node in before["nodes"]],
        held=before["blocks"],
        blocks=[bytes.fromhex(block) for block in core["blocks"][: before["length"]]],
    )


async def check_proofs(entry: Entry, core: Entry, sent: list[Sent]) -> None:
    """Everything the reader was sent holds, in the order it came; it ends with the same core."""
    if entry["id"] == "wrong-capability":
        return
    reader, _ = sides(entry)
    held = await open_reader(entry, core)
    values: dict[tuple[int, int], bytes] = {}
    for message in sent:
        mine = message.side != reader and message.core.hex() == core["discoveryKey"]
        if not mine or message.kind != MessageType.DATA:
            continue
        proof = decode_data(message.body).proof
        if not is_current(held, proof):
            continue
        (result,) = await held.accept_many([proof])
        assert isinstance(result, Accepted), result
        if proof.block is not None:
            values[proof.fork, proof.block.index] = bytes(proof.block.value)
    after = entry.get("after", core)
    if held.length:
        assert (held.length, held.fork) == (after["length"], after["fork"])
    for (fork, index), value in values.items():
        if fork == after["fork"]:
            check_block(after["blocks"][index], value)
            assert held.has(index)
    await held.close()


def is_current(held: Hypercore, proof: Proof) -> bool:
    """Whether the reader would still look at it: a reorg is asked for more than once."""
    if proof.fork != held.fork:
        return proof.fork > held.fork and proof.upgrade is not None
    return proof.upgrade is None or proof.upgrade.start + proof.upgrade.length > held.length


def check_block(recorded: Any, value: bytes) -> None:
    if isinstance(recorded, dict):
        assert (recorded["bytes"], recorded["blake2b"]) == (len(value), hash_bytes(value).hex())
    else:
        assert recorded == value.hex()


async def serve(entry: Entry, core: Entry, sent: list[Sent]) -> None:
    """Our store, with the served core, answers the recorded reader as the real one did."""
    if entry["id"] in CHANGES_UNDER_WAY or entry["id"] == "wrong-capability" or "cores" in entry:
        return
    reader, writer = sides(entry)
    answers = [
        message
        for message in sent
        if message.side == writer and message.core.hex() == core["discoveryKey"]
    ]
    blocks = recorded_blocks(core, answers)
    signature = next(
        (
            proof.upgrade.signature
            for message in answers
            if message.kind == MessageType.DATA
            and (proof := decode_data(message.body).proof).upgrade is not None
        ),
        None,
    )
    if blocks is None or signature is None:
        return
    cleared = {i for start, end in entry.get("cleared", []) for i in range(start, end)}
    storage = MemoryStorage()
    served = await partial_core(
        CoreKey(bytes.fromhex(core["key"])),
        manifest_of(core["manifest"]),
        length=len(blocks),
        nodes=grown(blocks).nodes,
        held=[i for i in range(len(blocks)) if i not in cleared],
        signature=signature,
        blocks=blocks,
        storage=storage,
    )
    await served.close()
    ours = await replay_side(entry, reader, storage, core)
    for answer in frames_of(answers, MessageType.DATA) ^ frames_of(ours, MessageType.DATA):
        # The real server finds no seek node outside the first root; ours does, which is taken too.
        assert has_seek(answer) or finds_no_seek(answer, ours), answer.hex()
    maps = frames_of(answers, MessageType.BITFIELD)
    assert maps <= frames_of(ours, MessageType.BITFIELD)
    syncs = [KINDS["sync"].decode(bytes(m.body)) for m in ours if m.kind == MessageType.SYNC]
    assert syncs
    assert all(isinstance(sync, Sync) and sync.length == len(blocks) for sync in syncs)


def has_seek(answer: bytes) -> bool:
    return decode_data(answer).proof.seek is not None


def finds_no_seek(answer: bytes, ours: list[Sent]) -> bool:
    data = decode_data(answer)
    return any(
        has_seek(other) and decode_data(other).id == data.id and data.proof.hash is not None
        for other in frames_of(ours, MessageType.DATA)
    )


def recorded_blocks(core: Entry, answers: list[Sent]) -> list[bytes] | None:
    """All blocks of the served core, or None if the record leaves a large one out."""
    large = {}
    for message in answers:
        if message.kind == MessageType.DATA:
            block = decode_data(message.body).proof.block
            if block is not None:
                large[block.index] = bytes(block.value)
    blocks = []
    for index, recorded in enumerate(core["blocks"]):
        if isinstance(recorded, str):
            blocks.append(bytes.fromhex(recorded))
        elif index in large:
            blocks.append(large[index])
        else:
            return None
    return blocks


def frames_of(messages: list[Sent], kind: MessageType) -> set[bytes]:
    return {bytes(message.body) for message in messages if message.kind == kind}


async def replay_side(
    entry: Entry, side: str, storage: MemoryStorage, core: Entry | None = None
) -> list[Sent]:
    """Feed what one side sent to a store of ours in the other's place; what ours says."""
    stream = MemoryStream(b"", is_initiator=side != "initiator")
    stream.handshake_hash = bytes.fromhex(entry["handshakeHash"])
    async with Corestore(storage, primary_key=bytes(32)) as store:
        ours = asyncio.ensure_future(store.replicate(stream))
        for frame in entry["frames"]:
            if frame["from"] == side:
                stream.feed(bytes.fromhex(frame["hex"]))
                # One at a time: a request that is cancelled in the same arrival gets no answer.
                for _ in range(20):
                    await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)
        stream.end()
        await ours
    said: list[Sent] = []
    numbers: dict[int, bytes] = {}
    for message in stream.sent:
        for channel, kind, body in split_frame(memoryview(message)):
            if channel == 0 and kind == OPEN:
                opened = decode_open(body)
                numbers[opened.channel] = opened.id or b""
            elif channel and (core is None or numbers[channel].hex() == core["discoveryKey"]):
                said.append(Sent("", numbers[channel], kind, body))
    return said


async def reject_unknown(entry: Entry) -> None:
    """A store asked for a core it does not have rejects the channel, as recorded."""
    stream = MemoryStream(b"", is_initiator=False)
    stream.handshake_hash = bytes.fromhex(entry["handshakeHash"])
    async with Corestore(MemoryStorage(), primary_key=bytes(32)) as store:
        ours = asyncio.ensure_future(store.replicate(stream))
        stream.feed(bytes.fromhex(entry["frames"][0]["hex"]))
        for _ in range(20):
            await asyncio.sleep(0)
        stream.end()
        await ours
    assert [message.hex() for message in stream.sent] == [entry["frames"][1]["hex"]]


async def drop_attacker(entry: Entry) -> None:
    """A wrong capability destroys the whole stream."""
    core = entry["core"]
    storage = MemoryStorage()
    held = await Hypercore.open(storage, key=CoreKey(bytes.fromhex(core["key"])))
    await held.close()
    attacker = next(side for side, role in entry["roles"].items() if role == "attacker")
    with pytest.raises(PeerError) as caught:
        await replay_side(entry, attacker, storage)
    assert caught.value.code == "INVALID_CAPABILITY"

"""Messages of a replication channel as the vectors write them: JSON to values and back."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pearbox_edge.data.core import (
    BlockPart,
    BlockRequest,
    HashPart,
    HashRequest,
    Proof,
    ProofRequest,
    SeekPart,
    SeekRequest,
    UpgradePart,
    UpgradeRequest,
)
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.storage import TreeNode
from tests.kit.cores import manifest_of, node_of

Json = dict[str, Any]


_NOT_SAID: Json = {"prologue": None, "linked": None, "userData": None}
"""Fields of a manifest that the transcripts leave out when they are absent."""


def _nodes(items: list[Json]) -> list[TreeNode]:
    return [node_of(item) for item in items]


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def handshake(msg: Json) -> m.Handshake:
    return m.Handshake(_hex(msg["capability"]), msg["seeks"])


def sync(msg: Json) -> m.Sync:
    return m.Sync(
        msg["fork"],
        msg["length"],
        msg["remoteLength"],
        msg["canUpgrade"],
        msg["uploading"],
        msg["downloading"],
        msg["hasManifest"],
        msg["allowPush"],
    )


def request(msg: Json) -> m.Request:
    block, node, seek, upgrade = (msg.get(k) for k in ("block", "hash", "seek", "upgrade"))
    want = ProofRequest(
        msg["fork"],
        BlockRequest(block["index"], block["nodes"]) if block else None,
        HashRequest(node["index"], node["nodes"]) if node else None,
        SeekRequest(seek["bytes"], seek["padding"]) if seek else None,
        UpgradeRequest(upgrade["start"], upgrade["length"]) if upgrade else None,
        bool(msg.get("manifest")),
    )
    return m.Request(msg["id"], want, msg["priority"])


def data(msg: Json) -> m.Data:
    block, node, seek, upgrade = (msg.get(k) for k in ("block", "hash", "seek", "upgrade"))
    manifest = msg.get("manifest")
    proof = Proof(
        msg["fork"],
        BlockPart(block["index"], _hex(block["value"]), _nodes(block["nodes"])) if block else None,
        HashPart(node["index"], _nodes(node["nodes"])) if node else None,
        SeekPart(seek["bytes"], _nodes(seek["nodes"])) if seek else None,
        UpgradePart(
            upgrade["start"],
            upgrade["length"],
            _nodes(upgrade["nodes"]),
            _nodes(upgrade["additionalNodes"]),
            _hex(upgrade.get("signature") or ""),
        )
        if upgrade
        else None,
        manifest_of(_NOT_SAID | manifest) if manifest else None,
    )
    return m.Data(msg["request"], proof)


def bitfield(msg: Json) -> m.BitfieldMessage:
    return m.BitfieldMessage(msg["start"], _hex(msg["bitfield"]["uint32array"]))


def want(msg: Json) -> m.Want:
    return m.Want(msg["start"], msg["length"], msg["any"])


class Kind(NamedTuple):
    """One message: how the vectors name it, its codec, and its value from JSON."""

    from_json: Callable[[Json], Any]
    encode: Callable[[Any], Any]
    decode: Callable[[bytes], Any]


KINDS: dict[str, Kind] = {
    "handshake": Kind(handshake, m.encode_handshake, m.decode_handshake),
    "sync": Kind(sync, m.encode_sync, m.decode_sync),
    "request": Kind(request, m.encode_request, m.decode_request),
    "cancel": Kind(lambda msg: msg["request"], m.encode_cancel, m.decode_cancel),
    "data": Kind(data, m.encode_data, m.decode_data),
    "noData": Kind(
        lambda msg: m.NoData(msg["request"], msg["reason"]), m.encode_no_data, m.decode_no_data
    ),
    "want": Kind(want, m.encode_want, m.decode_want),
    "unwant": Kind(want, m.encode_want, m.decode_want),
    "bitfield": Kind(bitfield, m.encode_bitfield, m.decode_bitfield),
    "range": Kind(
        lambda msg: m.Range(msg["start"], msg["length"], msg["drop"]),
        m.encode_range,
        m.decode_range,
    ),
    "extension": Kind(
        lambda msg: m.ExtensionMessage(msg["name"], _hex(msg["message"])),
        m.encode_extension,
        m.decode_extension,
    ),
}


def joined(encoded: Any) -> bytes:
    """An encoded message as one piece, whether its encoder gives one or several."""
    return b"".join(encoded) if isinstance(encoded, list) else bytes(encoded)

"""Sheet 05: messages, signatures, handshakes, boxes, and captured runs of real peers."""

from collections.abc import Callable
from typing import Any

import pytest

from pearbox_edge.crypto import KeyPair, hash_bytes, sign
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import NodeId, PublicKey
from pearbox_edge.net.dht import messages as m
from pearbox_edge.net.dht import payloads as p
from pearbox_edge.net.dht import signatures as s
from pearbox_edge.net.dht.addresses import best_match, is_bogon, is_private, is_reserved
from pearbox_edge.net.dht.handshake import HolepunchBox, PeerHandshake
from pearbox_edge.net.dht.nat import NatClassifier
from pearbox_edge.net.noise import stream_id
from pearbox_edge.net.rpc.messages import Request, decode, encode_request, encode_response
from pearbox_edge.wire import Address, Reader
from tests.kit import dht as kit
from tests.kit.vectors import Entry, replays

LAYER = "05-hyperdht"

Codec = tuple[Callable[[Entry], Any], Callable[[Any], bytes], Callable[[bytes], Any]]


def handshake(value: Entry) -> m.PassedHandshake:
    return m.PassedHandshake(
        value["mode"],
        bytes.fromhex(value["noise"]),
        kit.maybe_address(value["peerAddress"]),
        kit.maybe_address(value["relayAddress"]),
    )


def holepunch(value: Entry) -> m.PassedHolepunch:
    return m.PassedHolepunch(
        value["mode"],
        value["id"],
        bytes.fromhex(value["payload"]),
        kit.maybe_address(value["peerAddress"]),
    )


def lookup_answer(value: Entry) -> m.LookupAnswer:
    return m.LookupAnswer(tuple(kit.peer(peer) for peer in value["peers"]), value["bump"])


def mutable_put(value: Entry) -> tuple[PublicKey, m.MutableValue]:
    return PublicKey(bytes.fromhex(value["publicKey"])), kit.mutable(value)


def plugin(value: Entry) -> m.PluginRequest:
    return m.PluginRequest(
        value["plugin"], value["version"], value["command"], kit.raw(value["value"])
    )


def signable(value: Entry) -> tuple[int, bytes]:
    return value["seq"], bytes.fromhex(value["value"])


def read_signable(data: bytes) -> tuple[int, bytes]:
    reader = Reader(data)
    return reader.uint(), bytes(reader.buffer())


CODECS: dict[str, Codec] = {
    "handshake": (handshake, m.encode_handshake, m.decode_handshake),
    "holepunch": (holepunch, m.encode_holepunch, m.decode_holepunch),
    "noisePayload": (kit.noise_payload, p.encode_noise_payload, p.decode_noise_payload),
    "holepunchPayload": (
        kit.holepunch_payload,
        p.encode_holepunch_payload,
        p.decode_holepunch_payload,
    ),
    "peer": (kit.peer, m.encode_peer, m.decode_peer),
    "announce": (kit.announcement, m.encode_announcement, m.decode_announcement),
    "lookupRawReply": (
        lookup_answer,
        lambda answer: m.encode_lookup_answer(
            [m.encode_peer(peer) for peer in answer.peers], answer.bump
        ),
        m.decode_lookup_answer,
    ),
    "mutableSignable": (signable, lambda value: s.encode_signed(*value), read_signable),
    "mutablePutRequest": (
        mutable_put,
        lambda value: m.encode_mutable_put(*value),
        m.decode_mutable_put,
    ),
    "mutableGetResponse": (kit.mutable, m.encode_mutable, m.decode_mutable),
    "pluginRequest": (plugin, m.encode_plugin, m.decode_plugin),
}


@replays(LAYER, "encodings")
def encodings(entry: Entry, file: Entry) -> None:
    values, encode, read = CODECS[entry["message"]]
    data = bytes.fromhex(entry["hex"])
    assert read(data) == values(entry["decoded"])
    assert encode(read(data)) == data
    constants = file["constants"]
    assert {command.name: command.value for command in m.Command} == constants["commands"]
    assert {firewall.name: firewall.value for firewall in m.Firewall} == constants["firewall"]
    assert constants["errors"] == {
        "NONE": m.NO_ERROR,
        "ABORTED": m.ABORTED,
        "VERSION_MISMATCH": m.VERSION_MISMATCH,
        "TRY_LATER": m.TRY_LATER,
        "SEQ_REUSED": m.SEQ_REUSED,
        "SEQ_TOO_LOW": m.SEQ_TOO_LOW,
    }


@replays(LAYER, "signatures")
def signatures(entry: Entry, file: Entry) -> None:
    key_pair = KeyPair.from_seed(bytes.fromhex(entry["seed"]))
    target = bytes.fromhex(entry["target"])
    if entry["kind"] == "mutable":
        assert file["constants"]["namespaces"]["MUTABLE_PUT"] == s.MUTABLE_TAG.hex()
        value = bytes.fromhex(entry["value"])
        assert target == s.target_for(key_pair.public_key)
        assert s.mutable_signable(entry["seq"], value).hex() == entry["signable"]
        put = s.sign_mutable(entry["seq"], value, key_pair)
        assert put.signature.hex() == entry["signature"]
        assert s.is_mutable_signed(put, key_pair.public_key)
        assert m.encode_mutable_put(key_pair.public_key, put).hex() == entry["request"]
        return
    tag = {"announce": s.ANNOUNCE_TAG, "unannounce": s.UNANNOUNCE_TAG}[entry["kind"]]
    assert file["constants"]["namespaces"][entry["kind"].upper()] == tag.hex()
    token, node = bytes.fromhex(entry["token"]), NodeId(bytes.fromhex(entry["nodeId"]))
    announcement = m.decode_announcement(bytes.fromhex(entry["value"]))
    assert s.announce_signable(tag, target, token, node, announcement).hex() == entry["signable"]
    assert sign(bytes.fromhex(entry["signable"]), key_pair).hex() == entry["signature"]
    assert s.is_announcement_signed(tag, target, token, node, announcement)
    assert not s.is_announcement_signed(tag, target, bytes(32), node, announcement)
    peer = kit.peer(entry["peer"])
    made = s.sign_announcement(
        tag,
        target,
        token,
        node,
        key_pair,
        relay_addresses=peer.relay_addresses,
        refresh=kit.raw(entry["refresh"]),
    )
    assert m.encode_announcement(made).hex() == entry["value"]


@replays(LAYER, "immutable")
def immutable(entry: Entry, _file: Entry) -> None:
    assert hash_bytes(bytes.fromhex(entry["value"])).hex() == entry["target"]


@replays(LAYER, "handshakes")
def handshakes(entry: Entry, file: Entry) -> None:
    assert file["constants"]["namespaces"]["PEER_HANDSHAKE"] == s.HANDSHAKE_TAG.hex()
    client_keys = KeyPair.from_seed(bytes.fromhex(entry["clientSeed"]))
    server_keys = KeyPair.from_seed(bytes.fromhex(entry["serverSeed"]))
    client_seed, server_seed = (
        bytes.fromhex(entry[f"{side}EphemeralSeed"]) for side in ("client", "server")
    )
    client = PeerHandshake(client_keys, lambda _size: client_seed, server_keys.public_key)
    server = PeerHandshake(server_keys, lambda _size: server_seed)
    for message, writer, reader in (
        (entry["request"], client, server),
        (entry["reply"], server, client),
    ):
        payload = kit.noise_payload(message["decoded"])
        assert p.encode_noise_payload(payload).hex() == message["plain"]
        assert writer.write(payload).hex() == message["noise"]
        assert reader.read(bytes.fromhex(message["noise"])) == payload
    assert server.remote_public_key.hex() == entry["clientPublicKey"]
    for agreement in (client.agreement(), server.agreement()):
        assert agreement.keys.handshake_hash.hex() == entry["handshakeHash"]
        assert agreement.holepunch_secret.hex() == entry["holepunchSecret"]
    keys = client.agreement().keys
    assert (keys.tx.hex(), keys.rx.hex()) == (entry["clientTx"], entry["clientRx"])
    ids = [stream_id(keys.handshake_hash, is_initiator=side).hex() for side in (False, True)]
    assert ids == [entry["clientRemoteId"], entry["serverRemoteId"]]
    bad = bytearray.fromhex(entry["request"]["noise"])
    bad[-1] ^= 1
    with pytest.raises(PeerError):
        PeerHandshake(server_keys, bytes).read(bad)


@replays(LAYER, "sealed")
def sealed(entry: Entry, _file: Entry) -> None:
    chances = iter((bytes.fromhex(entry["localSecret"]), bytes.fromhex(entry["nonce"])))
    box = HolepunchBox(bytes.fromhex(entry["secret"]), lambda _size: next(chances))
    payload = kit.holepunch_payload(entry["payload"])
    message = bytes.fromhex(entry["message"])
    assert p.encode_holepunch_payload(payload).hex() == entry["plain"]
    assert box.seal(payload) == message
    assert entry["opens"] and box.open(message) == payload
    assert box.token(entry["tokenFor"]).hex() == entry["token"]
    for place in range(0, len(message), 7):
        bad = bytearray(message)
        bad[place] ^= 1
        with pytest.raises(PeerError):
            box.open(bad)


@replays(LAYER, "nats")
def nats(entry: Entry, _file: Entry) -> None:
    nat = NatClassifier(firewalled=entry["firewalled"])
    for number, step in enumerate(entry["steps"]):
        nat.add(kit.address(step), Address("10.0.0.1", number + 1))
        assert nat.firewall == step["firewall"]
        known = step["addresses"]
        assert nat.addresses == (None if known is None else kit.addresses(known))


@replays(LAYER, "matches")
def matches(entry: Entry, _file: Entry) -> None:
    theirs = [Address(host, 1) for host in entry["theirs"]]
    match = best_match(entry["mine"], theirs)
    assert (None if match is None else match.host) == entry["match"]


@replays(LAYER, "addressClasses")
def address_classes(entry: Entry, _file: Entry) -> None:
    host = entry["host"]
    found = (is_private(host), is_reserved(host), is_bogon(host))
    assert found == (entry["private"], entry["reserved"], entry["bogon"])


@replays(LAYER, "scenes")
def scenes(entry: Entry, _file: Entry) -> None:
    """What was captured is read and written alike, down to what is sealed in it."""
    secrets = {
        bytes.fromhex(ephemeral["holepunchSecret"])
        for ephemeral in entry.get("ephemerals", ())
        if ephemeral["holepunchSecret"]
    }
    for datagram in [*entry.get("listen", ()), *entry["datagrams"]]:
        data = bytes.fromhex(datagram["hex"])
        captured = datagram["message"]
        if captured is None:
            assert data == b"\0"
            continue
        message = decode(data)
        encoded = (
            encode_request(message) if isinstance(message, Request) else encode_response(message)
        )
        assert encoded == data
        inner = captured.get("inner")
        if not inner:
            continue
        values, encode, read = CODECS[inner["message"]]
        assert message.value is not None
        value = read(message.value)
        assert value == values(inner) and encode(value) == message.value
        if inner.get("opened"):
            opened = [opens(secret, value.box) for secret in secrets]
            assert kit.holepunch_payload(inner["opened"]) in opened
    for ephemeral in entry.get("ephemerals", ()):
        for payload in (ephemeral["sent"], ephemeral["received"]):
            if payload is not None:
                known = kit.noise_payload(payload)
                assert p.decode_noise_payload(p.encode_noise_payload(known)) == known


def opens(secret: bytes, box: bytes) -> p.HolepunchPayload | None:
    try:
        return HolepunchBox(secret, bytes).open(box)
    except PeerError:
        return None

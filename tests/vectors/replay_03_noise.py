"""Sheet 03: Noise handshakes and the secret stream."""

from collections.abc import Callable

import pytest

from pearbox_edge.crypto import KeyPair, Opener, Sealer, exchange, hmac_512
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.noise import (
    HandshakeMachine,
    Options,
    Pattern,
    SecretStreamMachine,
    UnorderedBox,
    stream_id,
)
from pearbox_edge.net.noise.symmetric import hkdf
from tests.kit.vectors import Entry, replays

LAYER = "03-noise-secret-stream"


def pair(seed: str) -> KeyPair:
    return KeyPair.from_seed(bytes.fromhex(seed))


def drawing(*values: str) -> Callable[[int], bytes]:
    """A `random_bytes` that gives these values, in this order."""
    left = [bytes.fromhex(value) for value in values]

    def random_bytes(size: int) -> bytes:
        value = left.pop(0)
        assert len(value) == size
        return value

    return random_bytes


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@replays(LAYER, "dh")
def dh(entry: Entry, file: Entry) -> None:
    a, b = pair(entry["seedA"]), pair(entry["seedB"])
    assert a.public_key.hex() == entry["publicKeyA"]
    assert b.public_key.hex() == entry["publicKeyB"]
    assert exchange(a, b.public_key).hex() == entry["shared"]
    assert exchange(b, a.public_key).hex() == entry["shared"]


@replays(LAYER, "hmac")
def hmac(entry: Entry, file: Entry) -> None:
    key, data = bytes.fromhex(entry["key"]), bytes.fromhex(entry["data"])
    assert hmac_512(key, data).hex() == entry["hmac"]


@replays(LAYER, "hkdf")
def hkdf_(entry: Entry, file: Entry) -> None:
    salt, material = bytes.fromhex(entry["salt"]), bytes.fromhex(entry["ikm"])
    assert [part.hex() for part in hkdf(salt, material)] == entry["out"]
    assert [part.hex() for part in hkdf(salt, material, 3)] == entry["threeOutputs"]


def machines(entry: Entry) -> dict[str, HandshakeMachine]:
    pattern = Pattern(entry["pattern"])
    responder_key = PublicKey(bytes.fromhex(entry["responder"]["publicKey"]))
    return {
        role: HandshakeMachine(
            pattern,
            is_initiator=role == "initiator",
            key_pair=pair(entry[role]["seed"]),
            random_bytes=drawing(entry[role]["ephemeralSeed"]),
            prologue=bytes.fromhex(entry["prologue"]),
            remote_public_key=(
                responder_key if role == "initiator" and pattern is Pattern.IK else None
            ),
        )
        for role in ("initiator", "responder")
    }


@replays(LAYER, "noise")
def noise(entry: Entry, file: Entry) -> None:
    sides = machines(entry)
    for step in entry["steps"]:
        sender = sides[step["from"]]
        receiver = sides["responder" if step["from"] == "initiator" else "initiator"]
        assert sender.is_our_turn
        message = sender.write(bytes.fromhex(step["payload"]))
        assert message.hex() == step["message"]
        if step["hashAfter"] is not None:
            assert sender._symmetric.hash.hex() == step["hashAfter"]
            assert sender._symmetric.chaining_key.hex() == step["chainingKeyAfter"]
            assert sender._symmetric.nonce == step["nonceAfter"]
        assert receiver.read(message).hex() == step["payload"]
    initiator, responder = sides["initiator"].keys, sides["responder"].keys
    assert initiator is not None
    assert responder is not None
    assert initiator.handshake_hash.hex() == entry["handshakeHash"]
    assert responder.handshake_hash.hex() == entry["handshakeHash"]
    assert (initiator.tx.hex(), initiator.rx.hex()) == (entry["initiatorTx"], entry["initiatorRx"])
    assert (responder.tx.hex(), responder.rx.hex()) == (entry["responderTx"], entry["responderRx"])
    assert initiator.remote_public_key.hex() == entry["responder"]["publicKey"]
    assert responder.remote_public_key.hex() == entry["initiator"]["publicKey"]
    for role, name in entry["streamIds"].items():
        own = stream_id(initiator.handshake_hash, is_initiator=role == "initiator")
        assert own.hex() == name
    tampered_last_message(entry)


def tampered_last_message(entry: Entry) -> None:
    """The same handshake, but one bit of the last message is wrong."""
    sides = machines(entry)
    *steps, last = entry["steps"]
    for step in steps:
        message = sides[step["from"]].write(bytes.fromhex(step["payload"]))
        sides["responder" if step["from"] == "initiator" else "initiator"].read(message)
    message = bytes.fromhex(last["message"])
    receiver = sides["responder" if last["from"] == "initiator" else "initiator"]
    with pytest.raises(PeerError):
        receiver.read(flipped(message, 8 * len(message) - 1))


@replays(LAYER, "refusals")
def refusals(entry: Entry, file: Entry) -> None:
    transcript = file["noise"][entry["transcript"]]
    if "empty prologue" in entry["why"]:
        transcript = {**transcript, "prologue": ""}
    responder = machines(transcript)["responder"]
    with pytest.raises(PeerError):
        responder.read(bytes.fromhex(entry["message"]))


@replays(LAYER, "secretstream")
def secretstream(entry: Entry, file: Entry) -> None:
    key, header = bytes.fromhex(entry["key"]), bytes.fromhex(entry["header"])
    sealer, opener = Sealer(key, header), Opener(key, header)
    for message in entry["messages"]:
        plain, cipher = bytes.fromhex(message["plain"]), bytes.fromhex(message["cipher"])
        out = bytearray(b"\0" + plain + bytes(16))
        sealer.seal(memoryview(out))
        assert out == cipher
        with pytest.raises(PeerError):
            Opener(key, header).open(memoryview(bytearray(flipped(cipher, 9))))
        assert opener.open(memoryview(bytearray(cipher))) == plain


@replays(LAYER, "connections")
def connections(entry: Entry, file: Entry) -> None:
    """Both ends of a recorded stream: what each writes, from what the other wrote."""
    randoms = entry["random"]
    ephemerals = [drawn["seed"] for drawn in randoms if "seed" in drawn]
    wire = [written for written in entry["wire"] if not written.get("end")]
    headers = {
        written["from"]: written["hex"][2 * (3 + 32) :]
        for written in wire
        if written["hex"].startswith("380000")
    }
    for role, ephemeral in zip(("initiator", "responder"), ephemerals, strict=True):
        other = "responder" if role == "initiator" else "initiator"
        pattern = Pattern(entry["pattern"])
        known = PublicKey(bytes.fromhex(entry["responder"]["publicKey"]))
        machine = SecretStreamMachine.handshaking(
            pattern,
            is_initiator=role == "initiator",
            key_pair=pair(entry[role]["seed"]),
            random_bytes=drawing(ephemeral, headers[role]),
            now=0.0,
            remote_public_key=known if pattern is Pattern.IK and role == "initiator" else None,
            options=Options(keep_alive=entry["keepAlive"] / 1000 or None),
        )
        ours, theirs = ([w["hex"] for w in wire if w["from"] == side] for side in (role, other))
        written = b""
        for data in theirs:
            written += b"".join(machine.transmit(0.0))
            machine.receive(memoryview(bytes.fromhex(data)), 0.0)
        assert machine.keys is not None
        assert machine.keys.handshake_hash.hex() == entry["handshakeHash"]
        machine.send([(bytes.fromhex(message),) for message in entry["sent"][role]])
        written += b"".join(machine.transmit(0.0))
        if entry["keepAlive"]:
            machine.expire(1.0)  # the recording has one keep-alive frame each
            written += b"".join(machine.transmit(1.0))
        assert written.hex() == "".join(ours)
        received = [message.hex() for message in machine.messages()]
        # Ours never delivers an empty message: nothing above tells it from a keep-alive.
        assert received == [message for message in entry["received"][role] if message]


@replays(LAYER, "unordered")
def unordered(entry: Entry, file: Entry) -> None:
    handshake_hash = bytes.fromhex(entry["handshakeHash"])
    forth = entry["direction"] == "initiator to responder"
    draw = drawing(entry["startCounter"])
    sender = UnorderedBox(handshake_hash, is_initiator=forth, random_bytes=draw)
    receiver = UnorderedBox(handshake_hash, is_initiator=not forth, random_bytes=bytes)
    own_key = entry["initiatorKey" if forth else "responderKey"]
    assert sender._send_key.hex() == receiver._receive_key.hex() == own_key
    for message in entry["messages"]:
        sealed = sender.seal(bytes.fromhex(message["plain"]))
        assert sealed.hex() == message["message"]
        assert receiver.open(sealed).hex() == message["opened"]
        for bad in (flipped(sealed, 0), flipped(sealed, 8 * len(sealed) - 1), sealed[:-1]):
            with pytest.raises(PeerError):
                receiver.open(bad)

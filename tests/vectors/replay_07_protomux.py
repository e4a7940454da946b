"""Sheet 07: protomux, as two real muxers spoke it and as one answered hand-made frames."""

import json

import pytest

from pearbox_edge.errors import PeerError
from pearbox_edge.net.mux import Channel, MuxMachine
from pearbox_edge.net.mux.messages import (
    CLOSE,
    CONTROL,
    OPEN,
    REJECT,
    Outgoing,
    decode_number,
    decode_open,
    encode_open,
    encode_uint,
    join_frames,
    split_frame,
)
from pearbox_edge.net.mux.relay import Pair, decode_pair, decode_unpair, encode_pair, encode_unpair
from pearbox_edge.wire import Reader
from tests.kit.vectors import Entry, replays

LAYER = "07-protomux"


def read(frame: bytes) -> Entry:
    """Our reading of a frame, in the words of the vectors."""
    if not frame:
        return {"kind": "keepalive"}
    items = [read_item(*item) for item in split_frame(memoryview(frame))]
    return {"kind": "batch", "items": items} if frame[:2] == b"\0\0" else items[0]


def read_item(channel: int, kind: int, body: memoryview) -> Entry:
    if channel != CONTROL:
        return {"kind": "message", "channel": channel, "type": kind, "body": body.hex()}
    if kind == OPEN:
        asked = decode_open(body)
        return {
            "kind": "open",
            "channel": asked.channel,
            "protocol": asked.protocol,
            "id": asked.id.hex() if asked.id is not None else None,
            "handshake": asked.handshake.hex(),
        }
    name = {REJECT: "reject", CLOSE: "close"}[kind]
    return {"kind": name, "channel": decode_number(body)}


def write(frame: Entry) -> bytes:
    """The bytes of a frame given in the words of the vectors."""
    if frame["kind"] == "keepalive":
        return b""
    items = frame["items"] if frame["kind"] == "batch" else [frame]
    outgoing: list[Outgoing] = []
    for item in items:
        match item["kind"]:
            case "message":
                channel, kind, body = item["channel"], item["type"], bytes.fromhex(item["body"])
            case "open":
                id_ = bytes.fromhex(item["id"]) if item["id"] is not None else None
                handshake = bytes.fromhex(item["handshake"])
                body = encode_open(item["channel"], item["protocol"], id_, handshake)
                channel, kind = CONTROL, OPEN
            case "reject" | "close":
                kind = REJECT if item["kind"] == "reject" else CLOSE
                channel, body = CONTROL, encode_uint(item["channel"])
            case other:
                raise AssertionError(other)
        outgoing.append((channel, encode_uint(kind), (body,), len(body)))
    (message,) = join_frames(outgoing)
    return b"".join(message)


class Recorder:
    """A handler that writes down what it is told."""

    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.channel: Channel | None = None

    def on_open(self, handshake: memoryview) -> None:
        self.log.append(("open", bytes(handshake)))

    def on_message(self, kind: int, body: memoryview) -> None:
        self.log.append((kind, bytes(body)))

    def on_close(self) -> None:
        assert self.channel is not None
        self.log.append(("close", self.channel.closed_by_remote))


class Side:
    """One end of a scenario: our mux, given the verbs of the recorded one."""

    def __init__(self) -> None:
        self.mux = MuxMachine()
        self.log: list[object] = []

    def open(
        self, protocol: str, id_: str | None = None, handshake: bytes = b"", *, unique: bool = True
    ) -> Channel:
        recorder = Recorder(self.log)
        id_bytes = bytes.fromhex(id_) if id_ else None
        channel = self.mux.open(protocol, id_bytes, recorder, handshake=handshake, unique=unique)
        recorder.channel = channel
        return channel

    def sent(self) -> list[str]:
        return [b"".join(message).hex() for message in self.mux.transmit()]

    def feed(self, hexes: list[str]) -> None:
        for data in hexes:
            self.mux.receive(memoryview(bytes.fromhex(data)))


def shuttle(a: Side, b: Side) -> list[tuple[str, str]]:
    """Carry frames both ways until nothing moves: (from, hex) of each."""
    log: list[tuple[str, str]] = []
    while True:
        moved = False
        for name, sender, receiver in (("a", a, b), ("b", b, a)):
            frames = sender.sent()
            log += [(name, frame) for frame in frames]
            receiver.feed(frames)
            receiver.mux.deliver()
            moved = moved or bool(frames)
        if not moved:
            return log


@replays(LAYER, "scenarios")
def scenario(entry: Entry, file: Entry) -> None:
    frames = [frame for part in ("frames", "first", "second") for frame in entry.get(part, [])]
    assert frames
    for frame in frames:
        assert read(bytes.fromhex(frame["hex"])) == frame["frame"]
        assert write(frame["frame"]).hex() == frame["hex"]
        truncated = bytes.fromhex(frame["hex"])[:1]
        if truncated:
            with pytest.raises(PeerError):
                split_frame(memoryview(truncated))
    play = PLAYS.get(entry["name"])
    if play is not None:
        play(entry, [(frame["from"], frame["hex"]) for frame in frames])
    else:
        assert entry["name"] in {"blind-relay", "wakeup"}  # their own protocols: a later issue


def play_open_message_batch_close(entry: Entry, frames: list[tuple[str, str]]) -> None:
    a, b = Side(), Side()
    opens = [frame["frame"] for frame in entry["frames"] if frame["frame"]["kind"] == "open"]
    ours = a.open("demo", opens[0]["id"], bytes.fromhex(opens[0]["handshake"]))
    theirs = b.open("demo", opens[1]["id"], bytes.fromhex(opens[1]["handshake"]))
    log = shuttle(a, b)
    for kind, body in ((0, "0568656c6c6f"), (1, "fe70110100")):
        ours.send(kind, bytes.fromhex(body))
        log += shuttle(a, b)
    (answer,) = [data for name, data in frames if name == "b" and data.startswith("0102")]
    theirs.send(2, bytes.fromhex(answer)[2:])
    log += shuttle(a, b)
    for kind, body in ((0, "036f6e65"), (1, "02"), (0, "057468726565")):
        ours.send(kind, bytes.fromhex(body))
    log += shuttle(a, b)
    b.feed([""])
    ours.close()
    log += shuttle(a, b)
    assert log == [frame for frame in frames if frame[1]]

    def told(lines: list[list[object]]) -> list[object]:
        types = {"string": 0, "uint": 1, "buffer": 2}
        said: list[object] = []
        for word, value in lines:
            if word == "open":
                text = json.dumps(value, separators=(",", ":")).encode()
                said.append(("open", encode_uint(len(text)) + text))
            elif word == "close":
                said.append(("close", value))
            else:
                said.append((types[str(word)], value))
        return said

    def decoded(log: list[object]) -> list[object]:
        plain: list[object] = []
        for line in log:
            assert isinstance(line, tuple)
            word, value = line
            match word:
                case 0:
                    plain.append((0, Reader(value).string()))
                case 1:
                    plain.append((1, Reader(value).uint()))
                case 2:
                    plain.append((2, bytes(Reader(value).buffer()).hex()))
                case _:
                    plain.append((word, value))
        return plain

    assert decoded(a.log) == told(entry["received"]["a"])
    assert decoded(b.log) == told(entry["received"]["b"])


def play_reject(entry: Entry, frames: list[tuple[str, str]]) -> None:
    a, b = Side(), Side()
    channel = a.open("unknown-protocol")
    opened = a.sent()
    channel.send(0, bytes.fromhex("1673656e74206265666f72652074686520616e73776572"))
    said = a.sent()
    b.feed(opened + said)
    (wanted,) = b.mux.events()
    b.mux.settle(wanted.protocol, wanted.id)
    answer = b.sent()
    a.feed(answer)
    assert [hex_ for _, hex_ in frames] == opened + said + answer
    assert a.log == [("close", True)]
    assert channel.closed_by_remote is entry["closedByRemote"]
    assert b.log == []


def play_pair_on_demand(entry: Entry, frames: list[tuple[str, str]]) -> None:
    a, b = Side(), Side()
    id_ = entry["seen"][0]
    channel = a.open("late", id_, b"\5")
    opened = a.sent()
    channel.send(0, b"\x0dearly message")
    said = a.sent()
    b.feed(opened + said)
    (wanted,) = b.mux.events()
    assert wanted.id is not None
    assert wanted.id.hex() == id_
    b.open("late", wanted.id.hex(), b"\7")
    b.mux.settle(wanted.protocol, wanted.id)
    assert b.log == []  # never before open() returned
    b.mux.deliver()
    answer = b.sent()
    a.feed(answer)
    assert b.log == [("open", b"\5"), (0, b"\x0dearly message")]
    assert a.log == [("open", b"\7")]
    assert [hex_ for _, hex_ in frames] == opened + said + answer


def play_several_channels(entry: Entry, frames: list[tuple[str, str]]) -> None:
    a, b = Side(), Side()
    ours = [a.open(f"p{number}") for number in range(3)]
    theirs = {}
    sent = [("a", frame) for frame in a.sent()]
    for number in (2, 0, 1):
        theirs[number] = b.open(f"p{number}")
        sent += [("b", frame) for frame in b.sent()]
    a.feed([frame for side, frame in sent if side == "b"])
    b.feed([frame for side, frame in sent if side == "a"])
    for number, value in ((0, 1), (0, 2), (2, 3), (0, 4)):
        ours[number].send(0, bytes([value]))
    sent += shuttle(a, b)
    theirs[2].send(0, b"\t")
    sent += shuttle(a, b)
    ours[1].close()
    sent += shuttle(a, b)
    a.open("p5")
    sent += shuttle(a, b)
    for wanted in b.mux.events():
        b.mux.settle(wanted.protocol, wanted.id)
    sent += shuttle(a, b)
    assert sent == frames


def play_same_protocol_twice(entry: Entry, frames: list[tuple[str, str]]) -> None:
    a, b = Side(), Side()
    sent = []
    for name, side in (("a", a), ("a", a), ("b", b), ("b", b)):
        side.open("twice", unique=False)
        sent += [(name, frame) for frame in side.sent()]
    assert sent == frames
    for name, frame in frames:
        (b if name == "a" else a).feed([frame])
    assert a.log == b.log == [("open", b""), ("open", b"")]


PLAYS = {
    "open-message-batch-close": play_open_message_batch_close,
    "reject": play_reject,
    "pair-on-demand": play_pair_on_demand,
    "several-channels": play_several_channels,
    "same-protocol-twice": play_same_protocol_twice,
}


class DemoHandler(Recorder):
    """The protocol of the feeds: type 0 is a string."""

    def on_open(self, handshake: memoryview) -> None:
        self.log.append("open")

    def on_message(self, kind: int, body: memoryview) -> None:
        if kind == 0:
            self.log.append(Reader(body).string())

    def on_close(self) -> None:
        assert self.channel is not None
        self.log.append("close true" if self.channel.closed_by_remote else "close false")


@replays(LAYER, "feeds")
def feed(entry: Entry, file: Entry) -> None:
    side = Side()
    handler = DemoHandler(side.log)
    handler.channel = side.mux.open("demo", None, handler)
    destroyed = False
    answers = side.sent()
    try:
        for data in entry["in"]:
            side.feed([data])
            answers += side.sent()
    except PeerError:
        destroyed = True
        side.mux.end()
    assert destroyed is entry["streamDestroyed"]
    assert side.log == entry["received"]
    assert answers == [answer["hex"] for answer in entry["answers"]]
    for answer in entry["answers"]:
        assert read(bytes.fromhex(answer["hex"])) == answer["frame"]


@replays(LAYER, "relayMessages")
def relay_message(entry: Entry, file: Entry) -> None:
    data, value = bytes.fromhex(entry["hex"]), entry["value"]
    token = bytes.fromhex(value["token"])
    if entry["message"] == "unpair":
        assert decode_unpair(data) == token
        assert encode_unpair(token) == data
        return
    pair = Pair(value["isInitiator"], token, value["id"], value["seq"])
    assert decode_pair(data) == pair
    assert encode_pair(pair) == data

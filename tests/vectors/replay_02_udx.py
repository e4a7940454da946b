"""Sheet 02: UDX, hand-made headers and what two real streams said to each other through a proxy.

Scenarios are played by our machines in the role of either side: one gets what its peer sent, at the
times of the capture, and must send the kinds of packets that the real stream sent.
"""

from pearbox_edge.errors import PeerError
from pearbox_edge.net.udx import (
    Closed,
    Packet,
    UdxStreamMachine,
    decode_packet,
    encode_packet,
    is_udx,
)
from pearbox_edge.net.udx.packet import DATA, DESTROY, END, HEARTBEAT, MESSAGE, SACK, readdress
from tests.kit.link import datagrams_of
from tests.kit.vectors import Entry, replays

LAYER = "02-udx"
NAMES = {
    DATA: "data",
    END: "end",
    SACK: "sack",
    MESSAGE: "message",
    DESTROY: "destroy",
    HEARTBEAT: "heartbeat",
}


def read(packet: Packet) -> Entry:
    """Our reading of a packet, in the words of the vectors."""
    return {
        "type": packet.flags,
        "flags": [name for flag, name in NAMES.items() if packet.flags & flag],
        "dataOffset": packet.padding,
        "id": packet.id,
        "rwnd": packet.window,
        "seq": packet.seq,
        "ack": packet.ack,
        "sacks": [list(block) for block in packet.sacks],
        "payloadLength": len(packet.payload),
    }


def check_packet(entry: Entry) -> Packet:
    """Both ways; what was cut off a captured payload is put back as zeros."""
    data = bytes.fromhex(entry["hex"])
    data += bytes(entry.get("length", len(data)) - len(data))
    packet = decode_packet(data)
    assert read(packet) == entry["header"]
    assert encode_packet(packet) == data
    assert is_udx(data)
    return packet


@replays(LAYER, "headers")
def headers(entry: Entry, file: Entry) -> None:
    packet = check_packet(entry)
    data = bytes.fromhex(entry["hex"])
    for wrong in (data[:19], b"\xfe" + data[1:], data[:1] + b"\x02" + data[2:]):
        try:
            decode_packet(wrong)
        except PeerError:
            continue
        raise AssertionError("read a packet that is not UDX")
    if packet.padding:
        try:
            decode_packet(data[: 20 + packet.padding - 1])
        except PeerError:
            return
        raise AssertionError("read past the end")


@replays(LAYER, "notUdx")
def not_udx(entry: Entry, file: Entry) -> None:
    data = bytes.fromhex(entry["hex"])
    assert not is_udx(data)
    try:
        decode_packet(data)
    except PeerError:
        return
    raise AssertionError(entry["why"])


class Side:
    """Our machine in the place of one of the two."""

    def __init__(self, scenario: Entry, side: str) -> None:
        other = {"a": "b", "b": "a"}[side]
        self.way_in = f"{other}>{side}"
        first = scenario.get(f"seq{side.upper()}", 0)
        remote_first = scenario.get(f"seq{other.upper()}", 0)
        self.machine = UdxStreamMachine(
            scenario[f"id{side.upper()}"], now=0.0, first=first, remote_first=remote_first
        )
        self.remote_id = scenario[f"id{other.upper()}"]
        self.now = 0.0

    def connect(self) -> None:
        self.machine.connect(self.remote_id, self.now)

    def sent(self, now: float | None = None) -> list[Packet]:
        """What leaves now."""
        if now is not None:
            self.now = now
        batches = self.machine.transmit(self.now)
        return [
            decode_packet(datagram)
            for _, parts, _ in batches
            for datagram in datagrams_of([bytes(part) for part in parts])
        ]

    def feed(self, entry: Entry) -> list[Packet]:
        """One packet of the capture arrives; what does it make us send?"""
        data = bytes.fromhex(entry["hex"])
        data += bytes(entry["length"] - len(data))
        self.now = max(self.now, entry["ms"] / 1000)
        self.machine.receive([(memoryview(bytearray(data)), len(data))], self.now)
        return self.sent()

    def got(self) -> bytes:
        got = bytearray()
        while data := self.machine.read():
            got += data
        return bytes(got)


def play_receiver(scenario: Entry, side: str = "b") -> tuple[list[Entry], list[Entry], Side]:
    """Give one side what arrived there; returns (our answers, the captured ones)."""
    ours = Side(scenario, side)
    ours.connect()
    answers: list[Entry] = []
    held: list[Entry] = []
    for entry in scenario["packets"]:
        if entry["dir"] != ours.way_in or entry["verdict"] == "drop":
            continue
        if entry["verdict"] == "hold":
            held.append(entry)
            continue
        arriving = [entry, *([entry] if entry["verdict"] == "dup" else []), *held]
        held = []
        for one in arriving:
            answers += [read(packet) for packet in ours.feed(one)]
    captured = [entry["header"] for entry in scenario["packets"] if entry["dir"] != ours.way_in]
    return answers, captured, ours


def hello_and_end(scenario: Entry) -> None:
    """Our machine says what each of the real ones said, packet by packet."""
    for side, other in (("a", "b"), ("b", "a")):
        ours = Side(scenario, side)
        ours.connect()
        ours.machine.write(bytes.fromhex(scenario["sent"][side]))
        theirs = [entry for entry in scenario["packets"] if entry["dir"] == ours.way_in]
        expected = [entry for entry in scenario["packets"] if entry["dir"] != ours.way_in]
        sent = ours.sent()
        for number, entry in enumerate(theirs):
            sent += ours.feed(entry)
            if number == 1:
                ours.machine.end()
                sent += ours.sent()
        assert ours.got().hex() == scenario["sent"][other]
        assert ours.machine.events()[-1] == Closed(None)
        with_data = [read(packet) for packet in sent if packet.flags & (DATA | END)]
        wanted = [each["header"] for each in expected if each["header"]["type"]]
        assert [(p["type"], p["seq"], p["payloadLength"]) for p in with_data] == [
            (p["type"], p["seq"], p["payloadLength"]) for p in wanted
        ]
        assert max(packet.ack for packet in sent) == max(p["header"]["ack"] for p in expected)
        first = next(packet for packet in sent if packet.flags == DATA)
        data = next(each for each in expected if each["header"]["type"] == DATA)
        if data["header"]["ack"] == first.ack:
            assert encode_packet(first).hex() == data["hex"]


def acknowledgements(scenario: Entry) -> None:
    """Given the same packets, we send the very same acks."""
    answers, captured, ours = play_receiver(scenario)
    assert answers == captured
    total = scenario.get("totalBytes")
    if total is not None:
        assert len(ours.got()) == total


def wraps(scenario: Entry) -> None:
    acknowledgements(scenario)
    ours = Side(scenario, "a")
    ours.connect()
    sent: list[Packet] = []
    for entry in scenario["packets"]:
        if entry["dir"] == "a>b":
            ours.machine.write(bytes.fromhex(entry["hex"])[20:])
            sent += ours.sent(entry["ms"] / 1000)
            assert encode_packet(sent[-1]).hex() == entry["hex"]
        else:
            assert ours.feed(entry) == []
    assert not ours.machine.sender.flight.in_flight


def destroy(scenario: Entry) -> None:
    answers, captured, receiver = play_receiver(scenario)
    assert answers == captured
    (closed,) = receiver.machine.events()
    assert isinstance(closed, Closed)
    assert closed.error is not None
    assert closed.error.code == "ECONNRESET"
    sender = Side(scenario, "a")
    sender.connect()
    data, ack, last = scenario["packets"]
    sender.machine.write(bytes.fromhex(data["hex"])[20:])
    assert [encode_packet(packet).hex() for packet in sender.sent()] == [data["hex"]]
    assert sender.feed(ack) == []
    sender.machine.destroy(sender.now)
    assert [encode_packet(packet).hex() for packet in sender.sent()] == [last["hex"]]
    assert sender.sent() == []


def messages(scenario: Entry) -> None:
    answers, _, receiver = play_receiver(scenario)
    assert answers == []
    got = receiver.machine.messages()
    assert len(got) == 2
    assert b"".join(got).hex() == scenario["received"]
    sender = Side(scenario, "a")
    sender.connect()
    for message in got:
        assert sender.machine.send_message(message)
    assert [encode_packet(packet).hex() for packet in sender.sent()] == [
        entry["hex"] for entry in scenario["packets"]
    ]


def loss(scenario: Entry) -> None:
    """Besides the acks: from the real receiver's acks we learn the same holes."""
    acknowledgements(scenario)
    ours = Side(scenario, "a")
    ours.connect()
    ours.machine.write(bytes(scenario["totalBytes"]))
    sent = ours.sent()
    again: list[int] = []
    for entry in scenario["packets"]:
        if entry["dir"] == "b>a":
            fresh = ours.feed({**entry, "ms": entry["ms"] + 1})
            again += [each.seq for each in fresh if each.seq <= sent[-1].seq]
    assert again[:3] == [2, 3, 6]


def tail(scenario: Entry) -> None:
    """A silent while after the last packet, it goes again: before any timeout of a second."""
    acknowledgements({**scenario, "packets": scenario["packets"]})
    ours = Side(scenario, "a")
    ours.connect()
    for entry in scenario["packets"][:5]:
        if entry["dir"] == "a>b":
            ours.machine.write(bytes.fromhex(entry["hex"])[20:])
            (packet,) = ours.sent(entry["ms"] / 1000)
            assert encode_packet(packet).hex() == entry["hex"]
        else:
            ours.feed(entry)
    deadline = ours.machine.deadline()
    assert deadline is not None
    assert deadline < ours.now + 0.1
    ours.machine.expire(deadline)
    (probe,) = ours.sent(deadline)
    assert encode_packet(probe).hex() == scenario["packets"][5]["hex"]
    assert ours.feed(scenario["packets"][6]) == []
    assert ours.machine.deadline() is None


def heartbeat(scenario: Entry) -> None:
    acknowledgements(scenario)
    ours = Side(scenario, "a")
    ours.connect()
    ours.machine.write(bytes.fromhex(scenario["packets"][0]["hex"])[20:])
    sent = ours.sent()
    ours.feed(scenario["packets"][1])
    ours.machine.keep_alive = 0.12
    for entry in scenario["packets"][3::2]:
        deadline = ours.machine.deadline()
        assert deadline is not None
        ours.machine.expire(deadline)
        sent += ours.sent(deadline)
        assert ours.feed(entry) == []
    assert [encode_packet(packet).hex() for packet in sent] == [
        entry["hex"] for entry in scenario["packets"][::2]
    ]


def probes(scenario: Entry) -> None:
    """Our probes have the sizes and the padding of the real ones."""
    for entry in scenario["packets"]:
        check_packet(entry)
    ours = Side(scenario, "a")
    ours.connect()
    found: list[tuple[int, int, int]] = []
    seq = 0
    for number in range(60):
        ours.machine.write(bytes([number]) * 1100)
        for packet in ours.sent(number * 0.002):
            if packet.padding:
                found.append((packet.seq, packet.padding, len(packet.payload)))
                assert encode_packet(packet)[20 : 20 + packet.padding] == bytes(packet.padding)
            seq = packet.seq + 1
        answer = encode_packet(Packet(0, ours.machine.id, 4 << 20, 0, seq))
        ours.machine.receive([(memoryview(answer), len(answer))], ours.now + 0.001)
    wanted = [probe["header"] for probe in scenario["probes"]]
    assert found == [(p["seq"], p["dataOffset"], p["payloadLength"]) for p in wanted]
    assert ours.machine.sender.mtu.mtu == scenario["mtuAfter"]


def early(scenario: Entry) -> None:
    ours = Side(scenario, "b")
    data, ack = scenario["packets"]
    assert ours.feed(data) == []
    ours.connect()
    assert [read(packet) for packet in ours.sent(0.08)] == [ack["header"]]
    assert ours.got() == bytes.fromhex(data["hex"])[20:]


def relay(scenario: Entry) -> None:
    """What is passed on differs in the id alone."""
    ids = scenario["ids"]
    for sent, passed, way, id_ in (
        (scenario["left"], scenario["right"], "a>b", ids["c"]),
        (scenario["right"], scenario["left"], "b>a", ids["a"]),
    ):
        out = []
        for entry in sent:
            if entry["dir"] == way:
                check_packet(entry)
                data = bytearray.fromhex(entry["hex"])
                readdress(memoryview(data), len(data), id_)
                out.append(data.hex())
        assert out == [entry["hex"] for entry in passed if entry["dir"] == way]


def change_remote(scenario: Entry) -> None:
    ours = Side(scenario, "a")
    ours.connect()
    first = [entry for entry in scenario["firstPath"] if entry["dir"] == "a>b"]
    acks = [entry for entry in scenario["firstPath"] if entry["dir"] == "b>a"]
    second = [entry for entry in scenario["secondPath"] if entry["dir"] == "a>b"]
    ours.machine.write(bytes.fromhex(first[0]["hex"])[20:])
    assert [encode_packet(packet).hex() for packet in ours.sent()] == [first[0]["hex"]]
    ours.feed(acks[0])
    assert ours.machine.move(ours.remote_id, 0.03) == 1
    for entry in second:
        ours.machine.write(bytes.fromhex(entry["hex"])[20:])
        ((path, parts, _),) = ours.machine.transmit(0.04 + entry["ms"] / 1000)
        assert path == 1
        assert b"".join(parts).hex() == entry["hex"]


SCENARIOS = {
    "hello-and-end": hello_and_end,
    "start-sequences-and-wrap": wraps,
    "destroy": destroy,
    "unordered-messages": messages,
    "loss-and-sack": loss,
    "reorder-and-duplicate": acknowledgements,
    "tail-loss": tail,
    "heartbeat": heartbeat,
    "mtu-probes": probes,
    "data-before-connect": early,
    "relay": relay,
    "change-remote": change_remote,
}


@replays(LAYER, "scenarios")
def scenarios(entry: Entry, file: Entry) -> None:
    for part in ("packets", "left", "right", "firstPath", "secondPath"):
        for packet in entry.get(part, []):
            check_packet(packet)
    SCENARIOS[entry["name"]](entry)

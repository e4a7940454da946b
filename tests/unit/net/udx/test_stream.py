"""The machine on simulated lines, and against packets made by hand."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.errors import UsageError
from pearbox_edge.net.udx import Closed, Moved, Packet, UdxStreamMachine, decode_packet
from pearbox_edge.net.udx import encode_packet as encode
from pearbox_edge.net.udx.packet import DATA, END, HEARTBEAT, MESSAGE, SACK, difference
from pearbox_edge.net.udx.receiver import WINDOW
from tests.kit.link import Line, Wire, datagrams_of, make_wire

DATA_2_MB = random.Random(1).randbytes(2_000_000)


def feed(machine: UdxStreamMachine, packet: Packet | bytes, now: float = 0.0) -> list[Packet]:
    data = bytearray(packet if isinstance(packet, bytes) else encode(packet))
    machine.receive([(memoryview(data), max(len(data), 1))], now)
    return sent(machine, now)


def sent(machine: UdxStreamMachine, now: float = 0.0) -> list[Packet]:
    return [
        decode_packet(datagram)
        for _, parts, _ in machine.transmit(now)
        for datagram in datagrams_of([bytes(part) for part in parts])
    ]


def machine() -> UdxStreamMachine:
    made = UdxStreamMachine(1, now=0.0)
    made.connect(2, 0.0)
    return made


def packet(
    flags: int, *, seq: int = 0, ack: int = 0, window: int = WINDOW, **more: object
) -> Packet:
    return Packet(flags, 1, window, seq, ack, **more)  # type: ignore[arg-type]


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    loss=st.floats(0, 0.3),
    reorder=st.floats(0, 0.3),
    duplicate=st.floats(0, 0.3),
    jitter=st.floats(0, 0.05),
    delay=st.floats(0, 0.1),
    first=st.sampled_from([0, (1 << 32) - 20]),
    size=st.integers(0, 200_000),
)
def test_any_line_delivers_exactly_the_bytes(
    seed: int,
    loss: float,
    reorder: float,
    duplicate: float,
    jitter: float,
    delay: float,
    first: int,
    size: int,
) -> None:
    lines = [
        Line(
            seed=seed + way,
            loss=loss,
            reorder=reorder,
            duplicate=duplicate,
            jitter=jitter,
            delay=delay,
            bandwidth=2e6,
        )
        for way in (0, 1)
    ]
    wire = make_wire(*lines, first=first)
    data = random.Random(seed).randbytes(size)
    # With 30 % lost each way seven timeouts in a row are rare, and then giving up is right.
    wire.left.write(data)
    wire.left.end()
    wire.right.end()
    wire.run(lambda: wire.left.is_closed and wire.right.is_closed, seconds=600)
    if wire.right.error is None:
        assert wire.right_got == data
    else:
        assert loss > 0.2
        assert data.startswith(bytes(wire.right_got))


def test_one_percent_of_loss_costs_little() -> None:
    line = Line(seed=3, loss=0.01, bandwidth=20e6, queue=1 << 20)
    assert make_wire(line).transfer(DATA_2_MB) < 0.35
    assert make_wire(Line(bandwidth=20e6, queue=1 << 20)).transfer(DATA_2_MB) < 0.3


def test_a_reordering_line_is_not_taken_for_a_losing_one() -> None:
    wire = make_wire(Line(seed=3, reorder=0.1, bandwidth=20e6, queue=1 << 20))
    assert wire.transfer(DATA_2_MB) < 0.4
    assert wire.left.sender.retransmits < 60


def test_what_is_lost_is_sent_again_and_hardly_more() -> None:
    line = Line(seed=3, loss=0.05, bandwidth=20e6, queue=1 << 20)
    wire = make_wire(line)
    wire.transfer(DATA_2_MB)
    assert line.lost <= wire.left.sender.retransmits <= line.lost * 1.2 + 5


def test_a_long_line_is_filled_without_filling_its_queue() -> None:
    line = Line(delay=0.05, bandwidth=5e6, queue=4 << 20)
    wire = make_wire(line)
    assert wire.transfer(DATA_2_MB * 5) < 3.4
    assert wire.left.sender.retransmits == 0


def test_two_streams_share_a_line_fairly() -> None:
    line = Line(seed=1, bandwidth=4e6, queue=256 << 10)
    wires = [make_wire(Line(seed=n), phase=2 * n) for n in range(2)]
    got = [0, 0]
    back = [Line(seed=5), Line(seed=6)]
    for wire in wires:
        wire.left.write(bytes(30_000_000))
    now = 0.0
    while now < 4.0:
        for index, wire in enumerate(wires):
            for _, parts, _ in wire.left.transmit(now):
                for datagram in datagrams_of([bytes(part) for part in parts]):
                    line.send(bytes([index]) + datagram, now)
            for _, parts, _ in wire.right.transmit(now):
                for datagram in datagrams_of([bytes(part) for part in parts]):
                    back[index].send(datagram, now)
        now += 0.0005
        for marked in line.due(now):
            view = memoryview(bytearray(marked[1:]))
            wires[marked[0]].right.receive([(view, len(view))], now)
        for index, wire in enumerate(wires):
            while data := wire.right.read():
                got[index] += len(data) if now > 1.0 else 0
            for datagram in back[index].due(now):
                view = memoryview(bytearray(datagram))
                wire.left.receive([(view, len(view))], now)
            deadline = wire.left.deadline()
            if deadline is not None and deadline <= now:
                wire.left.expire(now)
    assert sum(got) > 0.75 * 3.0 * 4e6
    assert max(got) < 2.5 * min(got)


@settings(max_examples=10)
@given(st.integers(0, 999), st.integers(2000, 200_000), st.floats(0, 0.1))
def test_no_more_is_under_way_than_the_window_allows(seed: int, window: int, loss: float) -> None:
    """The other end says `window` in every packet; bytes past what it acked stay below it."""
    wire = make_wire(Line(seed=seed, loss=loss))
    sizes: dict[int, int] = {}
    left = wire.left
    left.sender.window = window

    def look(datagram: bytes, now: float) -> None:
        found = decode_packet(datagram)
        if found.flags & DATA:
            sizes[found.seq] = len(found.payload)
            acked = left.sender.flight.acked
            assert sum(size for seq, size in sizes.items() if seq >= acked) <= window

    wire.on_sent = look
    wire.right.receiver.take_window = lambda: window  # type: ignore[method-assign]
    wire.left.write(bytes(300_000))
    assert wire.run(lambda: len(wire.right_got) == 300_000)


def test_a_reader_that_sleeps_stops_the_sender_and_goes_on_later() -> None:
    wire = make_wire(Line(delay=0.005))
    wire.reads = False
    wire.left.write(DATA_2_MB * 4)
    wire.run(seconds=20)
    assert not wire.left.is_closed
    assert wire.left.unsent > 0
    assert wire.flags[HEARTBEAT] > 3
    assert wire.right.receiver.dropped == 0
    wire.reads = True
    assert wire.run(lambda: wire.right_got == DATA_2_MB * 4, seconds=20)


@pytest.mark.parametrize("busy", [True, False])
def test_a_dead_peer_times_out(busy: bool) -> None:
    wire = make_wire()
    wire.left.write(b"hello")
    assert wire.run(lambda: wire.right_got == b"hello")
    wire.run(seconds=1)
    wire.there.is_cut = wire.back.is_cut = True
    start = wire.now
    if busy:
        wire.left.write(b"anybody?")
    else:
        wire.left.keep_alive = 2.0
    assert wire.run(lambda: wire.has("left", Closed), seconds=60)
    assert wire.left.error is not None
    assert wire.left.error.code == "ETIMEDOUT"
    assert wire.now - start == pytest.approx(13 if busy else 16, abs=1)


def test_an_outage_of_some_seconds_is_survived() -> None:
    wire = make_wire(Line(bandwidth=2e6))
    wire.left.write(DATA_2_MB)
    wire.run(lambda: len(wire.right_got) > 500_000)
    wire.there.is_cut = wire.back.is_cut = True
    wire.run(seconds=8)
    wire.there.is_cut = wire.back.is_cut = False
    assert wire.run(lambda: wire.right_got == DATA_2_MB, seconds=10)


def test_the_path_mtu_is_found() -> None:
    for mtu, found in ((1500, 1500), (1400, 1392), (1200, 1200)):
        wire = make_wire(Line(mtu=mtu, delay=0.005, bandwidth=5e6))
        wire.transfer(DATA_2_MB)
        assert wire.left.sender.mtu.mtu == found


def test_each_way_ends_for_itself() -> None:
    wire = make_wire()
    wire.left.end()
    wire.run(seconds=1)
    assert not wire.left.is_closed
    wire.right.write(b"still here")
    wire.right.end()
    assert wire.run(lambda: wire.left.is_closed and wire.right.is_closed, seconds=1)
    assert wire.left_got == b"still here"
    assert wire.events["left"][-1] == wire.events["right"][-1] == Closed(None)


def test_a_move_goes_on_where_it_was() -> None:
    wire = make_wire(Line(bandwidth=2e6))
    wire.left.write(DATA_2_MB)
    wire.run(lambda: len(wire.right_got) > 500_000)
    assert wire.left.move(2, wire.now) == 1
    assert wire.run(lambda: wire.right_got == DATA_2_MB, seconds=5)
    assert Moved(1) in wire.events["left"]


def test_messages_overtake_and_cost_no_number() -> None:
    one = machine()
    assert one.send_message(b"first")
    one.write(b"data")
    found = sent(one)
    assert [(each.flags, each.seq, bytes(each.payload)) for each in found] == [
        (MESSAGE, 0, b"first"),
        (DATA, 0, b"data"),
    ]
    assert feed(one, packet(MESSAGE, seq=9, payload=b"theirs")) == []
    assert one.messages() == [b"theirs"]
    with pytest.raises(UsageError):
        one.send_message(bytes(1200))


def test_absurd_acks_are_ignored() -> None:
    one = machine()
    one.write(bytes(5000))
    sent(one)
    for ack in (6, 1000, 1 << 31, (1 << 32) - 1):
        feed(one, packet(0, ack=ack, window=7))
        feed(one, packet(SACK, ack=0, sacks=((ack, ack + 9 & 0xFFFFFFFF), (3, 3), (4, 2))))
    assert one.sender.flight.acked == 0
    assert one.sender.flight.in_flight == 5
    assert one.sender.window == WINDOW


def test_a_heartbeat_is_answered_and_its_window_ignored() -> None:
    one = machine()
    (answer,) = feed(one, packet(HEARTBEAT, window=1))
    assert answer.flags == 0
    assert one.sender.window == WINDOW


def test_a_reset_from_before_is_ignored() -> None:
    one = machine()
    feed(one, packet(DATA, payload=b"x"))
    feed(one, packet(16, seq=0))
    assert not one.is_closed
    feed(one, packet(16, seq=1))
    assert one.is_closed


def test_a_whole_run_and_single_packets_are_the_same() -> None:
    size = 20 + 10
    run = [encode(packet(DATA, seq=seq, payload=bytes([seq]) * 10)) for seq in range(5)]
    tail = encode(packet(DATA | END, seq=5, payload=b"end"))
    whole, apart = machine(), machine()
    whole.receive([(memoryview(bytearray(b"".join([*run, tail]))), size)], 0.0)
    for each in [*run, tail]:
        feed(apart, each)
    assert whole.read() == apart.read() + b"".join(iter(apart.read, b""))
    assert sent(whole)[-1].ack == 6


def test_a_run_that_fills_a_hole_does_not_count_what_was_there() -> None:
    one = machine()
    feed(one, packet(DATA, seq=2, payload=b"2" * 10))
    run = [encode(packet(DATA, seq=seq, payload=b"%d" % seq * 10)) for seq in range(5)]
    one.receive([(memoryview(bytearray(b"".join(run))), 30)], 0.0)
    assert one.read() == b"0" * 10 + b"1" * 10 + b"2" * 10 + b"3" * 10 + b"4" * 10


def test_used_wrongly_it_says_so() -> None:
    idle = UdxStreamMachine(1, now=0.0)
    with pytest.raises(UsageError):
        idle.move(3, 0.0)
    idle.connect(2, 0.0)
    with pytest.raises(UsageError):
        idle.connect(2, 0.0)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 63),
            st.integers(0, 255),
            st.integers(0, 12) | st.integers(0, (1 << 32) - 1),
            st.integers(0, 12) | st.integers(0, (1 << 32) - 1),
            st.integers(0, 1 << 23),
            st.binary(max_size=30),
        ),
        max_size=20,
    ),
    st.integers(20, 60),
)
def test_any_packets_give_events_or_nothing(
    packets: list[tuple[int, int, int, int, int, bytes]], size: int
) -> None:
    """Nothing that arrives raises; the answer is never more than three times what came."""
    one = machine()
    one.write(bytes(3000))
    sent(one)
    for flags, offset, seq, ack, window, body in packets:
        data = bytearray(encode(packet(flags & ~SACK, seq=seq, ack=ack, window=window)) + body)
        data[2], data[3] = flags, offset
        one.receive([(memoryview(data), size)], 0.0)
        one.transmit(0.0)
    assert difference(one.sender.flight.next, 0) >= 3
    for _ in range(20):
        deadline = one.deadline()
        if deadline is None:
            break
        one.expire(deadline)
        one.transmit(deadline)


@given(st.binary(max_size=200), st.integers(1, 100))
def test_any_bytes_are_taken(data: bytes, size: int) -> None:
    one = machine()
    one.receive([(memoryview(bytearray(b"\xff\x01" + data)), size)], 0.0)
    one.transmit(0.0)


def test_wires_end_when_nothing_is_left_to_do() -> None:
    wire = Wire(UdxStreamMachine(1, now=0.0), UdxStreamMachine(2, now=0.0))
    wire.connect()
    assert not wire.run(seconds=5)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.net.mux import MuxMachine, RemoteOpen
from pearbox_edge.net.mux.machine import EARLY_COST, MAX_CHANNELS, MAX_EARLY, MAX_UNDECIDED
from pearbox_edge.net.mux.messages import encode_open
from tests.kit.mux import RecordingHandler


def open_frame(number: int, protocol: str = "demo", id_: bytes | None = None) -> memoryview:
    return memoryview(b"\0\1" + encode_open(number, protocol, id_, b""))


def carry(sender: MuxMachine, receiver: MuxMachine) -> int:
    messages = sender.transmit()
    for message in messages:
        receiver.receive(memoryview(bytearray().join(message)))
    receiver.deliver()
    return len(messages)


def settle(mux: MuxMachine) -> None:
    for wanted in mux.events():
        mux.settle(wanted.protocol, wanted.id)


def exchange(left: MuxMachine, right: MuxMachine) -> None:
    """Carry frames until nothing moves; what nobody opens is rejected."""
    while carry(left, right) + carry(right, left):
        settle(left)
        settle(right)


def pair() -> tuple[MuxMachine, MuxMachine]:
    return MuxMachine(), MuxMachine()


def test_channel_opens_when_both_sides_asked_for_it() -> None:
    left, right = pair()
    ours, theirs = RecordingHandler(), RecordingHandler()
    channel = left.open("demo", b"id", ours, handshake=b"ours")
    right.open("demo", b"id", theirs, handshake=b"theirs")
    assert not channel.opened
    exchange(left, right)
    assert channel.opened
    assert ours.log == [("open", b"theirs")]
    assert theirs.log == [("open", b"ours")]


def test_same_protocol_with_another_id_is_another_channel() -> None:
    left, right = pair()
    left.open("demo", b"one", RecordingHandler())
    handler = RecordingHandler()
    right.open("demo", b"two", handler)
    exchange(left, right)
    assert handler.log == [("close",)]


def test_messages_may_be_sent_before_the_answer() -> None:
    left, right = pair()
    channel = left.open("demo", None, RecordingHandler())
    channel.send(3, b"ear", b"ly")
    theirs = RecordingHandler()
    right.open("demo", None, theirs)
    exchange(left, right)
    assert theirs.log == [("open", b""), (3, b"early")]


def test_wanted_channel_that_is_not_opened_is_rejected() -> None:
    left, right = pair()
    ours = RecordingHandler()
    channel = left.open("demo", b"id", ours)
    carry(left, right)
    assert right.events() == [RemoteOpen("demo", b"id")]
    right.settle("demo", b"id")
    carry(right, left)
    assert ours.log == [("close",)]
    assert channel.closed_by_remote
    assert not left.is_open("demo", b"id")


def test_wanted_channel_can_be_opened_on_demand() -> None:
    left, right = pair()
    channel = left.open("demo", None, RecordingHandler())
    channel.send(0, b"early")
    carry(left, right)
    theirs = RecordingHandler()
    right.open("demo", None, theirs)
    assert theirs.log == []
    settle(right)
    right.deliver()
    assert theirs.log == [("open", b""), (0, b"early")]


def test_early_messages_of_a_channel_closed_meanwhile_are_still_delivered() -> None:
    left, right = pair()
    channel = left.open("demo", None, RecordingHandler())
    channel.send(0, b"early")
    channel.close()
    carry(left, right)
    theirs = RecordingHandler()
    right.open("demo", None, theirs)
    settle(right)
    exchange(left, right)
    assert theirs.log == [("open", b""), (0, b"early"), ("close",)]
    again = RecordingHandler()
    left.open("demo", None, RecordingHandler())
    right.open("demo", None, again)
    exchange(left, right)
    assert again.log == [("open", b"")]


def test_open_taken_back_and_rejected_frees_its_number() -> None:
    left, right = pair()
    left.open("demo", None, RecordingHandler()).close()
    exchange(left, right)
    assert left.open("other", None, RecordingHandler()).number == 1


def test_number_of_an_unanswered_open_is_not_used_again() -> None:
    left, _ = pair()
    left.open("demo", None, RecordingHandler()).close()
    assert left.open("other", None, RecordingHandler()).number == 2


def test_last_freed_number_is_used_first() -> None:
    left, right = pair()
    channels = []
    for name in "abc":
        channels.append(left.open(name, None, RecordingHandler()))
        right.open(name, None, RecordingHandler())
    exchange(left, right)
    channels[0].close()
    channels[1].close()
    exchange(left, right)
    numbers = [left.open(name, None, RecordingHandler()).number for name in "def"]
    assert numbers == [2, 1, 4]


def test_close_ends_both_sides_and_later_messages_are_dropped() -> None:
    left, right = pair()
    ours, theirs = RecordingHandler(), RecordingHandler()
    channel = left.open("demo", None, ours)
    other = right.open("demo", None, theirs)
    exchange(left, right)
    other.send(0, b"crossing")
    channel.close()
    exchange(left, right)
    assert ours.log == [("open", b""), ("close",)]
    assert theirs.log == [("open", b""), ("close",)]
    assert (channel.closed_by_remote, other.closed_by_remote) == (False, True)
    other.send(0, b"too late")
    other.close()
    assert right.transmit() == []


def test_both_sides_may_close_at_once_and_open_again() -> None:
    left, right = pair()
    for _ in range(3):
        handlers = RecordingHandler(), RecordingHandler()
        channels = [
            mux.open("demo", None, handler)
            for mux, handler in zip((left, right), handlers, strict=True)
        ]
        exchange(left, right)
        assert [channel.number for channel in channels] == [1, 1]
        for channel in channels:
            channel.close()
        exchange(left, right)
        assert handlers[0].log == handlers[1].log == [("open", b""), ("close",)]


def test_second_channel_for_the_same_is_our_mistake_unless_asked_for() -> None:
    left, _ = pair()
    left.open("demo", None, RecordingHandler())
    with pytest.raises(UsageError):
        left.open("demo", None, RecordingHandler())
    left.open("demo", None, RecordingHandler(), unique=False)


def test_alias_is_the_same_protocol() -> None:
    left, right = pair()
    right.alias("hypercore", "hypercore/alpha")
    ours, theirs = RecordingHandler(), RecordingHandler()
    left.open("hypercore", b"id", ours)
    right.open("hypercore/alpha", b"id", theirs)
    carry(left, right)
    assert theirs.log == [("open", b"")]
    assert right.is_open("hypercore", b"id")


def test_wanted_alias_is_asked_for_by_the_real_name() -> None:
    left, right = pair()
    right.alias("hypercore", "hypercore/alpha")
    left.open("hypercore", b"id", RecordingHandler())
    carry(left, right)
    assert right.events() == [RemoteOpen("hypercore/alpha", b"id")]


@pytest.mark.parametrize(
    "frame",
    [
        open_frame(2),
        open_frame(0),
        memoryview(b"\0\2\1"),
        memoryview(b"\0\2\0"),
        memoryview(b"\1"),
        memoryview(b"\0\1\1\4de"),
    ],
)
def test_broken_rule_is_refused(frame: memoryview) -> None:
    with pytest.raises(PeerError):
        MuxMachine().receive(frame)


def test_number_in_use_is_refused() -> None:
    mux = MuxMachine()
    mux.receive(open_frame(1))
    with pytest.raises(PeerError):
        mux.receive(open_frame(1, "other"))


@pytest.mark.parametrize("frame", [b"", b"\0\x09\1\2", b"\0\3\5", b"\0\3\0", b"\x05\0hello"])
def test_what_may_be_on_its_way_is_ignored(frame: bytes) -> None:
    mux = MuxMachine()
    mux.receive(memoryview(frame))
    assert mux.transmit() == []
    assert mux.events() == []


def test_early_bytes_congest_until_they_are_decided_on() -> None:
    mux = MuxMachine()
    mux.receive(open_frame(1))
    for _ in range(MAX_EARLY // (EARLY_COST + 1) + 1):
        assert not mux.is_congested
        mux.receive(memoryview(b"\1\0x"))
    assert mux.is_congested
    settle(mux)
    assert not mux.is_congested


def test_many_undecided_opens_congest() -> None:
    mux = MuxMachine()
    for number in range(1, MAX_UNDECIDED + 2):
        assert not mux.is_congested
        mux.receive(open_frame(number, id_=b"%d" % number))
    assert mux.is_congested
    settle(mux)
    assert not mux.is_congested


def test_other_side_may_use_only_so_many_numbers() -> None:
    mux = MuxMachine()
    for number in range(1, MAX_CHANNELS + 1):
        mux.receive(open_frame(number, id_=b"%d" % number))
    with pytest.raises(PeerError):
        mux.receive(open_frame(MAX_CHANNELS + 1))


def test_own_numbers_run_out_as_well() -> None:
    mux = MuxMachine()
    for number in range(MAX_CHANNELS):
        mux.open("demo", b"%d" % number, RecordingHandler())
    with pytest.raises(UnavailableError):
        mux.open("demo", None, RecordingHandler())


def test_end_closes_every_channel_once() -> None:
    mux = MuxMachine()
    handlers = [RecordingHandler() for _ in range(3)]
    channels = [mux.open("demo", b"%d" % n, handler) for n, handler in enumerate(handlers)]
    channels[0].close()
    mux.end()
    mux.end()
    assert [handler.log for handler in handlers] == [[("close",)]] * 3
    assert [channel.closed_by_remote for channel in channels] == [False, True, True]
    with pytest.raises(UnavailableError):
        mux.open("demo", None, RecordingHandler())


def test_handler_may_close_while_early_messages_are_delivered() -> None:
    left, right = pair()
    channel = left.open("demo", None, RecordingHandler())
    for _ in range(3):
        channel.send(0, b"early")
    carry(left, right)
    theirs = RecordingHandler(lambda kind, body: other.close())
    other = right.open("demo", None, theirs)
    right.deliver()
    assert theirs.log == [("open", b""), (0, b"early"), ("close",)]


def test_fault_of_a_handler_reaches_whoever_feeds_the_mux() -> None:
    def refuse(kind: int, body: bytes) -> None:
        raise PeerError("no")

    left, right = pair()
    left.open("demo", None, RecordingHandler()).send(0, b"x")
    right.open("demo", None, RecordingHandler(refuse))
    with pytest.raises(PeerError, match="no"):
        carry(left, right)


def test_wake_is_called_once_until_the_next_transmit() -> None:
    calls: list[None] = []
    mux = MuxMachine(lambda: calls.append(None))
    channel = mux.open("demo", None, RecordingHandler())
    channel.send(0, b"x")
    assert len(calls) == 1
    mux.transmit()
    channel.send(0, b"x")
    assert len(calls) == 2


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_frames_are_taken_or_refused(frames: list[bytes]) -> None:
    mux = MuxMachine()
    mux.open("demo", None, RecordingHandler())
    try:
        for frame in frames:
            mux.receive(memoryview(frame))
            mux.deliver()
            settle(mux)
    except PeerError:
        mux.end()
    mux.transmit()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "send", "carry"]), st.booleans(), st.integers(0, 2)
    ),
    max_size=60,
)


@given(STEPS)
def test_any_order_of_opening_and_closing_keeps_both_sides_in_step(
    steps: list[tuple[str, bool, int]],
) -> None:
    """Whatever crosses on the wire: no side breaks a rule, and in the end all numbers are free."""
    sides = pair()
    for step, is_left, name in steps:
        mux, other = sides if is_left else sides[::-1]
        channels = [c for c in mux._local if c is not None and c.id == b"%d" % name]
        if step == "open" and not channels:
            mux.open("demo", b"%d" % name, RecordingHandler())
        elif step == "close" and channels:
            channels[0].close()
        elif step == "send" and channels:
            channels[0].send(0, b"x")
        elif step == "carry":
            carry(mux, other)
            settle(other)
    exchange(*sides)
    for mux in sides:
        for channel in list(mux._local):
            if channel is not None:
                channel.close()
    exchange(*sides)
    for mux in sides:
        assert sorted(mux._free) == list(range(1, len(mux._local) + 1))
        assert mux._pairings == {}
        assert not any(mux._remote)
        assert mux._early == mux._undecided == 0

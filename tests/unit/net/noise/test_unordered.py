import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.net.noise import UnorderedBox
from tests.kit.net import seeded_bytes

HASH = bytes(range(64))


def boxes() -> tuple[UnorderedBox, UnorderedBox]:
    return (
        UnorderedBox(HASH, is_initiator=True, random_bytes=seeded_bytes(1)),
        UnorderedBox(HASH, is_initiator=False, random_bytes=seeded_bytes(2)),
    )


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_datagrams_open_in_any_order(payloads: list[bytes]) -> None:
    sender, receiver = boxes()
    sealed = [(sender.seal(payload), payload) for payload in payloads]
    for message, payload in reversed(sealed):
        assert receiver.open(message) == payload


def test_counter_wraps_around_and_stops_where_it_began() -> None:
    box = UnorderedBox(HASH, is_initiator=True, random_bytes=lambda size: b"\xff" * size)
    assert box.seal(b"")[:8] == bytes(8)
    box._counter = box._first - 1
    with pytest.raises(UnavailableError):
        box.seal(b"")


def test_own_datagram_does_not_open() -> None:
    sender, _ = boxes()
    with pytest.raises(PeerError):
        sender.open(sender.seal(b"hello"))


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        boxes()[1].open(data)


@given(st.integers(0, 28))
def test_cut_datagram_is_refused(size: int) -> None:
    sender, receiver = boxes()
    with pytest.raises(PeerError):
        receiver.open(sender.seal(b"hello")[:size])

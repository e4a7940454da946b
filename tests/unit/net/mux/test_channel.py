from pearbox_edge.net.mux.channel import Channel, Pairing
from pearbox_edge.wire import Buffer
from tests.kit.mux import RecordingHandler


class Owner:
    """A mux that only writes down what its channel asks for."""

    def __init__(self) -> None:
        self.log: list[object] = []

    def send(self, channel: Channel, kind: int, body: tuple[Buffer, ...]) -> None:
        self.log.append((kind, body))

    def close(self, channel: Channel) -> None:
        channel.closed = True
        self.log.append("close")


def made() -> tuple[Owner, Channel]:
    owner = Owner()
    return owner, Channel(owner, "demo", None, RecordingHandler(), 1, Pairing(("demo", None)))


def test_parts_of_a_message_are_handed_on_as_they_are() -> None:
    owner, channel = made()
    block = bytes(100)
    channel.send(5, b"head", block)
    assert owner.log == [(5, (b"head", block))]


def test_closed_channel_asks_for_nothing_more() -> None:
    owner, channel = made()
    channel.close()
    channel.close()
    channel.send(0, b"x")
    assert owner.log == ["close"]


def test_new_channel_is_neither_opened_nor_closed() -> None:
    _, channel = made()
    assert not channel.opened
    assert not channel.closed
    assert not channel.closed_by_remote

"""Side messages on a core: who listens to a name is told, the rest is dropped."""

import pytest

from pearbox_edge.data.core import Extensions
from pearbox_edge.errors import UsageError


def test_a_message_reaches_who_listens_to_its_name() -> None:
    heard: list[tuple[bytes, object]] = []
    extensions = Extensions()
    extension = extensions.register("test", lambda payload, peer: heard.append((payload, peer)))
    extensions.deliver("test", b"one", 1)
    extensions.deliver("else", b"two", 1)
    assert heard == [(b"one", 1)]
    extension.close()
    extensions.deliver("test", b"three", 1)
    assert len(heard) == 1


def test_messages_go_to_all_peers_or_to_one() -> None:
    sent: list[tuple[str, bytes, object | None]] = []
    extensions = Extensions()
    extension = extensions.register("test")
    extension.broadcast(b"nobody is connected")
    extensions.outlet = lambda name, payload, peer: sent.append((name, payload, peer))
    extension.broadcast(b"all")
    extension.send(b"one", 7)
    assert sent == [("test", b"all", None), ("test", b"one", 7)]


def test_who_listened_before_listens_no_more_and_cannot_stop_the_next() -> None:
    heard: list[bytes] = []
    extensions = Extensions()
    first = extensions.register("test")
    extensions.register("test", lambda payload, _: heard.append(payload))
    first.close()
    extensions.deliver("test", b"news", None)
    assert heard == [b"news"]


def test_a_name_is_needed() -> None:
    with pytest.raises(UsageError):
        Extensions().register("")

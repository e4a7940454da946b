import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.replication.extension import MAX_PAYLOAD, MAX_WAITING, ExtensionStream
from pearbox_edge.data.replication.messages import ExtensionMessage, decode_extension
from pearbox_edge.errors import PeerError
from tests.kit.replication import BLOCKS, connected, copy_of, filled, make_store, settle


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=9)), max_size=9))
def test_what_is_said_is_heard_with_its_name(messages: list[tuple[str, bytes]]) -> None:
    one, two = ExtensionStream(), ExtensionStream()
    for name, payload in messages:
        two.receive(decode_extension(b"".join(one.encode(name, payload))))
    assert two.take() == messages
    assert two.take() == []


def test_a_name_said_again_is_left_out() -> None:
    stream = ExtensionStream()
    assert b"".join(stream.encode("hyperbee", b"x")) == b"\x08hyperbeex"
    assert b"".join(stream.encode("hyperbee", b"y")) == b"\x00y"


def test_a_first_message_without_a_name_is_refused() -> None:
    with pytest.raises(PeerError):
        ExtensionStream().receive(ExtensionMessage("", b"x"))


def test_a_message_that_is_too_long_is_refused() -> None:
    with pytest.raises(PeerError):
        ExtensionStream().receive(ExtensionMessage("x", bytes(MAX_PAYLOAD + 1)))


def test_no_more_wait_than_a_cap() -> None:
    stream = ExtensionStream()
    for _ in range(MAX_WAITING + 9):
        stream.receive(ExtensionMessage("x", b""))
    assert len(stream.take()) == MAX_WAITING


async def test_side_messages_go_to_all_and_are_answered_to_one() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS[:3])
        copies = [await copy_of(store, core) for store in (two, three)]
        answers: list[bytes] = []
        asking = core.extensions.register("test", lambda payload, _: answers.append(payload))
        left = copies[0].extensions.register(
            "test", lambda payload, peer: left.send(payload + b"!", peer)
        )
        right = copies[1].extensions.register(
            "test", lambda payload, peer: right.send(payload + b"?", peer)
        )
        async with connected(one, two), connected(one, three, b"2"):
            await settle()
            asking.broadcast(b"who")
            await settle()
            assert sorted(answers) == [b"who!", b"who?"]

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.net.dht.answers import PassOn, Value
from pearbox_edge.net.dht.messages import (
    Command,
    Mode,
    PassedHandshake,
    PassedHolepunch,
    decode_handshake,
    decode_holepunch,
    encode_handshake,
    encode_holepunch,
)
from pearbox_edge.net.dht.router import (
    ROUTE_AGE,
    Route,
    Router,
    reply_to_handshake,
    reply_to_holepunch,
)
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address
from tests.kit.dht import ASKER, HANDSHAKES, HOLEPUNCHES, question

TARGET = bytes(range(32))
SERVER = Address("10.0.0.2", 6000)
RELAY = Address("10.0.0.3", 7000)
CLIENT = Address("10.0.0.4", 8000)
NOISE = b"message 1"


def router() -> Router:
    found = Router()
    found.set(TARGET, Route(SERVER, b"record"), 0.0)
    return found


def handshake(
    mode: Mode, peer: Address | None = None, relay: Address | None = None, noise: bytes = NOISE
) -> IncomingRequest:
    message = PassedHandshake(mode, noise, peer, relay)
    return question(Command.PEER_HANDSHAKE, TARGET, encode_handshake(message))


def holepunch(mode: Mode, peer: Address | None = None) -> IncomingRequest:
    message = PassedHolepunch(mode, 3, b"box", peer)
    return question(Command.PEER_HOLEPUNCH, TARGET, encode_holepunch(message))


def test_a_clients_message_goes_to_where_the_server_announced_itself_from() -> None:
    answer = router().pass_handshake(handshake(Mode.FROM_CLIENT), 1.0)
    expected = encode_handshake(PassedHandshake(Mode.FROM_RELAY, NOISE, ASKER))
    assert answer == PassOn(expected, SERVER)


def test_a_client_may_name_the_relay_itself() -> None:
    answer = Router().pass_handshake(handshake(Mode.FROM_CLIENT, relay=RELAY), 1.0)
    assert isinstance(answer, PassOn) and answer.to == RELAY


def test_without_a_route_a_client_gets_closer_nodes_and_others_silence() -> None:
    assert Router().pass_handshake(handshake(Mode.FROM_CLIENT), 1.0) == Value(token=False)
    assert Router().pass_handshake(handshake(Mode.FROM_RELAY, CLIENT), 1.0) is None
    assert Router().pass_holepunch(holepunch(Mode.FROM_CLIENT), 1.0) is None


def test_a_second_relay_passes_on_who_the_first_one_was() -> None:
    answer = router().pass_handshake(handshake(Mode.FROM_RELAY, CLIENT), 1.0)
    expected = PassedHandshake(Mode.FROM_SECOND_RELAY, NOISE, CLIENT, ASKER)
    assert answer == PassOn(encode_handshake(expected), SERVER)


def test_the_servers_message_goes_to_the_client_as_an_answer() -> None:
    answer = Router().pass_handshake(handshake(Mode.FROM_SERVER, CLIENT), 1.0)
    assert isinstance(answer, Value) and answer.to == CLIENT
    assert not answer.token and not answer.closer
    assert decode_handshake(answer.value or b"") == PassedHandshake(Mode.REPLY, NOISE, ASKER)


def test_messages_without_noise_or_with_another_mode_get_silence() -> None:
    assert router().pass_handshake(handshake(Mode.FROM_CLIENT, noise=b""), 1.0) is None
    assert router().pass_handshake(handshake(Mode.FROM_SECOND_RELAY), 1.0) is None
    assert router().pass_handshake(handshake(Mode.FROM_SERVER), 1.0) is None
    assert router().pass_holepunch(holepunch(Mode.FROM_SERVER), 1.0) is None
    assert router().pass_holepunch(holepunch(Mode.REPLY), 1.0) is None


@pytest.mark.parametrize("host", ["255.255.255.255", "224.0.0.1", "0.0.0.0"])
def test_nothing_is_passed_on_to_a_whole_network(host: str) -> None:
    crowd = Address(host, 5)
    assert Router().pass_handshake(handshake(Mode.FROM_CLIENT, relay=crowd), 1.0) is None
    assert Router().pass_handshake(handshake(Mode.FROM_SERVER, crowd), 1.0) is None
    assert Router().pass_holepunch(holepunch(Mode.FROM_CLIENT, crowd), 1.0) is None
    assert Router().pass_holepunch(holepunch(Mode.FROM_SERVER, crowd), 1.0) is None


def test_a_route_is_forgotten_when_it_is_old_or_deleted() -> None:
    known = router()
    assert known.get(TARGET, ROUTE_AGE - 1) is not None
    assert known.get(TARGET, ROUTE_AGE) is None
    known.delete(TARGET)
    assert known.get(TARGET, 1.0) is None and len(known) == 0


def test_hole_punch_messages_take_the_same_way() -> None:
    there = router().pass_holepunch(holepunch(Mode.FROM_CLIENT), 1.0)
    assert isinstance(there, PassOn) and there.to == SERVER
    assert decode_holepunch(there.value) == PassedHolepunch(Mode.FROM_RELAY, 3, b"box", ASKER)
    named = router().pass_holepunch(holepunch(Mode.FROM_CLIENT, RELAY), 1.0)
    assert isinstance(named, PassOn) and named.to == RELAY
    back = router().pass_holepunch(holepunch(Mode.FROM_SERVER, CLIENT), 1.0)
    assert isinstance(back, Value) and back.to == CLIENT and back.value is not None
    assert decode_holepunch(back.value) == PassedHolepunch(Mode.REPLY, 3, b"box", ASKER)


def test_a_server_answers_by_the_way_the_question_came() -> None:
    direct = reply_to_handshake(handshake(Mode.FROM_CLIENT), b"message 2", socket=1)
    assert isinstance(direct, Value) and direct.to is None and direct.socket == 1
    assert decode_handshake(direct.value or b"") == PassedHandshake(Mode.REPLY, b"message 2")
    relayed = reply_to_handshake(handshake(Mode.FROM_RELAY, CLIENT), b"message 2")
    passed = encode_handshake(PassedHandshake(Mode.FROM_SERVER, b"message 2", CLIENT))
    assert relayed == PassOn(passed, ASKER)
    second = reply_to_handshake(handshake(Mode.FROM_SECOND_RELAY, CLIENT, RELAY), b"message 2")
    assert second == PassOn(passed, RELAY)
    assert reply_to_handshake(handshake(Mode.FROM_SECOND_RELAY, CLIENT), b"message 2") is None
    assert reply_to_handshake(handshake(Mode.REPLY), b"message 2") is None


def test_a_server_answers_hole_punch_messages_of_relays_alone() -> None:
    answer = reply_to_holepunch(holepunch(Mode.FROM_RELAY, CLIENT), b"answer")
    expected = encode_holepunch(PassedHolepunch(Mode.FROM_SERVER, 0, b"answer", CLIENT))
    assert answer == PassOn(expected, ASKER)
    assert reply_to_holepunch(holepunch(Mode.FROM_RELAY), b"answer") is None
    assert reply_to_holepunch(holepunch(Mode.FROM_CLIENT, CLIENT), b"answer") is None


@given(HANDSHAKES, HOLEPUNCHES, st.binary(max_size=60))
def test_whatever_comes_is_passed_on_once_little_larger_or_refused(
    first: PassedHandshake, second: PassedHolepunch, noise: bytes
) -> None:
    known = router()
    for value in (encode_handshake(first), encode_holepunch(second), noise):
        for way in (known.pass_handshake, known.pass_holepunch):
            try:
                answer = way(question(0, TARGET, value), 1.0)
            except PeerError:
                continue
            assert answer is None or isinstance(answer, PassOn | Value)
            if answer is not None:
                assert len(answer.value or b"") <= len(value) + 12

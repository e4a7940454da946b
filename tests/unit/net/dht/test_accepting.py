from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.dht.accepting import ATTEMPT_AGE, MAX_ATTEMPTS, Acceptor, Attempt
from pearbox_edge.net.dht.answers import Answer, PassOn, Value
from pearbox_edge.net.dht.handshake import PeerHandshake
from pearbox_edge.net.dht.messages import (
    ABORTED,
    Command,
    Firewall,
    Mode,
    PassedHandshake,
    decode_handshake,
    encode_handshake,
)
from pearbox_edge.net.dht.payloads import NoisePayload, UdxInfo
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address
from tests.kit.dht import ASKER, question

SERVER = KeyPair.from_seed(bytes(31) + b"s")
CLIENT = KeyPair.from_seed(bytes(31) + b"c")
PEER = Address("10.0.0.4", 8000)
RELAY = Address("10.0.0.3", 7000)
LOCAL = Address("192.168.1.2", 1)
OWN = Address("9.9.9.9", 2)


class Host:
    """A shell that only takes notes."""

    def __init__(self) -> None:
        self.own: Address | None = None
        self.full = False
        self.opened: list[Attempt] = []
        self.connected: list[tuple[Address, int | None]] = []
        self.abandoned: list[Attempt] = []

    def own_address(self) -> Address | None:
        return self.own

    def addresses(self) -> tuple[Address, ...]:
        return (LOCAL,)

    def relay_addresses(self) -> tuple[Address, ...]:
        return (RELAY,)

    def open_stream(self, attempt: Attempt) -> int:
        if self.full:
            raise UnavailableError("too many streams")
        self.opened.append(attempt)
        return 40 + len(self.opened)

    def connect(self, attempt: Attempt, address: Address, socket: int | None) -> None:
        assert attempt.agreement is not None
        attempt.connected = True
        self.connected.append((address, socket))

    def abandon(self, attempt: Attempt) -> None:
        self.abandoned.append(attempt)


class Scene:
    """A server, and clients one after the other."""

    def __init__(self) -> None:
        self.host = Host()
        numbers = count(1)
        self.random = lambda size: next(numbers).to_bytes(size, "big")
        self.refused: list[PublicKey] = []
        self.refuses = False
        self.acceptor = Acceptor(SERVER, self.host, self.random, self.decide)
        self.client = PeerHandshake(CLIENT, self.random, SERVER.public_key)

    def decide(self, public_key: PublicKey, _remote: NoisePayload, _address: Address) -> bool:
        self.refused.append(public_key)
        return self.refuses

    def message(self, payload: NoisePayload | None = None) -> bytes:
        self.client = PeerHandshake(CLIENT, self.random, SERVER.public_key)
        return self.client.write(payload or NoisePayload(udx=UdxInfo(7), secret_stream=1))

    def ask(
        self,
        noise: bytes,
        mode: Mode = Mode.FROM_RELAY,
        peer: Address | None = PEER,
        now: float = 0.0,
    ) -> Answer | None:
        return self.acceptor.handshake(asking(noise, mode, peer), now)

    def payload(self, answer: Answer | None) -> NoisePayload:
        assert isinstance(answer, Value | PassOn) and answer.value is not None
        return self.client.read(decode_handshake(answer.value).noise)


def asking(noise: bytes, mode: Mode, peer: Address | None) -> IncomingRequest:
    relay = RELAY if mode == Mode.FROM_SECOND_RELAY else None
    value = encode_handshake(PassedHandshake(mode, noise, peer, relay))
    return question(Command.PEER_HANDSHAKE, bytes(32), value)


def test_a_client_is_told_our_stream_addresses_and_relays() -> None:
    scene = Scene()
    answer = scene.ask(scene.message())
    assert isinstance(answer, PassOn) and answer.to == ASKER
    told = scene.payload(answer)
    assert told.firewall == Firewall.UNKNOWN and told.holepunch is None
    assert told.addresses4 == (LOCAL,) and told.relay_addresses == (RELAY,)
    assert told.udx == UdxInfo(41) and told.secret_stream == 1 and told.error == 0
    assert scene.host.connected == []


def test_an_open_server_says_so() -> None:
    scene = Scene()
    scene.host.own = OWN
    assert scene.payload(scene.ask(scene.message())).firewall == Firewall.OPEN


def test_the_same_message_through_many_relays_gets_the_same_reply() -> None:
    scene = Scene()
    noise = scene.message()
    first = scene.ask(noise)
    second = scene.ask(noise, Mode.FROM_SECOND_RELAY)
    assert isinstance(first, PassOn) and isinstance(second, PassOn) and second.to == RELAY
    assert decode_handshake(first.value).noise == decode_handshake(second.value).noise
    assert len(scene.host.opened) == 1


def test_a_client_that_asks_us_itself_is_sent_to_at_once_on_that_socket() -> None:
    scene = Scene()
    answer = scene.ask(scene.message(), Mode.FROM_CLIENT, None)
    assert isinstance(answer, Value) and answer.to is None
    assert scene.host.connected == [(ASKER, 0)]


def test_an_open_client_is_sent_to_at_once() -> None:
    scene = Scene()
    scene.ask(scene.message(NoisePayload(firewall=Firewall.OPEN, udx=UdxInfo(7))))
    assert scene.host.connected == [(PEER, None)]


def test_a_refused_client_gets_silence_and_no_stream() -> None:
    scene = Scene()
    scene.refuses = True
    noise = scene.message()
    assert scene.ask(noise) is None and scene.ask(noise) is None
    assert scene.refused == [CLIENT.public_key] and scene.host.opened == []


def test_a_client_without_udx_is_told_of_its_error() -> None:
    scene = Scene()
    assert scene.payload(scene.ask(scene.message(NoisePayload()))).error == ABORTED
    assert scene.host.opened == []


def test_who_does_not_come_within_ten_seconds_is_given_up() -> None:
    scene = Scene()
    scene.ask(scene.message())
    scene.acceptor.expire(ATTEMPT_AGE - 0.1)
    assert scene.host.abandoned == []
    scene.acceptor.expire(ATTEMPT_AGE)
    assert scene.host.abandoned == scene.host.opened and len(scene.acceptor) == 0


def test_a_closed_server_gives_up_all() -> None:
    scene = Scene()
    scene.ask(scene.message())
    scene.acceptor.close()
    assert scene.host.abandoned == scene.host.opened


def test_a_flood_of_clients_is_capped() -> None:
    scene = Scene()
    for number in range(MAX_ATTEMPTS + 5):
        scene.acceptor._attempts.set(number.to_bytes(4, "big"), Attempt(), 0.0)
    assert len(scene.acceptor) == MAX_ATTEMPTS
    scene.host.full = True
    assert scene.ask(scene.message()) is None


def test_messages_that_are_none_of_a_servers_get_silence() -> None:
    scene = Scene()
    noise = scene.message()
    assert scene.ask(noise, Mode.REPLY) is None
    assert scene.ask(noise, Mode.FROM_RELAY, None) is None
    assert scene.ask(noise, Mode.FROM_RELAY, Address("224.0.0.1", 5)) is None
    holepunch = question(Command.PEER_HOLEPUNCH, bytes(32), b"")
    assert scene.acceptor.holepunch(holepunch, 0.0) is None
    assert scene.host.opened == []


@given(st.binary(max_size=150))
def test_noise_that_is_none_is_a_peer_error_and_leaves_nothing_behind(noise: bytes) -> None:
    scene = Scene()
    with pytest.raises(PeerError):
        scene.ask(noise)
    assert len(scene.acceptor) == 0

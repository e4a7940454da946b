from pearbox_edge.net.dht.answers import UNKNOWN, Answer, Value
from pearbox_edge.net.dht.messages import (
    Command,
    Mode,
    PassedHandshake,
    PassedHolepunch,
    encode_handshake,
    encode_holepunch,
)
from pearbox_edge.net.dht.service import Service
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address
from tests.kit.dht import NODE, question

TARGET = bytes(range(32))
ELSEWHERE = Address("10.0.0.3", 7000)
HANDSHAKE = encode_handshake(PassedHandshake(Mode.FROM_CLIENT, b"noise"))
HOLEPUNCH = encode_holepunch(PassedHolepunch(Mode.FROM_CLIENT, 1, b"box", ELSEWHERE))


class Server:
    def handshake(self, _request: IncomingRequest, _now: float) -> Answer | None:
        return Value(b"handshake")

    def holepunch(self, _request: IncomingRequest, _now: float) -> Answer | None:
        return Value(b"holepunch")


def ask(service: Service, command: int, value: bytes | None, *, lasting: bool) -> Answer | None:
    node = NODE if lasting else None
    return service.answer(question(command, TARGET, value), node, 0.0, 0.0)


def test_every_node_passes_messages_on_but_only_lasting_ones_store() -> None:
    service = Service(bytes)
    assert ask(service, Command.PEER_HANDSHAKE, HANDSHAKE, lasting=False) == Value(token=False)
    assert ask(service, Command.PEER_HOLEPUNCH, HOLEPUNCH, lasting=False) is not None
    assert ask(service, Command.LOOKUP, None, lasting=False) == UNKNOWN
    assert ask(service, Command.LOOKUP, None, lasting=True) == Value()


def test_commands_that_nobody_knows_are_refused() -> None:
    assert ask(Service(bytes), Command.PLUGIN, b"x", lasting=True) == UNKNOWN
    assert ask(Service(bytes), 99, b"x", lasting=True) == UNKNOWN


def test_messages_for_a_server_of_ours_go_to_it() -> None:
    service = Service(bytes)
    service.servers[TARGET] = Server()
    assert ask(service, Command.PEER_HANDSHAKE, HANDSHAKE, lasting=False) == Value(b"handshake")
    assert ask(service, Command.PEER_HOLEPUNCH, HOLEPUNCH, lasting=False) == Value(b"holepunch")

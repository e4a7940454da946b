"""Answers as a whole node gives them; the vectors check them byte for byte."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc import (
    CLIENT,
    INVALID_TOKEN,
    SERVER,
    UNKNOWN_COMMAND,
    Datagram,
    IncomingRequest,
    Outgoing,
    RequestArrived,
    RpcNodeMachine,
    RpcOptions,
    node_id,
)
from pearbox_edge.net.rpc.answers import MAX_DELAYED
from pearbox_edge.net.rpc.limits import MAX_HELD
from pearbox_edge.net.rpc.messages import (
    DELAYED_PING,
    DOWN_HINT,
    FIND_NODE,
    PING,
    PING_NAT,
    Request,
    Response,
    decode,
    encode_request,
    encode_response,
)
from pearbox_edge.wire import Address

HERE = Address("203.0.113.7", 49737)
THERE = Address("198.51.100.1", 4000)
TARGET = bytes(range(32))


def node(options: RpcOptions | None = None, *, known: int = 0) -> RpcNodeMachine:
    """A lasting member that knows so many others."""
    made = RpcNodeMachine(
        options or RpcOptions.bootstrapper(*HERE), 0.0, random.Random(1).randbytes
    )
    made.start(HERE.port, 0.0)
    for number in range(known):
        made.add_node(Address(f"20.{number}.0.1", 49737))
    made.events()
    made.transmit(0.0)
    return made


def ask(
    machine: RpcNodeMachine,
    command: int,
    *,
    value: bytes | None = None,
    target: bytes | None = None,
    token: bytes | None = None,
    internal: bool = True,
    sender: Address = THERE,
    now: float = 0.0,
    claim: NodeId | None = None,
) -> None:
    request = Request(9, HERE, claim, token, internal, command, target, value)
    machine.receive([Datagram(encode_request(request), sender)], now)


def answers(machine: RpcNodeMachine, now: float = 0.0) -> list[Response]:
    found = [decode(out.data) for out in machine.transmit(now)]
    return [message for message in found if isinstance(message, Response)]


def arrived(machine: RpcNodeMachine) -> IncomingRequest:
    (event,) = (e for e in machine.events() if isinstance(e, RequestArrived))
    return event.request


def pong(machine: RpcNodeMachine, ping: Outgoing, sender: Address = THERE) -> None:
    question = decode(ping.data)
    assert isinstance(question, Request) and question.command == PING
    answer = Response(question.tid, HERE, None, None, (), 0, None)
    machine.receive([Datagram(encode_response(answer), sender)], 0.1)


def test_a_ping_is_answered_with_our_id_and_the_askers_address() -> None:
    machine = node()
    ask(machine, PING)
    (answer,) = answers(machine)
    assert answer == Response(9, THERE, node_id(HERE), None, (), 0, None)


def test_a_ping_of_the_nat_is_answered_to_the_port_it_names() -> None:
    machine = node()
    ask(machine, PING_NAT, value=(777).to_bytes(2, "little"))
    (out,) = machine.transmit(0.0)
    assert out.address == Address(THERE.host, 777)


@pytest.mark.parametrize("value", [None, b"", b"\x01", b"\0\0"])
def test_a_ping_of_the_nat_without_a_port_gets_silence(value: bytes | None) -> None:
    machine = node()
    ask(machine, PING_NAT, value=value)
    assert machine.transmit(0.0) == []


def test_an_answer_from_another_socket_than_the_servers_has_no_id() -> None:
    machine = node()
    request = encode_request(Request(9, HERE, None, None, True, PING, None, None))
    machine.receive([Datagram(request, THERE)], 0.0, CLIENT)
    (out,) = machine.transmit(0.0)
    message = decode(out.data)
    assert out.socket == CLIENT and message.id is None


def test_find_node_names_twenty() -> None:
    machine = node(known=40)
    ask(machine, FIND_NODE, target=TARGET)
    (answer,) = answers(machine)
    assert len(answer.closer) == 20 and answer.token is None
    ask(machine, FIND_NODE)
    assert answers(machine) == []


def test_an_unknown_command_is_said_to_be_one() -> None:
    machine = node(known=3)
    ask(machine, 99, target=TARGET)
    (answer,) = answers(machine)
    assert answer.error == UNKNOWN_COMMAND and len(answer.closer) == 3


def test_a_delayed_ping_is_answered_when_it_is_due() -> None:
    machine = node()
    ask(machine, DELAYED_PING, value=(1500).to_bytes(4, "little"))
    assert answers(machine) == []
    assert machine.deadline() == 1.5
    machine.expire(1.5)
    (answer,) = answers(machine, 1.5)
    assert answer.error == 0


@pytest.mark.parametrize("value", [None, b"\1\0\0", (10_001).to_bytes(4, "little")])
def test_a_ping_delayed_too_long_gets_silence(value: bytes | None) -> None:
    machine = node()
    ask(machine, DELAYED_PING, value=value)
    machine.expire(4.0)
    assert answers(machine, 4.0) == []


def test_delayed_pings_are_limited_for_each_host_and_in_all() -> None:
    machine = node()
    for number in range(5000):
        sender = Address(f"20.{number >> 8}.{number & 255}.1", 1) if number > 99 else THERE
        ask(machine, DELAYED_PING, value=(9000).to_bytes(4, "little"), sender=sender)
    machine.expire(9.0)
    out = machine.transmit(9.0)
    assert sum(o.address == THERE for o in out) == 32
    assert len(out) == MAX_DELAYED


def test_a_down_hint_makes_us_ping_a_node_that_we_know() -> None:
    machine = node(known=3)
    ask(machine, DOWN_HINT, value=bytes((20, 1, 0, 1)) + (49737).to_bytes(2, "little"))
    out = machine.transmit(0.0)
    assert sorted(o.address for o in out) == [THERE, Address("20.1.0.1", 49737)]
    ask(machine, DOWN_HINT, value=bytes((20, 1, 0, 9)) + (49737).to_bytes(2, "little"))
    assert [o.address for o in machine.transmit(0.0)] == [THERE]
    ask(machine, DOWN_HINT, value=b"short")
    assert machine.transmit(0.0) == []


def test_many_down_hints_cause_ten_pings_at_once() -> None:
    machine = node(known=30)
    for number in range(30):
        ask(machine, DOWN_HINT, value=bytes((20, number, 0, 1)) + (49737).to_bytes(2, "little"))
    assert sum(o.address != THERE for o in machine.transmit(0.0)) == 10


def test_a_token_of_ours_comes_back_with_the_question() -> None:
    machine = node()
    ask(machine, 7, internal=False, target=TARGET)
    machine.reply(arrived(machine), None, 0.0)
    (answer,) = answers(machine)
    assert answer.token is not None
    ask(machine, 7, internal=False, target=TARGET, token=answer.token, now=7.0)
    assert arrived(machine).token == answer.token


def test_a_token_that_is_not_ours_is_refused_with_a_new_one() -> None:
    machine = node()
    ask(machine, 7, internal=False, token=bytes(32))
    assert machine.events() == []
    (answer,) = answers(machine)
    assert answer.error == INVALID_TOKEN and answer.token is not None
    ask(machine, 7, internal=False, token=answer.token)
    arrived(machine)


def test_an_asker_with_the_id_of_its_address_is_taken_up() -> None:
    machine = node()
    ask(machine, PING, claim=node_id(THERE))
    assert machine.nodes() == [THERE]


def test_an_asker_with_a_foreign_id_is_answered_but_not_taken_up() -> None:
    machine = node()
    ask(machine, 7, internal=False, claim=node_id(HERE))
    assert arrived(machine).id is None
    assert machine.nodes() == []


def test_an_unwelcome_asker_is_not_taken_up() -> None:
    machine = RpcNodeMachine(RpcOptions(), 0.0, bytes, lambda address: address != THERE)
    machine.start(1, 0.0)
    ask(machine, PING, claim=node_id(THERE))
    assert machine.nodes() == []


def test_a_question_is_relayed_under_its_transaction_id() -> None:
    machine = node()
    ask(machine, 7, internal=False, target=TARGET, value=b"a", token=None)
    to = Address("20.0.0.9", 9)
    machine.relay(arrived(machine), b"b", to, 0.0)
    (out,) = machine.transmit(0.0)
    assert out.address == to
    assert decode(out.data) == Request(9, to, node_id(HERE), None, False, 7, TARGET, b"b")


def test_one_host_is_answered_at_a_limited_rate() -> None:
    machine = node(RpcOptions(firewalled=False, max_requests_per_second=50))
    for _ in range(1000):
        ask(machine, PING)
    ask(machine, PING, sender=Address("20.0.0.1", 1))
    assert len(answers(machine)) == 100 + 1
    assert machine.counters()["refused"] == 900


def test_a_large_answer_waits_until_the_address_has_answered_a_ping() -> None:
    machine = node()
    ask(machine, 7, internal=False, target=TARGET)
    machine.reply(arrived(machine), bytes(500), 0.0)
    (ping,) = machine.transmit(0.0)
    assert ping.address == THERE
    pong(machine, ping)
    (answer,) = answers(machine, 0.1)
    assert answer.value == bytes(500)
    ask(machine, 7, internal=False, target=TARGET, now=0.2)
    machine.reply(arrived(machine), bytes(500), 0.2)
    assert len(answers(machine, 0.2)) == 1, "proven from now on"


def test_a_large_answer_to_who_does_not_answer_is_dropped() -> None:
    machine = node()
    ask(machine, 7, internal=False, target=TARGET)
    machine.reply(arrived(machine), bytes(500), 0.0)
    assert len(machine.transmit(0.0)) == 1
    machine.expire(1.0)
    assert machine.transmit(1.0) == []
    assert machine.counters()["refused"] == 1
    assert machine.counters()["pending"] == 0


def test_the_same_question_again_does_not_cause_another_ping() -> None:
    machine = node()
    for _ in range(5):
        ask(machine, 7, internal=False, target=TARGET)
        machine.reply(arrived(machine), bytes(500), 0.0)
    assert len(machine.transmit(0.0)) == 1


def test_a_flood_of_large_answers_holds_a_limited_number() -> None:
    machine = node()
    for number in range(1000):
        sender = Address(f"20.{number >> 8}.{number & 255}.1", 1)
        ask(machine, 7, internal=False, target=TARGET, sender=sender)
        machine.reply(arrived(machine), bytes(500), 0.0)
    assert len(machine._answers._held) == MAX_HELD == machine.counters()["pending"]
    machine.ping(THERE, 0.0)
    assert machine.transmit(0.0)[-1].address == THERE, "our own questions are not held up"


@given(
    st.sampled_from([0, 1, 2, 3, 4, 5, 250]),
    st.booleans(),
    st.none() | st.binary(max_size=30),
    st.booleans(),
    st.none() | st.binary(max_size=600),
    st.none() | st.just(bytes(32)),
)
def test_no_unproven_address_gets_more_than_three_times_what_it_sent(
    command: int,
    internal: bool,
    value: bytes | None,
    has_target: bool,
    stored: bytes | None,
    token: bytes | None,
) -> None:
    machine = node(known=40)
    request = Request(
        9, HERE, None, token, internal, command, TARGET if has_target else None, value
    )
    datagram = encode_request(request)
    machine.receive([Datagram(datagram, THERE)], 0.0)
    for event in machine.events():
        if isinstance(event, RequestArrived):
            machine.reply(event.request, stored, 0.0)
    out = [o for o in machine.transmit(0.0) if o.address.host == THERE.host]
    assert sum(len(o.data) + 28 for o in out) <= 3 * (len(datagram) + 28)


def test_suspending_forgets_what_waits() -> None:
    machine = node()
    ask(machine, DELAYED_PING, value=(1500).to_bytes(4, "little"))
    ask(machine, 7, internal=False, target=TARGET)
    machine.reply(arrived(machine), bytes(500), 0.0)
    machine.suspend(0.5)
    machine.start(HERE.port, 1.0)
    machine.expire(2.0)
    assert answers(machine, 2.0) == []


def test_the_server_socket_is_the_first() -> None:
    assert (SERVER, CLIENT) == (0, 1)

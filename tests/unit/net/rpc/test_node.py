"""The machine as a whole, and a DHT of hundreds of them in virtual time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.net.rpc import (
    CLIENT,
    SERVER,
    Answered,
    Commit,
    Datagram,
    Failure,
    QueryAnswered,
    QueryEnded,
    QueryOptions,
    Question,
    Reply,
    RequestArrived,
    RpcNodeMachine,
    RpcOptions,
    Unanswered,
    node_id,
)
from pearbox_edge.net.rpc.limits import MAX_HELD
from pearbox_edge.net.rpc.messages import Request, Response, decode, encode_request, encode_response
from pearbox_edge.wire import Address
from tests.kit.dht_sim import SERVER_PORT, SimNet, SimNode, nearest

HERE = Address("203.0.113.7", 49737)
THERE = Address("198.51.100.1", 4000)
PUT, GET = 8, 9


def machine(options: RpcOptions | None = None) -> RpcNodeMachine:
    made = RpcNodeMachine(
        options or RpcOptions.bootstrapper(*HERE), 0.0, random.Random(1).randbytes
    )
    made.start(HERE.port, 0.0)
    made.events()
    return made


# -- alone ----------------------------------------------------------------------------------------


def test_an_answer_is_an_event() -> None:
    node = machine()
    asking = node.ask(Question(THERE, 7, value=b"hello"), 0.0)
    (out,) = node.transmit(0.0)
    question = decode(out.data)
    assert isinstance(question, Request) and question.value == b"hello"
    answer = Response(question.tid, HERE, None, None, (), 0, b"hi")
    node.receive([Datagram(encode_response(answer), THERE)], 0.25)
    (event,) = node.events()
    assert isinstance(event, Answered) and event.asking is asking
    assert event.reply == Reply(THERE, None, HERE, None, (), 0, b"hi", 0.25, SERVER)


def test_silence_is_an_event_after_four_sends() -> None:
    node = machine()
    asking = node.ping(THERE, 0.0)
    sends = len(node.transmit(0.0))
    for second in range(1, 5):
        assert node.events() == []
        node.expire(float(second))
        sends += len(node.transmit(float(second)))
    assert sends == 4
    assert node.events() == [Unanswered(asking, Failure.TIMED_OUT)]


def test_a_delayed_ping_is_waited_for_as_long_as_it_may_take() -> None:
    node = machine()
    node.delayed_ping(THERE, 3.0, 0.0)
    assert node.deadline() == 4.0
    with pytest.raises(UsageError):
        node.delayed_ping(THERE, 10.5, 0.0)


def test_other_sockets_are_asked_from_and_answered_on() -> None:
    node = machine()
    node.ping(THERE, 0.0, socket=7, ttl=5)
    (out,) = node.transmit(0.0)
    assert (out.socket, out.ttl) == (7, 5)
    assert decode(out.data).id is None
    ping = encode_request(Request(1, HERE, None, None, True, 0, None, None))
    node.receive([Datagram(ping, THERE)], 0.0, 7)
    assert node.transmit(0.0)[0].socket == 7


def test_a_node_that_times_out_on_a_question_of_known_id_leaves_the_table() -> None:
    node = machine()
    node.add_node(THERE)
    node.ask(Question(THERE, 7, id=node_id(THERE)), 0.0, retries=0)
    node.expire(1.0)
    assert node.nodes() == []


def test_a_suspended_node_is_silent_and_fails_what_was_asked() -> None:
    node = machine()
    asking = node.ping(THERE, 0.0)
    query = node.find_node(bytes(32), 0.0, QueryOptions(nodes=[THERE]))
    node.suspend(0.5)
    assert set(node.events()) == {Unanswered(asking, Failure.SUSPENDED), QueryEnded(query)}
    assert query.failure is not None
    assert node.deadline() is None and node.transmit(0.5) == []
    ping = encode_request(Request(1, HERE, None, None, True, 0, None, None))
    node.receive([Datagram(ping, THERE)], 0.5)
    node.expire(99.0)
    assert node.transmit(99.0) == [] and node.events() == []
    with pytest.raises(UnavailableError):
        node.ping(THERE, 99.0)
    with pytest.raises(UnavailableError):
        node.find_node(bytes(32), 99.0)
    node.start(HERE.port, 100.0)
    node.receive([Datagram(ping, THERE)], 100.0)
    assert node.transmit(100.0)


def test_a_running_node_is_not_started() -> None:
    with pytest.raises(UsageError):
        machine().start(HERE.port, 0.0)


def test_a_target_has_32_bytes() -> None:
    with pytest.raises(UsageError):
        machine().find_node(b"short", 0.0)


def test_named_addresses_that_are_nobodys_are_not_asked() -> None:
    node = machine()
    named = [
        Address("0.0.0.0", 1),
        Address("224.0.0.251", 5353),
        Address("255.255.255.255", 9),
        Address("1.2.3.4", 0),
        HERE,
    ]
    node.find_node(bytes(32), 0.0, QueryOptions(nodes=[*named, THERE]))
    assert [out.address for out in node.transmit(0.0)] == [THERE]


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_nobody_sends_from_an_impossible_port(port: int) -> None:
    node = machine()
    ping = encode_request(Request(1, HERE, None, None, True, 0, None, None))
    node.receive([Datagram(ping, Address("1.2.3.4", port))], 0.0)
    assert node.transmit(0.0) == []
    assert node.counters()["malformed"] == 1


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.binary(max_size=60).map(lambda data: b"\x03" + data),
            st.binary(max_size=60).map(lambda data: b"\x13" + data),
            st.binary(min_size=34, max_size=34).map(lambda d: b"\x03\x04" + d[:8] + d[8:9]),
        ),
        max_size=20,
    ),
    st.sampled_from([SERVER, CLIENT, 5]),
)
def test_no_datagram_makes_a_node_fail(datagrams: list[bytes], socket: int) -> None:
    node = machine(RpcOptions(firewalled=False))
    node.ping(THERE, 0.0)
    node.receive([Datagram(data, THERE) for data in datagrams], 0.0, socket)
    for event in node.events():
        if isinstance(event, RequestArrived):
            node.unhandled(event.request, 0.0)
    node.transmit(0.0)
    node.expire(5.0)
    node.transmit(5.0)


def test_a_flood_of_forged_questions_fills_nothing_and_honest_askers_are_served() -> None:
    node = machine()
    chance = random.Random(2)
    honest = encode_request(Request(1, HERE, None, None, True, 2, bytes(32), None))
    now, served = 0.0, 0
    for number in range(20_000):
        now += 0.0005
        forged = Address(
            f"{chance.randrange(1, 224)}.{chance.randrange(256)}.{number & 255}.1",
            chance.randrange(1, 65536),
        )
        question = Request(
            number,
            HERE,
            node_id(forged),
            bytes(32) if number % 4 == 1 else None,
            number % 4 < 3,
            (0, 0, 4, 9)[number % 4],
            bytes(32),
            (9000).to_bytes(4, "little"),
        )
        node.receive([Datagram(encode_request(question), forged)], now)
        for event in node.events():
            if isinstance(event, RequestArrived):
                node.reply(event.request, bytes(900), now)
        if number % 100 == 0:
            node.receive([Datagram(honest, THERE)], now)
            served += any(out.address == THERE for out in node.transmit(now))
            node.expire(now)
        node.transmit(now)
    assert served == 200
    counters = node.counters()
    assert counters["nodes"] < 400
    assert counters["pending"] <= MAX_HELD + 20
    answers = node._answers
    sizes = (len(answers._rates), len(answers._held), len(answers._delayed), len(answers.proven))
    assert max(sizes) <= 4096


# -- together -------------------------------------------------------------------------------------


def test_lookups_find_the_nodes_that_are_nearest() -> None:
    net = SimNet(1)
    nodes = net.grow(200)
    assert not any(node.machine.ephemeral for node in nodes)
    found = wanted = visits = 0
    for _ in range(20):
        target = net.random.randbytes(32)
        asker = net.random.choice(nodes)
        query = asker.find(target)
        best = [a for a in nearest(nodes, target, 21) if a != asker.address][:20]
        closest = [reply.sender for reply in query.closest]
        assert closest == sorted(closest, key=query.distance)
        found += len(set(best) & set(closest))
        wanted += len(best)
        visits += query.successes
        assert query.errors == 0
    assert found >= 0.97 * wanted
    assert visits / 20 < 60


def test_the_dead_leave_and_lookups_go_on_after_a_third_has_gone() -> None:
    net = SimNet(2)
    nodes = net.grow(80)
    for node in net.random.sample(nodes[1:], 26):
        node.kill()
    dead = {node.address for node in nodes if not node.alive}
    living = [node for node in nodes if node.alive]
    asker = living[5]
    target = net.random.randbytes(32)
    query = asker.find(target)
    best = [a for a in nearest(nodes, target, 21) if a != asker.address][:20]
    assert len({reply.sender for reply in query.closest} & set(best)) >= 19
    net.run(12 * 60)
    left = sum(len(dead & set(node.machine.nodes())) for node in living)
    known = sum(len(node.machine.nodes()) for node in living)
    assert left < 0.02 * known


def test_a_down_hint_takes_a_dead_node_out_of_the_tables_of_those_who_named_it() -> None:
    net = SimNet(3)
    nodes = net.grow(15)
    dead = nodes[7]
    dead.kill()
    newcomer = net.add(
        RpcOptions(bootstrap=(f"{nodes[0].host}:{SERVER_PORT}",), ephemeral=True)
    ).start()
    net.run(15)
    assert all(dead.address not in node.machine.nodes() for node in nodes if node.alive)
    assert newcomer.machine.bootstrapped


def store(node: SimNode, event: RequestArrived) -> None:
    """Keep values, as an application would."""
    request = event.request
    values: dict[bytes, bytes] = VALUES.setdefault(node.host, {})
    assert request.target is not None
    if request.command == PUT and request.token is not None and request.value is not None:
        values[request.target] = request.value
        node.machine.reply(request, None, node.net.now)
    else:
        node.machine.reply(request, values.get(request.target), node.net.now)


VALUES: dict[str, dict[bytes, bytes]] = {}


def commit(_reply: Reply) -> Commit:
    return Commit(PUT, b"kept")


def test_what_is_committed_is_found_after_a_third_of_the_nodes_has_been_replaced() -> None:
    VALUES.clear()
    net = SimNet(4, loss=0.02)
    nodes = net.grow(100)
    for node in nodes:
        node.handler = store
    key = net.random.randbytes(32)
    writer = nodes[11]
    query = writer.machine.query(key, GET, None, net.now, QueryOptions(commit=commit))
    net.finish(writer, query)
    assert query.failure is None and query.stored == 20
    for node in net.random.sample(nodes[1:], 33):
        node.kill()
    for _ in range(33):
        options = RpcOptions(
            bootstrap=(f"{nodes[0].host}:{SERVER_PORT}",), ephemeral=False, firewalled=False
        )
        node = net.add(options).start()
        node.handler = store
        net.run(1)
    net.run(30)
    reader = net.add(RpcOptions(bootstrap=(f"{nodes[0].host}:{SERVER_PORT}",))).start()
    assert net.run_until(lambda: reader.machine.bootstrapped, 30)
    query = reader.machine.query(key, GET, None, net.now)
    reader.pump()
    assert net.run_until(lambda: query.done, 60)
    reader.pump()
    values = [e.reply.value for e in reader.events if isinstance(e, QueryAnswered)]
    assert b"kept" in values


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[int, list[Address]]:
        net = SimNet(7, loss=0.05)
        nodes = net.grow(25)
        return net.datagrams, nodes[3].machine.nodes()

    assert run() == run()


def test_an_idle_network_is_quiet() -> None:
    net = SimNet(5)
    nodes = net.grow(30)
    net.run(300)
    before = net.datagrams
    net.run(600)
    a_node_a_second = (net.datagrams - before) / len(nodes) / 600
    assert a_node_a_second < 1.0

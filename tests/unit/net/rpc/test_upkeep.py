"""What nodes do by themselves: the dead leave, the new come in, floods change nothing."""

import random

from pearbox_edge.net.rpc import (
    SERVER,
    Connectivity,
    ConnectivityChanged,
    Datagram,
    RpcNodeMachine,
    RpcOptions,
    WokeUp,
    node_id,
)
from pearbox_edge.net.rpc.messages import (
    DOWN_HINT,
    FIND_NODE,
    PING,
    Request,
    Response,
    decode,
    encode_request,
    encode_response,
)
from pearbox_edge.net.rpc.routing_table import K
from pearbox_edge.wire import Address
from tests.kit.dht_sim import SimNet

HERE = Address("203.0.113.7", 49737)


class Alone:
    """One node, and a test that plays everybody else."""

    def __init__(self) -> None:
        self.now = 0.0
        self.machine = RpcNodeMachine(
            RpcOptions.bootstrapper(*HERE), 0.0, random.Random(1).randbytes
        )
        self.machine.start(HERE.port, 0.0)

    def sent(self) -> list[tuple[Address, Request]]:
        found = [(o.address, decode(o.data)) for o in self.machine.transmit(self.now)]
        return [(to, message) for to, message in found if isinstance(message, Request)]

    def pass_time(self, seconds: float) -> list[tuple[Address, Request]]:
        """All that is asked meanwhile, unanswered."""
        end, asked = self.now + seconds, self.sent()
        while (due := self.machine.deadline()) is not None and due <= end:
            self.now = due
            self.machine.expire(due)
            asked += self.sent()
        self.now = end
        return asked

    def answer(self, to: Address, question: Request, *, lasting: bool = True) -> None:
        id_ = node_id(to) if lasting else None
        response = Response(question.tid, HERE, id_, None, (), 0, None)
        self.machine.receive([Datagram(encode_response(response), to)], self.now, SERVER)

    def hear(self, address: Address) -> None:
        ping = Request(1, HERE, node_id(address), None, True, PING, None, None)
        self.machine.receive([Datagram(encode_request(ping), address)], self.now)
        self.machine.transmit(self.now)


def there(number: int) -> Address:
    return Address(f"20.{number >> 8}.{number & 255}.1", 49737)


def test_the_oldest_nodes_are_pinged_now_and_then() -> None:
    alone = Alone()
    for number in range(10):
        alone.hear(there(number))
    pinged = [to for to, q in alone.pass_time(45) if q.command == PING]
    assert set(pinged) == {there(0), there(1)}, "all were heard of within a minute: two are enough"
    pinged = [to for to, q in alone.pass_time(50) if q.command == PING]
    assert {there(2), there(3)} <= set(pinged)


def test_a_node_that_is_silent_leaves_the_table() -> None:
    alone = Alone()
    for number in range(3):
        alone.hear(there(number))
    alone.pass_time(600)
    assert alone.machine.nodes() == []


def test_an_answer_without_an_id_is_no_answer_of_a_lasting_member() -> None:
    alone = Alone()
    alone.hear(there(0))
    for to, question in alone.pass_time(41):
        if question.command == PING:
            alone.answer(to, question, lasting=False)
    alone.pass_time(1)
    assert alone.machine.nodes() == []


def test_an_empty_table_is_refreshed_and_so_is_an_idle_one() -> None:
    alone = Alone()
    options = RpcOptions(bootstrap=("20.0.1.1:49737",), ephemeral=False, firewalled=False)
    alone.machine = RpcNodeMachine(options, 0.0, random.Random(1).randbytes)
    alone.machine.start(HERE.port, 0.0)
    walks = [q for _, q in alone.pass_time(120) if q.command == FIND_NODE]
    assert len({q.tid for q in walks}) >= 3


def fill_row(alone: Alone) -> tuple[list[Address], Address]:
    """Twenty nodes of the first row, and one more that belongs there."""
    own = alone.machine.table_id[0] >> 7
    row: list[Address] = []
    number = 0
    while True:
        number += 1
        if node_id(there(number))[0] >> 7 != own:
            if len(row) == K:
                return row, there(number)
            alone.hear(there(number))
            row.append(there(number))


def test_a_silent_node_of_a_full_row_makes_room_for_a_new_one() -> None:
    alone = Alone()
    row, newcomer = fill_row(alone)
    alone.now += 6
    alone.machine.expire(alone.now)
    alone.machine.transmit(alone.now)
    alone.hear(newcomer)
    assert newcomer not in alone.machine.nodes()
    asked = alone.pass_time(4.5)
    oldest = min(row, key=node_id)  # all were heard of at the same time
    assert {to for to, _ in asked} == {oldest}
    nodes = alone.machine.nodes()
    assert oldest not in nodes and newcomer in nodes


def test_a_node_of_a_full_row_that_answers_stays() -> None:
    alone = Alone()
    row, newcomer = fill_row(alone)
    alone.now += 6
    alone.machine.expire(alone.now)
    alone.machine.transmit(alone.now)
    ping = Request(1, HERE, node_id(newcomer), None, True, PING, None, None)
    alone.machine.receive([Datagram(encode_request(ping), newcomer)], alone.now)
    ((to, question),) = alone.sent()
    assert to in row
    alone.answer(to, question)
    alone.pass_time(4.5)
    assert set(alone.machine.nodes()) == set(row)


def test_a_flood_of_new_ids_changes_neither_the_table_nor_what_is_asked() -> None:
    alone = Alone()
    honest = [there(number) for number in range(30)]
    for address in honest:
        alone.hear(address)
    kept = set(alone.machine.nodes())
    asked = 0
    for number in range(20_000):
        address = Address(f"66.{number >> 8 & 255}.{number & 255}.{number >> 16}", 1)
        ping = Request(1, HERE, node_id(address), None, True, PING, None, None)
        alone.machine.receive([Datagram(encode_request(ping), address)], alone.now)
        for to, question in alone.sent():
            asked += 1
            alone.answer(to, question)
    assert kept <= set(alone.machine.nodes())
    assert len(alone.machine.nodes()) < 30 + 64 + 1
    assert asked < 100


def test_nodes_said_to_be_down_are_pinged_once_a_tick() -> None:
    alone = Alone()
    alone.hear(there(1))
    value = bytes((20, 0, 1, 1)) + (49737).to_bytes(2, "little")
    hint = encode_request(Request(2, HERE, None, None, True, DOWN_HINT, None, value))
    for _ in range(5):
        alone.machine.receive([Datagram(hint, there(9))], alone.now)
    assert len(alone.sent()) == 1
    alone.pass_time(20)
    assert alone.machine.nodes() == []


def test_a_gap_between_ticks_is_sleep_after_which_everything_is_old() -> None:
    alone = Alone()
    for number in range(6):
        alone.hear(there(number))
    alone.now = 3600.0
    alone.machine.expire(alone.now)
    assert WokeUp() in alone.machine.events()
    asked = alone.pass_time(1)
    asked_ones = {to for to, q in asked if q.command == FIND_NODE}
    assert asked_ones and asked_ones <= {there(n) for n in range(6)}


def test_a_dead_network_is_noticed_and_so_is_its_return() -> None:
    net = SimNet(3)
    nodes = net.grow(20)
    node = nodes[3]

    def ask() -> None:
        for other in nodes[:8]:
            node.machine.ping(other.address, net.now, retries=0)
        node.pump()

    def minutes(count: int) -> None:
        for _ in range(count * 12):
            ask()
            net.run(5)

    minutes(1)
    net.loss = 1.0
    minutes(1)
    changes = [event for event in node.events if isinstance(event, ConnectivityChanged)]
    assert changes == [ConnectivityChanged(Connectivity.OFFLINE)]
    net.loss = 0.0
    minutes(1)
    assert node.machine.connectivity is Connectivity.ONLINE

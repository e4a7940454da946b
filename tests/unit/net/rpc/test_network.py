"""Who becomes a lasting member, when, and who ceases to be one; in virtual time."""

import pytest

from pearbox_edge.net.rpc import (
    CLIENT,
    SERVER,
    BecameEphemeral,
    BecamePersistent,
    Bootstrapped,
    Datagram,
    RpcOptions,
    node_id,
)
from pearbox_edge.net.rpc.messages import (
    PING,
    Request,
    Response,
    encode_request,
    encode_response,
)
from pearbox_edge.wire import Address
from tests.kit.dht_sim import SERVER_PORT, SimNet, SimNode

TICK = 5


def dht(seed: int = 1, count: int = 12) -> tuple[SimNet, list[SimNode]]:
    net = SimNet(seed)
    return net, net.grow(count)


def joining(nodes: list[SimNode], **options: object) -> RpcOptions:
    bootstrap = (f"{nodes[0].host}:{SERVER_PORT}",)
    return RpcOptions(bootstrap=bootstrap, **options)  # type: ignore[arg-type]


def test_a_node_that_strangers_reach_is_seen_to_be_open_while_it_joins() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes)).start()
    assert node.machine.firewalled and node.machine.socket == CLIENT
    assert net.run_until(lambda: node.machine.bootstrapped, 5)
    assert not node.machine.firewalled and node.machine.socket == SERVER
    assert node.machine.remote_address == node.address
    assert node.machine.ephemeral, "open, but no lasting member yet"
    assert sum(isinstance(event, Bootstrapped) for event in node.events) == 1


def test_in_a_tiny_network_it_is_seen_to_be_open_just_as_well() -> None:
    for seed in range(10):
        net, nodes = dht(seed, count=2)
        node = net.add(joining(nodes)).start()
        net.run(1)
        assert node.machine.remote_address == node.address


def test_a_node_behind_a_firewall_is_not() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes), firewall=True).start()
    assert net.run_until(lambda: node.machine.bootstrapped, 30)
    net.run(30 * 60)
    assert node.machine.firewalled and node.machine.ephemeral
    assert node.machine.remote_address is None
    assert (node.machine.host, node.machine.port) == (node.host, 50000)


def test_an_open_node_becomes_a_lasting_member_after_twenty_minutes() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes)).start()
    net.run(20 * 60 - 2 * TICK)
    assert node.machine.ephemeral and node.machine.id is None
    net.run(3 * TICK)
    assert not node.machine.ephemeral
    assert node.machine.id == node_id(node.address)
    assert BecamePersistent(node_id(node.address)) in node.events
    net.run(60)
    assert any(node.address in other.machine.nodes() for other in nodes)


def test_an_ephemeral_node_is_in_nobodys_table() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes, ephemeral=True)).start()
    net.run(60 * 60)
    assert node.machine.ephemeral
    assert all(node.address not in other.machine.nodes() for other in nodes)


def test_a_node_told_so_is_a_lasting_member_at_once_if_it_is_open() -> None:
    net, nodes = dht()
    open_ = net.add(joining(nodes, ephemeral=False)).start()
    closed = net.add(joining(nodes, ephemeral=False), firewall=True).start()
    net.run(10)
    assert not open_.machine.ephemeral
    assert closed.machine.ephemeral


def test_a_node_told_so_tries_again_once_its_way_is_open() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes, ephemeral=False), firewall=True).start()
    net.run(30)
    assert node.machine.ephemeral
    node.firewall = False
    net.run(14 * TICK)
    assert not node.machine.ephemeral


def test_the_first_of_all_becomes_a_lasting_member_when_others_say_its_address() -> None:
    net = SimNet(1)
    first = net.add(RpcOptions(ephemeral=False, firewalled=False)).start()
    net.run(10)
    assert first.machine.bootstrapped and first.machine.ephemeral
    options = RpcOptions(
        bootstrap=(f"{first.host}:{SERVER_PORT}",), ephemeral=False, firewalled=False
    )
    second = net.add(options).start()
    net.run(30)
    assert not second.machine.ephemeral
    net.run(8 * TICK)
    assert not first.machine.ephemeral


def test_a_bootstrapper_knows_its_address_and_needs_nobody() -> None:
    net = SimNet(1)
    node = net.add(RpcOptions.bootstrapper("11.0.0.7", SERVER_PORT), host="11.0.0.7").start()
    assert node.machine.bootstrapped and not node.machine.ephemeral
    assert node.machine.id == node_id(Address("11.0.0.7", SERVER_PORT))


def test_a_machine_that_slept_is_no_lasting_member_until_it_was_stable_again() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes)).start()
    net.run(21 * 60)
    assert not node.machine.ephemeral
    node.machine.suspend(net.now)
    net.run(600)
    node.machine.start(SERVER_PORT, net.now)
    node.pump()
    assert node.machine.ephemeral
    assert BecameEphemeral() in node.events
    net.run(59 * 60)
    assert node.machine.ephemeral
    net.run(2 * 60)
    assert not node.machine.ephemeral


def test_on_another_network_the_address_is_learnt_anew() -> None:
    net, nodes = dht()
    node = net.add(joining(nodes, ephemeral=False)).start()
    net.run(10)
    old = node.machine.id
    del net.nodes[node.host]
    node.host = "99.0.0.9"
    net.nodes[node.host] = node
    node.machine.network_changed(net.now)
    node.pump()
    assert node.machine.ephemeral and node.machine.firewalled and node.machine.host is None
    net.run(20 * TICK)
    assert node.machine.remote_address == Address("99.0.0.9", SERVER_PORT)
    assert node.machine.id == node_id(node.address) != old


def test_a_lasting_member_whose_address_changed_unnoticed_takes_the_new_one() -> None:
    net, nodes = dht(count=20)
    node = nodes[7]
    before = node.machine.id
    del net.nodes[node.host]
    node.host = "99.0.0.9"
    net.nodes[node.host] = node
    net.run(70 * 60)
    assert node.machine.id == node_id(node.address) != before


def test_liars_do_not_make_a_lasting_member_give_up_its_id() -> None:
    net, nodes = dht(count=30)
    node = nodes[5]
    before = node.machine.id
    for number in range(3):
        asking = node.machine.ping(Address(f"66.0.0.{number}", 1), net.now)
        lie = Response(asking.tid, Address("6.6.6.6", 6), None, None, (), 0, None)
        liar = asking.question.to
        lie = lie._replace(id=node_id(liar))
        node.machine.transmit(net.now)
        node.machine.receive([Datagram(encode_response(lie), liar)], net.now)
    assert node.machine.id == before


def test_forged_questions_do_not_make_a_lasting_member_give_up_its_id() -> None:
    net, nodes = dht()
    node = nodes[5]
    before = node.machine.id
    for number in range(200):
        forged = Address(f"66.0.{number}.1", 49737)
        lie = Request(1, Address("6.6.6.6", 6), node_id(forged), None, True, PING, None, None)
        node.machine.receive([Datagram(encode_request(lie), forged)], net.now)
        net.run(1)
    assert node.machine.id == before
    assert node.machine.host == node.host


@pytest.mark.parametrize("names", [{}, {"node.example": "11.0.0.7"}])
def test_a_bootstrap_node_is_found_by_name(names: dict[str, str]) -> None:
    net, _ = dht()
    net.names = names
    node = net.add(RpcOptions(bootstrap=(f"node.example:{SERVER_PORT}",))).start()
    net.run(5)
    assert node.machine.bootstrapped
    assert bool(node.machine.nodes()) == bool(names)


def test_a_bootstrap_node_that_moved_is_found_by_its_name() -> None:
    net, nodes = dht()
    net.names = {"node.example": nodes[0].host}
    bootstrap = (f"12.34.56.78@node.example:{SERVER_PORT}",)
    node = net.add(RpcOptions(bootstrap=bootstrap)).start()
    assert net.run_until(lambda: bool(node.machine.nodes()), 3)


def test_with_no_bootstrap_node_alive_it_is_ready_and_joins_when_one_is_back() -> None:
    net, nodes = dht()
    nodes[0].kill()
    node = net.add(joining(nodes)).start()
    assert net.run_until(lambda: node.machine.bootstrapped, 30)
    assert node.machine.nodes() == []
    nodes[0].revive()
    assert net.run_until(lambda: bool(node.machine.nodes()), 8 * TICK + 5)

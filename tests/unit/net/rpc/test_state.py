import random

from pearbox_edge.net.rpc import (
    CLIENT,
    SERVER,
    AddressChanged,
    BecameEphemeral,
    BecamePersistent,
    FirewallChanged,
    Question,
    RpcOptions,
)
from pearbox_edge.net.rpc.messages import decode
from pearbox_edge.net.rpc.state import NodeState
from pearbox_edge.wire import Address

HERE = Address("203.0.113.7", 4000)
THERE = Address("198.51.100.1", 4000)


def state(options: RpcOptions | None = None) -> NodeState:
    made = NodeState(options or RpcOptions(), 0.0, random.Random(1).randbytes, None)
    made.suspended = False
    return made


def test_a_firewalled_node_asks_from_its_client_socket() -> None:
    node = state()
    assert node.socket == CLIENT
    node.set_firewalled(False)
    node.set_firewalled(False)
    assert node.socket == SERVER
    assert node.events == [FirewallChanged(firewalled=False)]


def test_only_the_server_socket_of_a_lasting_member_says_its_id() -> None:
    node = state()
    assert node.id_for(SERVER) is None
    node.set_ephemeral(False)
    node.set_ephemeral(False)
    own = node.contacts.table.id
    assert (node.id_for(SERVER), node.id_for(CLIENT)) == (own, None)
    node.set_ephemeral(True)
    assert node.id_for(SERVER) is None
    assert node.events == [BecamePersistent(own), BecameEphemeral()]


def test_a_suspended_node_asks_nothing() -> None:
    node = state()
    node.suspended = True
    assert node.ask(Question(THERE, 0, internal=True)) is None


def test_a_question_is_encoded_for_its_socket() -> None:
    node = state()
    node.set_ephemeral(False)
    for socket, id_ in ((SERVER, node.id), (CLIENT, None)):
        asking = node.ask(Question(THERE, 0, internal=True), socket=socket)
        assert asking is not None and decode(asking.datagram).id == id_


def test_a_changed_address_is_told_once() -> None:
    node = state()
    for _ in range(3):
        node.sample(HERE)
    assert node.events == [AddressChanged(*HERE)]


def test_few_strangers_say_our_address_and_each_once() -> None:
    node = state(RpcOptions(bootstrap=("10.0.0.1:1", "10.0.0.2:1")))
    node.sample_stranger(THERE, HERE)
    node.sample_stranger(THERE, HERE)
    assert node.nat.size == 1
    node.sample_stranger(Address("10.0.0.9", 1), HERE)
    node.sample_stranger(Address("10.0.0.8", 1), HERE)
    assert node.nat.size == 2


def test_ticks_begin_between_half_and_all_of_the_count() -> None:
    offsets = {state().random_offset(100) for _ in range(3)}
    node = state()
    offsets |= {node.random_offset(100) for _ in range(300)}
    assert min(offsets) > 50 and max(offsets) <= 100 and len(offsets) > 30

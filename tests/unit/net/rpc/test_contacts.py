from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc import node_id
from pearbox_edge.net.rpc.contacts import (
    MAX_PER_HOST,
    MAX_UNASKED_PER_TICK,
    OLD_NODE,
    RECENT_NODE,
    Contacts,
)
from pearbox_edge.net.rpc.routing_table import K, TableNode
from pearbox_edge.wire import Address

HERE = Address("203.0.113.7", 4000)


class Case:
    def __init__(self) -> None:
        self.samples: list[Address] = []
        self.full: list[TableNode] = []
        self.contacts = Contacts(NodeId(bytes(32)), 100, self.samples.append, self.full.append)

    def hear(self, address: Address, *, sample: bool = True, asked: bool = True) -> None:
        self.contacts.heard_from(address, HERE, sample=sample, asked=asked)

    def fill(self) -> list[Address]:
        """Hear from nodes until a row is full; the addresses of that row."""
        number = 0
        while not self.full:
            number += 1
            self.hear(Address(f"20.{number >> 8}.{number & 255}.1", 1))
        return [node.address for node in self.contacts.table.row_of(self.full[0].id)]


def there(number: int) -> Address:
    return Address(f"20.0.{number >> 8}.{number & 255}", 49737)


def test_a_node_is_known_once_heard_of() -> None:
    case = Case()
    case.hear(there(1))
    assert [node.address for node in case.contacts] == [there(1)]
    assert case.samples == [HERE]


def test_the_order_is_by_when_they_were_last_heard_of() -> None:
    case = Case()
    for number in (1, 2, 3, 1):
        case.hear(there(number))
    assert [node.address for node in case.contacts.oldest(2)] == [there(2), there(3)]
    assert [node.address for node in case.contacts.latest(2)] == [there(1), there(3)]
    assert len(case.contacts.latest()) == 3


def test_each_node_says_our_address_once_in_half_an_hour() -> None:
    case = Case()
    for _ in range(3):
        case.hear(there(1))
    assert len(case.samples) == 1
    case.contacts.tick += OLD_NODE
    case.hear(there(1))
    assert len(case.samples) == 2


def test_what_came_to_the_other_socket_says_nothing_of_our_address() -> None:
    case = Case()
    case.hear(there(1))
    case.contacts.tick += OLD_NODE
    case.hear(there(1), sample=False)
    assert len(case.samples) == 1


def test_who_only_asks_has_no_vote_on_our_address() -> None:
    case = Case()
    case.hear(there(1), asked=False)
    case.hear(there(1), asked=False)
    assert len(case.contacts) == 1 and case.samples == []
    case.hear(there(1))
    assert case.samples == [HERE]


def test_a_full_row_reports_the_newcomer() -> None:
    case = Case()
    row = case.fill()
    assert len(row) == K
    assert case.full[0].address not in row


def test_the_node_longest_not_pinged_is_the_one_to_replace() -> None:
    case = Case()
    row = case.fill()
    contacts = case.contacts
    assert contacts.replaceable(case.full[0]) is None, "all were heard of in this tick"
    contacts.tick += RECENT_NODE
    for address in row[1:]:
        case.hear(address)
    oldest = contacts.replaceable(case.full[0])
    assert oldest is not None and oldest.address == row[0]


def test_an_old_node_heard_of_lately_stays() -> None:
    case = Case()
    row = case.fill()
    contacts = case.contacts
    contacts.tick += OLD_NODE + 1
    for address in row:
        case.hear(address)
    contacts.tick += RECENT_NODE - 1
    assert contacts.replaceable(case.full[0]) is None
    contacts.tick += 1
    assert contacts.replaceable(case.full[0]) is not None


def test_one_public_host_has_a_limited_share_of_the_table() -> None:
    case = Case()
    for port in range(1, 100):
        case.hear(Address("20.0.0.1", port))
    assert len(case.contacts) == MAX_PER_HOST
    assert case.contacts.refused == 99 - MAX_PER_HOST
    case.hear(there(5))
    assert len(case.contacts) == MAX_PER_HOST + 1


def test_a_laboratory_may_have_many_nodes_on_one_host() -> None:
    for host in ("127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.0.1"):
        case = Case()
        for port in range(1, 30):
            case.hear(Address(host, port))
        assert len(case.contacts) > MAX_PER_HOST


def test_strangers_that_ask_are_taken_up_slowly() -> None:
    case = Case()
    for number in range(250):
        case.hear(Address(f"20.{number}.0.1", 1), asked=False)
    assert len(case.contacts) <= MAX_UNASKED_PER_TICK
    known = len(case.contacts)
    case.contacts.tick += 1
    case.hear(Address("21.0.0.1", 1), asked=False)
    assert len(case.contacts) + len(case.full) > known


def test_a_removed_node_is_forgotten_and_only_once() -> None:
    case = Case()
    case.hear(there(1))
    node = case.contacts.oldest(1)[0]
    assert case.contacts.remove(node)
    assert not case.contacts.remove(node)
    assert len(case.contacts) == 0
    assert case.contacts.get(node.id) is None


def test_with_a_new_id_everybody_is_sorted_anew() -> None:
    case = Case()
    case.fill()
    own = there(9)
    case.hear(own)
    case.contacts.move_to(node_id(own))
    assert case.contacts.get(node_id(own)) is None
    assert {node.id for node in case.contacts} == {node.id for node in case.contacts.table}
    assert case.contacts.table.id == node_id(own)


def test_we_are_no_contact_of_our_own() -> None:
    case = Case()
    case.contacts.move_to(node_id(there(1)))
    case.hear(there(1))
    assert len(case.contacts) == 0

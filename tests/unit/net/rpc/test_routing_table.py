import random

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc.routing_table import K, RoutingTable, TableNode
from pearbox_edge.wire import Address

OWN = NodeId(bytes(32))


def node(id_: bytes) -> TableNode:
    made = TableNode(Address("10.0.0.1", 1))
    made.id = NodeId(id_)
    return made


def ids(count: int, seed: int = 1) -> list[NodeId]:
    chance = random.Random(seed)
    return [NodeId(chance.randbytes(32)) for _ in range(count)]


def filled(count: int, seed: int = 1) -> RoutingTable:
    table = RoutingTable(OWN)
    for id_ in ids(count, seed):
        table.add(node(id_))
    return table


def test_a_full_row_takes_nobody() -> None:
    table = RoutingTable(OWN)
    for last in range(K):
        assert table.add(node(b"\xff" * 31 + bytes((last,))))
    assert not table.add(node(b"\xff" * 32))
    assert len(table) == K
    assert table.add(node(b"\x7f" * 32))


def test_a_node_with_a_known_id_takes_the_old_ones_place() -> None:
    table = RoutingTable(OWN)
    old, new = node(b"\xff" * 32), node(b"\xff" * 32)
    assert table.add(old) and table.add(new)
    assert table.get(new.id) is new
    assert len(table) == 1


def test_a_removed_node_is_gone() -> None:
    table = filled(100)
    for id_ in ids(100):
        was_there = table.get(id_) is not None
        assert table.remove(id_) == was_there
        assert table.get(id_) is None
    assert len(table) == 0
    assert list(table) == []
    assert table.pick(7) is None


def test_the_memory_is_bounded_whoever_comes() -> None:
    table = filled(5000)
    assert len(table) < 20 * K


def test_the_closest_share_most_leading_bits() -> None:
    table = filled(500)
    target = ids(1, seed=2)[0]
    found = [n.id for n in table.closest(target)]
    assert len(found) == K == len(set(found))
    assert len(table.closest(target, 5)) == 5
    assert len(table.closest(target, 10_000)) == len(table)


def test_ones_own_id_belongs_to_the_last_row() -> None:
    table = RoutingTable(OWN)
    near = node(bytes(31) + b"\x01")
    table.add(near)
    assert table.closest(OWN) == [near]
    assert table.row_of(OWN) == (near,)


@given(st.integers(min_value=0, max_value=1 << 32))
def test_any_node_can_be_picked(number: int) -> None:
    table = filled(30)
    picked = table.pick(number)
    assert picked is not None and table.get(picked.id) is picked


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60))
def test_the_table_is_a_set_of_ids_with_room_in_rows(steps: list[tuple[bool, int]]) -> None:
    table = RoutingTable(OWN, k=3)
    known = ids(41)
    model: set[NodeId] = set()
    for adds, number in steps:
        id_ = known[number]
        if adds:
            has_room = id_ in model or len(table.row_of(id_)) < 3
            taken = table.add(node(id_))
            assert taken == has_room
            if taken:
                model.add(id_)
        else:
            assert table.remove(id_) == (id_ in model)
            model.discard(id_)
        assert {n.id for n in table} == model
        assert len(table) == len(model)

from pearbox_edge.data.replication.promises import Promises
from pearbox_edge.data.replication.requests import Outstanding, RequestTable


def ask(
    promises: Promises, table: RequestTable, block: int, steps: int, *, alone: bool = False
) -> tuple[Outstanding, int]:
    outstanding = table.add_block(1, block, 0)
    return outstanding, promises.shorten(outstanding, block, steps, alone=alone)


def test_a_neighbour_needs_no_path_of_its_own() -> None:
    promises, table = Promises(), RequestTable()
    first, steps = ask(promises, table, 0, 3)
    assert steps == 3
    second, steps = ask(promises, table, 1, 3)
    assert steps == 0
    assert second.relies_on == first.id
    third, steps = ask(promises, table, 2, 3)
    assert steps == 1
    assert third.relies_on == first.id
    fourth, steps = ask(promises, table, 3, 3)
    assert steps == 0
    assert fourth.relies_on == third.id


def test_all_blocks_of_a_tree_ask_for_each_node_once() -> None:
    promises, table = Promises(), RequestTable()
    asked = sum(ask(promises, table, block, 6)[1] for block in range(64))
    assert asked == 63


def test_an_urgent_request_relies_on_nothing() -> None:
    promises, table = Promises(), RequestTable()
    ask(promises, table, 0, 3)
    urgent, steps = ask(promises, table, 1, 3, alone=True)
    assert (steps, urgent.relies_on) == (3, 0)


def test_a_settled_promise_is_relied_on_no_more() -> None:
    promises, table = Promises(), RequestTable()
    first, _ = ask(promises, table, 0, 3)
    assert promises.near(1) == 0
    promises.settle(first)
    assert promises.near(1) is None
    assert ask(promises, table, 1, 3)[1] == 3


def test_a_promise_that_is_far_up_is_not_near() -> None:
    promises, table = Promises(), RequestTable()
    ask(promises, table, 0, 8)
    assert promises.near(130) is None
    assert ask(promises, table, 130, 8)[1] == 7

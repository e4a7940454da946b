from pearbox_edge.data.core import Bitfield
from pearbox_edge.data.replication.ranges import Done, Wishes
from pearbox_edge.errors import PearboxError, UnavailableError


class Told:
    def __init__(self) -> None:
        self.results: list[PearboxError | None] = []

    @property
    def done(self) -> Done:
        return self.results.append


def test_a_single_block_comes_true_when_it_arrives() -> None:
    wishes, told, held = Wishes(), Told(), Bitfield()
    wishes.add(7, 8, told.done, urgent=True)
    assert wishes.wants_block(7)
    held.set(7)
    wishes.arrived(held, [7])
    assert told.results == [None]
    assert not wishes.wants_block(7)
    assert not wishes


def test_a_range_comes_true_when_its_last_gap_closes() -> None:
    wishes, told, held = Wishes(), Told(), Bitfield()
    wishes.add(2, 5, told.done)
    for index in (4, 3):
        held.set(index)
        wishes.arrived(held, [index])
    assert told.results == []
    held.set(2)
    wishes.arrived(held, [2])
    assert told.results == [None]


def test_blocks_that_came_another_way_count_too() -> None:
    wishes, told, held = Wishes(), Told(), Bitfield()
    wishes.add(0, 3, told.done)
    wishes.add(1, 2, told.done, urgent=True)
    held.set_range(0, 3)
    wishes.check(held)
    assert told.results == [None, None]


def test_a_removed_wish_is_told_nothing() -> None:
    wishes, told, held = Wishes(), Told(), Bitfield()
    single, spread = wishes.add(1, 2, told.done, urgent=True), wishes.add(0, 3, told.done)
    assert wishes.covers(2)
    wishes.remove(single)
    wishes.remove(spread)
    wishes.remove(spread)
    assert not wishes.covers(1)
    held.set_range(0, 3)
    wishes.arrived(held, [0, 1, 2])
    assert told.results == []


def test_an_error_ends_all_wishes() -> None:
    wishes, told = Wishes(), Told()
    wishes.add(1, 2, told.done, urgent=True)
    wishes.add(0, 3, told.done)
    error = UnavailableError("closed")
    wishes.fail(error)
    assert told.results == [error, error]
    assert len(wishes) == 0


def test_a_lost_block_is_looked_at_again() -> None:
    wishes, told = Wishes(), Told()
    wish = wishes.add(0, 100, told.done)
    wish.cursors = {1: 50, 2: 10}
    wishes.rewind(20)
    assert wish.cursors == {1: 20, 2: 10}
    wishes.rewind(5, 2)
    assert wish.cursors == {1: 20, 2: 5}
    wishes.forget_peer(2)
    assert wish.cursors == {1: 20}
    wish.front = 30
    wishes.lost_blocks()
    assert (wish.front, wish.cursors) == (0, {})

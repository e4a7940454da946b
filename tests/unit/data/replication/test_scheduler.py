from pearbox_edge.data.core import Bitfield
from pearbox_edge.data.replication.ranges import Wishes
from pearbox_edge.data.replication.remote_bitfield import RemoteBitfield
from pearbox_edge.data.replication.requests import RequestTable
from pearbox_edge.data.replication.scheduler import (
    MAX_REFUSALS,
    WANT_SPAN,
    Source,
    choose,
    unknown_spans,
)
from pearbox_edge.errors import PearboxError


def nothing(error: PearboxError | None) -> None:
    pass


def full_source(number: int = 1, length: int = 100) -> Source:
    blocks = RemoteBitfield()
    blocks.add(0, length)
    return Source(number, blocks, servable=length)


def test_single_blocks_go_before_ranges() -> None:
    wishes, table = Wishes(), RequestTable()
    wishes.add(0, 10, nothing)
    wishes.add(50, 51, nothing, urgent=True)
    assert choose(full_source(), 3, wishes, table, Bitfield()) == [50, 0, 1]


def test_a_range_goes_on_where_it_stopped_and_leaves_out_what_is_held() -> None:
    wishes, table, held = Wishes(), RequestTable(), Bitfield()
    wishes.add(0, 10, nothing)
    held.set_range(2, 4)
    source = full_source()
    assert choose(source, 3, wishes, table, held) == [0, 1, 4]
    assert choose(source, 100, wishes, table, held) == [5, 6, 7, 8, 9]
    assert choose(source, 100, wishes, table, held) == []


def test_blocks_under_way_are_left_to_the_other_peer() -> None:
    wishes, table, held = Wishes(), RequestTable(), Bitfield()
    wishes.add(0, 4, nothing)
    wishes.add(3, 4, nothing, urgent=True)
    one, two = full_source(1), full_source(2)
    for index in choose(one, 2, wishes, table, held):
        table.add_block(1, index, 0)
    assert choose(two, 9, wishes, table, held) == [1, 2]


def test_a_lost_block_is_chosen_again() -> None:
    wishes, table, held = Wishes(), RequestTable(), Bitfield()
    wishes.add(0, 4, nothing)
    source = full_source()
    assert choose(source, 9, wishes, table, held) == [0, 1, 2, 3]
    wishes.rewind(2)
    assert choose(source, 9, wishes, table, held) == [2, 3]


def test_only_what_the_peer_holds_and_can_prove_is_chosen() -> None:
    wishes, table, held = Wishes(), RequestTable(), Bitfield()
    wishes.add(0, 100, nothing)
    blocks = RemoteBitfield()
    for index in (3, 7, 60, 90):
        blocks.add(index, 1)
    source = Source(1, blocks, servable=80, refused={7})
    assert choose(source, 9, wishes, table, held) == [3, 60]


def test_a_block_wanted_twice_is_chosen_once() -> None:
    wishes, table = Wishes(), RequestTable()
    wishes.add(1, 2, nothing, urgent=True)
    wishes.add(0, 3, nothing)
    wishes.add(0, 3, nothing)
    assert choose(full_source(), 9, wishes, table, Bitfield()) == [1, 0, 2]


def test_nothing_is_chosen_without_room_or_after_too_many_refusals() -> None:
    wishes, table = Wishes(), RequestTable()
    wishes.add(0, 3, nothing)
    source = full_source()
    assert choose(source, 0, wishes, table, Bitfield()) == []
    source.refusals = MAX_REFUSALS
    assert choose(source, 9, wishes, table, Bitfield()) == []


def test_maps_are_asked_for_once_where_the_peer_is_not_known_to_hold() -> None:
    wishes, held = Wishes(), Bitfield()
    length = 3 * WANT_SPAN
    wishes.add(5, length, nothing)
    wishes.add(WANT_SPAN + 1, WANT_SPAN + 2, nothing, urgent=True)
    source = Source(1, RemoteBitfield())
    assert sorted(unknown_spans(source, wishes, length, held)) == [0, WANT_SPAN, 2 * WANT_SPAN]
    assert list(unknown_spans(source, wishes, length, held)) == []


def test_no_map_is_asked_of_a_peer_that_holds_all() -> None:
    wishes = Wishes()
    wishes.add(0, 100, nothing)
    wishes.add(7, 8, nothing, urgent=True)
    assert list(unknown_spans(full_source(), wishes, 100, Bitfield())) == []

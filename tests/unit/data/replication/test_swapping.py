import asyncio

from pearbox_edge.data.replication.remote_bitfield import RemoteBitfield
from pearbox_edge.data.replication.requests import RequestTable
from pearbox_edge.data.replication.scheduler import Source
from pearbox_edge.data.replication.swapping import LEAST, MAX_COPIES, Pace, swaps
from tests.kit.replication import (
    BLOCKS,
    connected,
    copy_of,
    filled,
    make_store,
    settle,
    silent_peer,
)


def source(number: int, held: int = 100) -> Source:
    blocks = RemoteBitfield()
    blocks.add(0, held)
    return Source(number, blocks, servable=held)


def paced(seconds: float) -> Pace:
    pace = Pace()
    pace.begin(0.0)
    pace.answered(1, seconds)
    return pace


def owing(blocks: range) -> RequestTable:
    table = RequestTable()
    for block in blocks:
        table.add_block(1, block, 0)
    return table


def test_the_last_half_of_what_a_slow_peer_owes_is_asked_elsewhere() -> None:
    picks = swaps(source(2), paced(0.01), {1: paced(1.0)}.get, owing(range(8)), 1.0, 16)
    assert picks == [7, 6, 5, 4]


def test_a_peer_that_is_about_to_answer_is_left_alone() -> None:
    assert swaps(source(2), paced(0.01), {1: paced(0.01)}.get, owing(range(8)), 0.02, 16) == []


def test_a_peer_that_never_answered_is_slow_once_it_was_silent_for_a_while() -> None:
    silent = Pace()
    silent.begin(10.0)
    assert swaps(source(2), paced(0.01), {1: silent}.get, owing(range(2)), 10.1, 16) == []
    assert swaps(source(2), paced(0.01), {1: silent}.get, owing(range(2)), 11.0, 16) == [1]


def test_blocks_that_the_quick_peer_has_not_stay_where_they_are() -> None:
    assert swaps(source(2, 6), paced(0.01), {1: paced(1.0)}.get, owing(range(8)), 1.0, 16) == [5, 4]


def test_no_block_is_asked_for_too_often() -> None:
    table = owing(range(1))
    for peer in range(5, 4 + MAX_COPIES):
        table.add_block(peer, 0, 0)
    assert swaps(source(2), paced(0.01), {1: paced(1.0)}.get, table, 1.0, 16) == []


def test_a_slow_peer_is_asked_for_less() -> None:
    assert Pace().room(100) == 100
    assert paced(0.001).room(100) == 100
    assert paced(0.1).room(100) == 20
    assert paced(10.0).room(100) == LEAST


async def test_what_a_silent_peer_owes_is_brought_by_another_long_before_it_stalls() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:40])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
        async with silent_peer(two, core.key, length=40) as silent:
            reading = asyncio.ensure_future(copy.download(0, 40))
            while not silent.requests:
                await settle(1)
            async with connected(one, two, b"later"), asyncio.timeout(5):
                await reading
        assert silent.cancels
        assert await copy.get_many(0, 40) == BLOCKS[:40]


async def test_with_two_good_peers_no_block_is_fetched_twice() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS)
        other = await copy_of(two, core)
        async with connected(one, two):
            await other.download(0, len(BLOCKS))
        copy = await copy_of(three, core)
        async with connected(one, three, b"1"), connected(two, three, b"2"):
            await copy.update()
            await copy.download(0, len(BLOCKS))
            assert sum(link.traffic.blocks_received for link in three.links) == len(BLOCKS)
            assert all(link.traffic.blocks_received for link in three.links)

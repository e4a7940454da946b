"""Loading blocks: from disk in runs, from a peer as far as it goes, never after a truncation."""

import asyncio

import pytest

from pearbox_edge.data.bee import Hyperbee, Level, encode_index, encode_node
from pearbox_edge.data.bee.aio import _runs
from pearbox_edge.errors import PeerError, UnavailableError
from tests.kit.bees import filled_bee, new_bee, reader_of

HEADER = b"\x0a\x08hyperbee"


def test_neighbours_are_read_together_and_small_gaps_closed() -> None:
    assert list(_runs([1, 2, 4, 20], 0)) == [(1, 3), (4, 5), (20, 21)]
    assert list(_runs([1, 2, 4, 20], 1)) == [(1, 5), (20, 21)]
    assert list(_runs([1, 2, 3, 4, 5], 0, 2)) == [(1, 3), (3, 5), (5, 6)]
    assert list(_runs([], 8)) == []


async def grown_bee(count: int) -> Hyperbee:
    bee = await new_bee()
    async with bee.batch() as batch:
        for number in range(count):
            await batch.put(b"%05d" % number, b"v")
    return bee


async def test_a_reader_gets_one_key_with_few_blocks() -> None:
    bee = await grown_bee(3000)
    peer = await reader_of(bee.core)
    reader = Hyperbee(peer.target)
    entry = await reader.get(b"01234")
    assert entry is not None
    assert entry.value == b"v"
    await asyncio.sleep(0)
    assert len(peer.fetched) < 150
    await reader.close()


async def test_a_reader_lists_all_from_a_peer() -> None:
    bee = await grown_bee(700)
    peer = await reader_of(bee.core)
    reader = Hyperbee(peer.target)
    found = [entry.key async for entry in reader.range()]
    assert found == [b"%05d" % number for number in range(700)]
    assert len(peer.fetched) == len(set(peer.fetched))
    await reader.close()


async def test_a_block_that_was_only_guessed_at_does_not_hold_up_others() -> None:
    bee = await grown_bee(8)
    peer = await reader_of(bee.core)
    peer.withheld = {1, 2}
    reader = Hyperbee(peer.target)
    entry = await reader.get(b"00007")
    assert entry is not None
    with pytest.raises(UnavailableError):
        await reader.get(b"00000")
    await reader.close()


async def test_without_waiting_only_held_blocks_are_read() -> None:
    bee = await grown_bee(8)
    peer = await reader_of(bee.core)
    reader = Hyperbee(peer.target)
    with pytest.raises(UnavailableError) as caught:
        await reader.get(b"00003", wait=False)
    assert caught.value.code == "BLOCK_NOT_AVAILABLE"
    assert peer.fetched == []
    assert await reader.header(wait=False) is None
    await reader.get(b"00003")
    assert await reader.get(b"00003", wait=False) is not None
    await reader.close()


async def test_a_lookup_ends_after_its_timeout() -> None:
    bee = await grown_bee(8)
    peer = await reader_of(bee.core)
    stuck = asyncio.Event()

    async def never(start: int, end: int) -> None:
        await stuck.wait()

    peer.fetch_range = never  # type: ignore[method-assign]
    reader = Hyperbee(peer.target)
    with pytest.raises(UnavailableError):
        await reader.get(b"00003", timeout=0.01)
    await reader.close()


async def test_an_error_names_the_core() -> None:
    bee = await filled_bee([HEADER, b"garbage"])
    with pytest.raises(PeerError, match=bee.core.key[:4].hex()):
        await bee.get(b"a")
    with pytest.raises(PeerError, match=bee.core.key[:4].hex()):
        [step async for step in bee.history()]
    bee = await filled_bee([b"no header"])
    with pytest.raises(PeerError, match=bee.core.key[:4].hex()):
        await bee.header()


async def test_history_of_huge_blocks_comes_in_parts_that_fit_in_memory() -> None:
    index = encode_index([Level([1], [])])
    blocks = [encode_node(b"k", bytes(3 << 20), index) for _ in range(3)]
    bee = await filled_bee([HEADER, *blocks])
    view = bee.snapshot()
    assert [step.seq async for step in view.history()] == [1, 2, 3]
    assert [step.seq async for step in view.history(reverse=True)] == [3, 2, 1]


async def test_blocks_read_during_a_truncation_are_not_kept() -> None:
    bee = await grown_bee(50)
    bee._loader.nodes.truncate(0)
    core, read = bee.core, bee.core.get_many

    async def cut_meanwhile(start: int, end: int, *, timeout: float | None = None) -> list[bytes]:
        blocks = await read(start, end, timeout=timeout)
        await core.truncate(10)
        return blocks

    core.get_many = cut_meanwhile  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await bee.get(b"00001")
    assert len(bee._loader.nodes) == 0
    core.get_many = read  # type: ignore[method-assign]

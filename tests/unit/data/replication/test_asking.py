import asyncio

import pytest

from pearbox_edge.data.core import BlockPart, BlockRequest, Proof
from pearbox_edge.data.replication import Replicator, asking
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.errors import PeerError, UnavailableError
from tests.kit.replication import (
    BLOCKS,
    connected,
    copy_of,
    filled,
    make_store,
    settle,
    silent_peer,
)
from tests.kit.wire_messages import joined


async def test_only_what_is_read_is_fetched() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two):
            assert await copy.get(123) == BLOCKS[123]
            assert await copy.get_many(200, 203) == BLOCKS[200:203]
            assert two.links[0].traffic.blocks_received == 4


async def test_what_was_held_before_is_not_fetched_again() -> None:
    storage = MemoryStorage()
    async with make_store(1) as one:
        core = await filled(one, BLOCKS[:50])
        async with make_store(2, storage) as two:
            copy = await copy_of(two, core)
            async with connected(one, two):
                await copy.update()
                await copy.download(10, 40)
        await core.append(BLOCKS[50:60])
        async with make_store(2, storage) as two:
            copy = await copy_of(two, core)
            assert copy.length == 50
            async with connected(one, two, b"again"):
                await copy.update()
                await copy.download(0, 60)
                assert two.links[0].traffic.blocks_received == 30
                assert await copy.get_many(0, 60) == BLOCKS[:60]


async def test_two_sparse_copies_fill_each_other() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS)
        left, right = await copy_of(two, core), await copy_of(three, core)
        async with connected(one, two), connected(one, three):
            await left.update()
            await right.update()
            await left.download(0, 100)
            await right.download(100, 300)
        async with connected(two, three, b"later"):
            await left.download(0, 300)
            await right.download(0, 300)
            assert await left.get_many(0, 300) == await right.get_many(0, 300) == BLOCKS


async def test_several_peers_share_the_work() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS * 5)
        second = await copy_of(two, core)
        async with connected(one, two):
            await second.update()
            await second.download(0, 1500)
        third = await copy_of(three, core)
        async with connected(one, three, b"1"), connected(two, three, b"2"):
            await third.update()
            await settle()
            await third.download(0, 1500)
            received = [link.traffic.blocks_received for link in three.links]
            assert sum(received) == 1500
            assert min(received) > 100


async def test_what_a_lost_peer_owed_is_asked_elsewhere() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            async with silent_peer(two, core.key, length=300) as silent:
                await copy.update()
                done = asyncio.ensure_future(copy.download(0, 300))
                await settle()
                assert not done.done()
                assert silent.requests
            await done
            assert await copy.get_many(0, 300) == BLOCKS


async def test_bad_data_drops_the_peer_and_the_others_go_on() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            await copy.update()

            def lie(request: m.Request) -> bytes | None:
                block = request.want.block
                if block is None:
                    return None
                proof = Proof(0, BlockPart(block.index, b"a lie", []))
                return joined(m.encode_data(m.Data(request.id, proof)))

            async with silent_peer(two, core.key, length=300, answer=lie) as liar:
                await settle()
                await copy.download(0, 300)
                with pytest.raises(PeerError) as caught:
                    await liar.replicating
                assert caught.value.code in {"INVALID_PROOF", "INVALID_OPERATION"}
            assert await copy.get_many(0, 300) == BLOCKS


async def test_a_peer_that_refuses_is_passed_over() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)

        def refuse(request: m.Request) -> bytes | None:
            return m.encode_no_data(m.NoData(request.id, 1))

        async with silent_peer(two, core.key, length=300, answer=refuse) as peer:
            await settle()
            async with connected(one, two, b"good"):
                await copy.update()
                await copy.download(0, 300)
            assert not peer.replicating.done()


async def test_a_reader_that_gives_up_cancels_its_requests() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            await copy.update()
        async with silent_peer(two, core.key, length=300) as silent:
            await settle()
            with pytest.raises(UnavailableError):
                await copy.get(7, timeout=0.01)
            await settle()
            assert [one.want.block for one in silent.requests] == [BlockRequest(7, 8)]
            assert silent.cancels == [silent.requests[0].id]


async def test_cleared_blocks_are_taken_back_and_then_fetched_elsewhere() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS)
        second, third = await copy_of(two, core), await copy_of(three, core)
        async with connected(one, two, b"12"), connected(one, three, b"13"):
            await second.update()
            await third.update()
            await second.download(0, 300)
            await core.clear(50, 60)
            await settle()
            waiting = asyncio.ensure_future(third.download(0, 300))
            await settle(200)
            assert not waiting.done()
            async with connected(two, three, b"23"):
                await waiting


async def test_how_much_peers_hold_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SAVE_SECONDS", 0.0)
    storage = MemoryStorage()
    async with make_store(1, storage) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:50])
        copy = await copy_of(two, core)
        replicator = core.fetcher
        assert isinstance(replicator, Replicator)
        async with connected(one, two):
            await copy.update()
            await copy.download(0, 50)
            await copy.settled()
            await settle()
            assert replicator.remote_contiguous_length == 50
            await settle()
    async with make_store(1, storage) as one:
        core = await one.get("db")
        assert isinstance(core.fetcher, Replicator)
        assert core.fetcher.remote_contiguous_length == 50
        await core.truncate(7)
        assert core.fetcher.remote_contiguous_length == 7


async def test_a_head_that_is_gone_when_it_is_asked_for_does_not_count_against_the_next() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await one.get("db")
        copy = await copy_of(two, core)
        async with connected(one, two):
            await settle()
            await core.append([b"x"])
            await core.truncate(1)
            async with asyncio.timeout(5):
                while copy.fork == 0:
                    await copy.update()
            assert (copy.length, copy.fork) == (1, 1)

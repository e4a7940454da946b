import asyncio

import pytest

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


async def test_a_whole_core_is_copied() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            assert copy.length == len(BLOCKS)
            await copy.download(0, copy.length)
            assert await copy.get_many(0, copy.length) == BLOCKS
            assert two.links[0].traffic.blocks_received == len(BLOCKS)
            assert one.links[0].traffic.bytes_sent == sum(map(len, BLOCKS))


async def test_appends_are_followed_live() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, [])
        copy = await copy_of(two, core)
        async with connected(one, two):
            waiting = asyncio.ensure_future(copy.get(1))
            await settle()
            await core.append([b"a"])
            await core.append([b"b", b"c"])
            assert await waiting == b"b"
            await copy.update()
            assert copy.length == 3


async def test_a_peer_that_does_not_answer_is_dropped() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two, b"good"):
            async with silent_peer(two, core.key, length=300) as silent:
                await copy.update()
                done = asyncio.ensure_future(copy.download(0, 300))
                await settle()
                now = asyncio.get_running_loop().time()
                stalled = next(link for link in two.links if link.peers[0].stalls_at())
                stalled.expire(now + 5)
                with pytest.raises(PeerError):
                    stalled.expire(now + 60)
                stalled.fail(PeerError("stalled"))
                with pytest.raises(PeerError):
                    await silent.replicating
            await done


async def test_an_update_returns_at_once_when_nobody_has_news() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:3])
        copy = await copy_of(two, core)
        assert not await copy.update()
        async with connected(one, two):
            await settle()
            await copy.update()
            assert copy.length == 3
            async with asyncio.timeout(1):
                assert not await copy.update()


async def test_an_update_waits_while_peers_are_being_found() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:3])
        copy = await copy_of(two, core)
        with two.finding_peers():
            update = asyncio.ensure_future(copy.update())
            await settle()
            assert not update.done()
            async with connected(one, two):
                assert await update
        async with asyncio.timeout(1):
            assert not await copy.update()


async def test_bytes_are_found_without_fetching_what_is_before_them() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        offset = sum(map(len, BLOCKS[:211])) + 5
        async with connected(one, two):
            await copy.update()
            assert await copy.seek(offset) == (211, 5)
            assert two.links[0].traffic.blocks_received == 0


async def test_a_truncated_core_is_followed_to_its_new_fork() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            await copy.download(0, 20)
            await core.truncate(12)
            await core.append([b"other", b"end"])
            await settle()
            assert await copy.get(13) == b"end"
            assert (copy.fork, copy.length) == (1, 14)
            assert await copy.get_many(0, 13) == [*BLOCKS[:12], b"other"]


async def test_an_encrypted_core_is_copied_by_who_cannot_read_it() -> None:
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await one.get("db", encryption_key=b"e" * 32)
        await core.append(BLOCKS[:30])
        blind = await copy_of(two, core)
        reader = await three.get(key=core.key, encryption_key=b"e" * 32)
        async with connected(one, two):
            await blind.update()
            await blind.download(0, 30)
        async with connected(two, three):
            await reader.update()
            assert await reader.get_many(0, 30) == BLOCKS[:30]
            assert await reader.seek(sum(map(len, BLOCKS[:17])) + 2) == (17, 2)


async def test_nothing_is_left_behind_when_streams_end() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        before = asyncio.all_tasks()
        async with connected(one, two):
            await copy.update()
            waiting = asyncio.ensure_future(copy.download(0, 300))
            await asyncio.sleep(0)
        assert two.links == one.links == []
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        leftover = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not {name for name in leftover if "replicate" in name}
        assert len(leftover) <= 1  # the committer of the core that received blocks


async def test_a_closed_core_fails_its_readers() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, [])
        copy = await copy_of(two, core)
        waiting = asyncio.ensure_future(copy.get(5))
        await settle()
    with pytest.raises(UnavailableError):
        await waiting

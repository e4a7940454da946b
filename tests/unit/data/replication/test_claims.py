import asyncio

import pytest

from pearbox_edge.data.core import BlockPart, CoreListener, Hypercore, Proof
from pearbox_edge.data.replication import Replicator, claims
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
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


class Alarm(CoreListener):
    rang = False

    def on_conflict(self) -> None:
        self.rang = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CHECK_SECONDS", 0.3)


def replicator(core: Hypercore) -> Replicator:
    assert isinstance(core.fetcher, Replicator)
    return core.fetcher


async def frozen(*cores: Hypercore) -> None:
    async with asyncio.timeout(5):
        while not all(core.conflicted for core in cores):
            await settle(1)


async def copied(store: Corestore, core: Hypercore, source: Corestore) -> Hypercore:
    copy = await copy_of(store, core)
    async with connected(source, store, b"copy"):
        await copy.update()
        await copy.download(0, copy.length)
    return copy


async def test_who_sees_two_signed_heads_freezes_the_core_and_shows_both_to_all() -> None:
    storage = MemoryStorage()
    async with make_store(1) as writer, make_store(1) as twin, make_store(2, storage) as two:
        one, other = await filled(writer, BLOCKS[:5]), await filled(twin, BLOCKS[10:17])
        assert one.key == other.key
        copy = await copied(two, one, writer)
        alarm = Alarm()
        copy.add_listener(alarm)
        fine = await filled(writer, BLOCKS[:9], "fine")
        copy_of_fine = await copy_of(two, fine)
        async with connected(writer, two, b"1"), connected(twin, two, b"2"):
            await frozen(copy, other, one)
            assert alarm.rang
            with pytest.raises(UnavailableError, match=copy.key[:4].hex()) as caught:
                await copy.get(6)
            assert caught.value.code == "CONFLICT"
            with pytest.raises(UnavailableError):
                await copy.update()
            with pytest.raises(UnavailableError):
                await one.append([b"more"])
            assert await copy.get(3) == BLOCKS[3]
            await settle()
            assert replicator(copy).peers == []
            await copy_of_fine.update()
            assert await copy_of_fine.get(8) == BLOCKS[8]
    again = make_store(2, storage)
    async with again, make_store(1) as writer:
        one = await filled(writer, BLOCKS[:5])
        core = await again.get(key=one.key)
        assert core.conflicted
        async with connected(writer, again):
            await settle()
            assert replicator(core).peers == replicator(one).peers == []


async def test_two_heads_of_one_length_are_seen_by_a_block_that_is_not_the_signed_one() -> None:
    async with make_store(1) as writer, make_store(1) as twin, make_store(2) as two:
        one, other = await filled(writer, BLOCKS[:5]), await filled(twin, BLOCKS[10:15])
        copy = await copy_of(two, one)
        async with connected(writer, two, b"1"):
            await copy.update()
        async with connected(twin, two, b"2"):
            with pytest.raises(UnavailableError):
                await copy.get(2)
            await frozen(copy, other)


async def test_a_liar_that_shows_no_other_head_is_dropped() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()

        def answer(request: m.Request) -> bytes | None:
            block = request.want.block
            if block is None:
                return None
            part = BlockPart(block.index, b"rubbish", [])
            proof = Proof(0, part)
            return b"".join(m.encode_data(m.Data(request.id, proof)))

        async with silent_peer(two, core.key, length=20, answer=answer) as liar:
            reading = asyncio.ensure_future(copy.get(7))
            with pytest.raises(PeerError):
                await liar.replicating
            assert any(request.id == 0 for request in liar.requests) or liar.requests
            async with connected(one, two, b"later"):
                assert await reading == BLOCKS[7]
        assert not copy.conflicted


async def test_pushed_blocks_come_with_the_head_they_need() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        replicator(copy).set_allow_push(True)
        async with connected(one, two):
            await copy.update()
            assert await replicator(core).push(3) == 1
            await settle()
            assert copy.has(3)
            replicator(copy).wishes.fail(UnavailableError("nothing is asked for"))
            await core.append(BLOCKS[20:30])
            assert await replicator(core).push(25) == 1
            await settle(200)
            assert (copy.length, copy.has(25)) == (30, True)


async def test_nothing_is_pushed_to_who_does_not_allow_it() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            assert await replicator(core).push(3) == 0
            await settle()
            assert not copy.has(3)


async def test_pushes_to_who_does_not_allow_them_get_their_peer_dropped() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
        proof = Proof(0, BlockPart(1, BLOCKS[1], []))
        async with silent_peer(two, core.key, length=20) as pushing:
            await asyncio.sleep(0.01)
            for _ in range(100):
                data = b"".join(m.encode_data(m.Data(0, proof)))
                pushing.channel.send(m.MessageType.DATA, data)
            with pytest.raises(PeerError):
                await pushing.replicating
        assert not copy.has(1)


@pytest.mark.parametrize("turns", range(7))
async def test_an_append_while_another_head_is_on_its_way_shows_the_conflict(turns: int) -> None:
    async with make_store(1) as one, make_store(1) as two:
        left, right = await one.get("db"), await two.get("db")
        async with connected(one, two):
            await settle()
            await left.append(BLOCKS[:5])
            await settle(turns)
            await right.append(BLOCKS[10:13])
            await frozen(left, right)

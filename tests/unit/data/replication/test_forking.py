import asyncio

import pytest

from pearbox_edge.data.core import Proof, ProofRequest, UpgradeRequest
from pearbox_edge.data.replication import messages as m
from pearbox_edge.errors import PeerError
from tests.kit.replication import BLOCKS, connected, copy_of, filled, make_store, silent_peer


async def test_only_what_differs_is_fetched_again_after_a_truncation() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS)
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            await copy.download(0, 300)
            await core.truncate(201)
            await core.append(BLOCKS[:80])
            while copy.fork == 0:
                await copy.update()
            assert copy.contiguous_length == 201
            before = two.links[0].traffic.blocks_received
            while copy.length < 281:
                await copy.update()
            await copy.download(0, 281)
            assert two.links[0].traffic.blocks_received - before == 80
            assert await copy.get_many(0, 281) == BLOCKS[:201] + BLOCKS[:80]


async def test_a_reader_of_many_forks_ends_where_the_writer_is() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            await copy.download(0, 20)
            snapshot = copy.snapshot()
            for length in (19, 18, 11, 5):
                await core.truncate(length)
                await core.append([b"%d" % length])
            while (copy.fork, copy.length) != (4, 6):
                await copy.update()
            assert await copy.get_many(0, 6) == [*BLOCKS[:5], b"5"]
            assert await snapshot.get(4) == BLOCKS[4]
            assert not snapshot.has(5)


async def test_a_peer_that_will_not_tell_what_is_common_costs_only_blocks() -> None:
    """Its refusal ends the narrowing: what is known by then is kept."""
    async with make_store(1) as one, make_store(2) as two, make_store(3) as three:
        core = await filled(one, BLOCKS[:21])
        copy, sparse = await copy_of(two, core), await copy_of(three, core)
        async with connected(one, two):
            await copy.update()
            await copy.download(0, 21)
        await core.truncate(13)
        await core.append(BLOCKS[:9])
        async with connected(one, three):
            await sparse.update()
        async with connected(two, three):
            while copy.fork == 0:
                await copy.update()
        assert (copy.length, copy.contiguous_length) == (22, 0)


async def test_a_forged_head_of_a_higher_fork_gets_its_peer_dropped() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:20])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
        head = await core.prove_many([ProofRequest(0, upgrade=UpgradeRequest(0, 20))])
        async with silent_peer(two, core.key, length=0) as liar:
            await asyncio.sleep(0.01)
            proof = head[0]
            assert isinstance(proof, Proof)
            forged = Proof(9, upgrade=proof.upgrade)
            liar.channel.send(m.MessageType.DATA, b"".join(m.encode_data(m.Data(0, forged))))
            with pytest.raises(PeerError) as caught:
                await liar.replicating
            assert caught.value.code == "INVALID_SIGNATURE"
        assert copy.fork == 0

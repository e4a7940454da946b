import asyncio

from pearbox_edge.data.core import BlockRequest, ProofRequest
from pearbox_edge.data.replication import Peer, Replicator
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.replication.messages import MessageType
from tests.kit.replication import (
    BLOCKS,
    connected,
    copy_of,
    filled,
    make_store,
    settle,
    silent_peer,
)


async def test_idle_channels_are_closed_and_opened_again_on_demand() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await filled(one, BLOCKS[:9])
        copy = await copy_of(two, core)
        async with connected(one, two):
            await copy.update()
            for store in (one, two):
                for link in store.links:
                    for peer in link.peers:
                        owner_of(peer).set_downloading(False)
            await settle()
            assert [link.peers for link in (*one.links, *two.links)] == [[], []]
            assert await copy.get(4) == BLOCKS[4]


async def test_invalid_requests_are_refused_ever_more_slowly() -> None:
    async with make_store(1) as one:
        core = await filled(one, BLOCKS[:9])
        async with silent_peer(one, core.key, length=0) as peer:
            await settle()
            want = ProofRequest(0, BlockRequest(3, 40))
            peer.channel.send(MessageType.REQUEST, m.encode_request(m.Request(1, want)))
            missing = ProofRequest(0, BlockRequest(99, 0))
            peer.channel.send(MessageType.REQUEST, m.encode_request(m.Request(2, missing)))
            async with asyncio.timeout(5):
                await peer.refused_twice.wait()
            assert peer.refused == [m.NoData(1, 2), m.NoData(2, 1)]


async def test_wants_are_answered_with_the_map() -> None:
    async with make_store(1) as one:
        core = await filled(one, BLOCKS[:100])
        async with silent_peer(one, core.key, length=0) as peer:
            await settle()
            peer.said.clear()
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 21)))
            await settle()
            assert peer.said == [m.Range(0, 100)]
            await core.clear(10, 99)
            await settle()
            peer.said.clear()
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 21)))
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(32, 64, any=True)))
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(0, 1 << 22)))
            peer.channel.send(MessageType.WANT, m.encode_want(m.Want(64, 64, any=True)))
            await settle()
            words = b"\xff\x03" + bytes(10) + b"\x08\0\0\0"
            assert peer.said == [m.BitfieldMessage(0, words), m.Range(99, 1)]


def owner_of(peer: Peer) -> Replicator:
    owner = peer._owner
    assert isinstance(owner, Replicator)
    return owner

"""Questions and answers between nodes on sockets of this machine."""

import pytest

from pearbox_edge.crypto import KeyPair, hash_bytes
from pearbox_edge.errors import DeniedError, UnavailableError, UsageError
from pearbox_edge.ids import PublicKey, Topic
from pearbox_edge.net.dht import Dht
from pearbox_edge.wire import Address
from tests.kit.dht import network

ALICE = KeyPair.from_seed(bytes(31) + b"a")
BOB = KeyPair.from_seed(bytes(31) + b"b")
TOPIC = Topic(bytes(range(32)))
RELAYS = (Address("9.9.9.9", 1),)


async def listed(dht: Dht, topic: Topic) -> set[PublicKey]:
    return {peer.public_key async for found in dht.client.lookup(topic) for peer in found.peers}


async def test_who_announces_is_found_until_it_unannounces() -> None:
    async with network(4) as nodes:
        one, two, three = nodes[1:4]
        assert await listed(three, TOPIC) == set()
        assert await one.client.announce(TOPIC, ALICE, RELAYS) == []
        before = await two.client.announce(TOPIC, BOB, bump=7)
        assert {peer.public_key for found in before for peer in found.peers} == {ALICE.public_key}
        assert await listed(three, TOPIC) == {ALICE.public_key, BOB.public_key}
        found = [listing async for listing in three.client.lookup(TOPIC)]
        assert max(listing.bump for listing in found) == 7
        assert all(listing.to == three.node.address for listing in found)
        assert await one.client.unannounce(TOPIC, ALICE) > 0
        assert await listed(three, TOPIC) == {BOB.public_key}
        assert await one.client.unannounce(TOPIC, ALICE) == 0


async def test_a_machine_that_announced_its_own_key_is_found_by_it() -> None:
    async with network(4) as nodes:
        topic = Topic(hash_bytes(ALICE.public_key))
        await nodes[1].client.announce(topic, ALICE, RELAYS)
        found = [answer async for answer in nodes[2].client.find_peer(ALICE.public_key)]
        assert found
        assert all(answer.peer.relay_addresses == RELAYS for answer in found)
        assert [answer async for answer in nodes[2].client.find_peer(BOB.public_key)] == []


async def test_an_immutable_value_is_found_by_its_hash() -> None:
    async with network(4) as nodes:
        target = await nodes[1].client.put_immutable(b"kept by others")
        assert target == hash_bytes(b"kept by others")
        assert await nodes[2].client.get_immutable(target) == b"kept by others"
        assert await nodes[2].client.get_immutable(bytes(32)) is None
        with pytest.raises(UsageError):
            await nodes[1].client.put_immutable(bytes(2000))


async def test_a_mutable_value_is_its_owners_newest() -> None:
    async with network(4) as nodes:
        put, get = nodes[1].client.put_mutable, nodes[2].client.get_mutable
        assert await get(ALICE.public_key) is None
        first = await put(ALICE, b"one", 1)
        assert await get(ALICE.public_key) == first
        assert await put(ALICE, b"one", 1) == first
        second = await put(ALICE, b"two", 2)
        assert await get(ALICE.public_key, latest=False) == second
        assert await get(ALICE.public_key, 3) is None
        with pytest.raises(DeniedError) as reused:
            await put(ALICE, b"three", 2)
        assert reused.value.code == "SEQ_REUSED"
        with pytest.raises(DeniedError) as low:
            await put(ALICE, b"three", 1)
        assert low.value.code == "SEQ_TOO_LOW"


async def test_alone_nothing_is_stored() -> None:
    async with network(0) as nodes:
        with pytest.raises(UnavailableError):
            await nodes[0].client.announce(TOPIC, ALICE)
        with pytest.raises(UnavailableError):
            await nodes[0].client.put_mutable(ALICE, b"x")
        assert await listed(nodes[0], TOPIC) == set()

"""Servers and the nodes that know them, on sockets of this machine."""

import asyncio

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import UsageError
from pearbox_edge.net.dht import Dht, DhtOptions
from pearbox_edge.net.noise import SecretStream
from tests.kit.dht import network, rpc_options

ALICE = KeyPair.from_seed(bytes(31) + b"a")
BOB = KeyPair.from_seed(bytes(31) + b"b")


async def is_known(dht: Dht) -> bool:
    return bool([found async for found in dht.client.find_peer(ALICE.public_key)])


async def test_a_server_is_known_while_it_listens() -> None:
    async with network(5) as nodes:
        async with nodes[1].listen(ALICE, SecretStream.abort) as server:
            assert server.public_key == ALICE.public_key
            assert 1 <= len(server.relay_addresses()) <= 3
            assert server.relay_addresses()[0] == nodes[1].node.server_address
            assert await is_known(nodes[2])
        assert not await is_known(nodes[2])
        assert nodes[1].service.servers == {}


async def test_two_servers_of_one_key_are_a_mistake() -> None:
    async with network(2) as nodes, nodes[1].listen(ALICE, SecretStream.abort):
        with pytest.raises(UsageError):
            async with nodes[1].listen(ALICE, SecretStream.abort):
                pass
        assert len(nodes[1].service.servers) == 1


async def test_a_server_alone_in_the_world_still_answers_who_asks_it_itself() -> None:
    accepted: asyncio.Queue[SecretStream] = asyncio.Queue()
    async with (
        Dht(DhtOptions(rpc_options())) as alone,
        Dht(DhtOptions(rpc_options(persistent=False))) as client,
        alone.listen(ALICE, accepted.put_nowait) as server,
    ):
        assert server.relay_addresses() == ()
        where = alone.node.server_address
        stream = await client.connect(ALICE.public_key, BOB, relays=(where,))
        stream.send([(b"hello",)])
        other = await accepted.get()
        assert [bytes(m) for m in await other.receive()] == [b"hello"]
        stream.abort()
        other.abort()


async def test_a_refused_client_hears_nothing() -> None:
    async with network(4) as nodes:
        refused: list[bytes] = []

        def refuses(public_key: bytes, _remote: object, _address: object) -> bool:
            refused.append(public_key)
            return True

        async with nodes[1].listen(ALICE, SecretStream.abort, refuses=refuses):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await nodes[3].connect(ALICE.public_key, BOB)
        assert refused == [BOB.public_key]


async def test_a_server_whose_network_changed_announces_again() -> None:
    async with network(5) as nodes, nodes[1].listen(ALICE, SecretStream.abort) as server:
        target = server.target
        for dht in nodes:
            dht.service.router.delete(target)
        assert not await is_known(nodes[2])
        server.refresh()
        async with asyncio.timeout(5):
            while not await is_known(nodes[2]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_streams_go_on_when_their_server_closes() -> None:
    accepted: asyncio.Queue[SecretStream] = asyncio.Queue()
    async with network(4) as nodes:
        async with nodes[1].listen(ALICE, accepted.put_nowait):
            stream = await nodes[3].connect(ALICE.public_key, BOB)
            other = await accepted.get()
        other.send([(b"still here",)])
        assert [bytes(m) for m in await stream.receive()] == [b"still here"]
        stream.abort()
        other.abort()

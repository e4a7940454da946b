import asyncio
import os

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.net.dht import Command, Dht, DhtOptions
from pearbox_edge.net.dht.messages import (
    Mode,
    PassedHandshake,
    decode_handshake,
    encode_handshake,
)
from pearbox_edge.net.dht.router import Route
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.rpc import UNKNOWN_COMMAND, IncomingRequest
from tests.kit.dht import network, rpc_options

TARGET = bytes(range(32))


async def test_a_lasting_member_answers_and_an_ephemeral_one_refuses() -> None:
    async with network(2) as nodes:
        here, there = nodes[1].node, nodes[2].node
        reply = await here.request(there.server_address, Command.LOOKUP, target=TARGET)
        assert reply.error == 0 and reply.token is not None
        known = nodes[0].node.server_address
        async with Dht(DhtOptions(rpc_options(known, persistent=False))) as ephemeral:
            await ephemeral.ready()
            asked = ephemeral.node.address
            refused = await here.request(asked, Command.LOOKUP, target=TARGET)
            assert refused.error == UNKNOWN_COMMAND


async def test_questions_that_cannot_be_read_get_silence() -> None:
    async with network(2) as nodes:
        there = nodes[2].node.server_address
        with pytest.raises(UnavailableError):
            await nodes[1].node.request(there, Command.PEER_HANDSHAKE, value=b"\xff", retries=0)


async def test_a_handshake_is_passed_on_and_the_answer_comes_back() -> None:
    async with network(3) as nodes:
        client, relay, server = nodes[1:4]
        address = server.node.server_address
        relay.service.router.set(TARGET, Route(address, b""), 1e12)
        answer = PassedHandshake(Mode.FROM_SERVER, b"message 2", client.node.server_address)
        value = encode_handshake(PassedHandshake(Mode.FROM_CLIENT, b"message 1"))

        def handler(request: IncomingRequest) -> bool:
            server.node.relay(request, encode_handshake(answer), request.sender)
            return True

        server.node.handler = handler
        reply = await client.node.request(
            relay.node.server_address, Command.PEER_HANDSHAKE, target=TARGET, value=value
        )
        assert reply.value is not None
        assert decode_handshake(reply.value) == PassedHandshake(Mode.REPLY, b"message 2", address)


async def test_it_is_used_with_async_with() -> None:
    dht = Dht(DhtOptions(rpc_options()), random_bytes=os.urandom)
    with pytest.raises(UsageError):
        _ = dht.udx


async def test_after_the_end_questions_fail() -> None:
    async with network(1) as nodes:
        dht = nodes[1]
    with pytest.raises(UnavailableError):
        await dht.client.get_immutable(bytes(32))


ALICE = KeyPair.from_seed(bytes(31) + b"a")


async def is_known(dht: Dht) -> bool:
    return bool([found async for found in dht.client.find_peer(ALICE.public_key)])


async def until_known(dht: Dht) -> None:
    async with asyncio.timeout(5):
        while not await is_known(dht):  # noqa: ASYNC110 (another machine: nothing tells us)
            await asyncio.sleep(0.02)


async def test_a_suspended_peer_is_known_to_nobody_and_back_after_it_resumes() -> None:
    async with network(5) as nodes:
        suspended, other = nodes[1], nodes[3]
        accepted: asyncio.Queue[SecretStream] = asyncio.Queue()
        async with suspended.listen(ALICE, accepted.put_nowait):
            where = suspended.node.server_address
            stream = await other.connect(ALICE.public_key, ALICE)
            dropped = await accepted.get()
            await suspended.suspend()
            assert not any(len(dht.service.router) for dht in nodes)
            with pytest.raises(UnavailableError):
                await dropped.receive()
            stream.abort()
            suspended.resume()
            assert suspended.node.server_address == where
            await until_known(other)
            again = await other.connect(ALICE.public_key, ALICE)
            again.abort()


async def test_after_a_change_of_the_network_a_server_is_announced_again() -> None:
    async with network(5) as nodes, nodes[1].listen(ALICE, SecretStream.abort) as server:
        for dht in nodes:
            dht.service.router.delete(server.target)
        nodes[1].network_changed()
        await until_known(nodes[3])

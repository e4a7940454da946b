"""Dialling servers by their key, on sockets of this machine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.net.dht import Command, Dht, DhtOptions
from pearbox_edge.net.dht.messages import Mode, PassedHandshake, encode_handshake
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address
from tests.kit.dht import network, rpc_options

ALICE = KeyPair.from_seed(bytes(31) + b"a")
BOB = KeyPair.from_seed(bytes(31) + b"b")


@contextlib.asynccontextmanager
async def peer(nodes: list[Dht], *, is_open: bool) -> AsyncIterator[Dht]:
    """One more machine; one that is not open only lets answers in, as far as it knows."""
    known = nodes[1].node.server_address
    async with Dht(DhtOptions(rpc_options(known, persistent=is_open))) as dht:
        await dht.ready()
        yield dht


async def exchange(server: Dht, client: Dht, *relays: Address) -> None:
    accepted: asyncio.Queue[SecretStream] = asyncio.Queue()
    async with asyncio.timeout(8), server.listen(ALICE, accepted.put_nowait):
        stream = await client.connect(ALICE.public_key, BOB, relays=relays)
        stream.send([(b"ping",)])
        other = await accepted.get()
        assert other.remote_public_key == BOB.public_key
        assert stream.remote_public_key == ALICE.public_key
        assert other.handshake_hash == stream.handshake_hash
        assert [bytes(m) for m in await other.receive()] == [b"ping"]
        other.send([(b"pong",)])
        assert [bytes(m) for m in await stream.receive()] == [b"pong"]
        stream.abort()
        other.abort()


@pytest.mark.parametrize("server_open", [True, False])
@pytest.mark.parametrize("client_open", [True, False])
async def test_every_pair_on_one_network_connects(server_open: bool, client_open: bool) -> None:
    async with (
        network(5) as nodes,
        peer(nodes, is_open=server_open) as server,
        peer(nodes, is_open=client_open) as client,
    ):
        await exchange(server, client)


async def test_known_relays_are_asked_first_and_remembered() -> None:
    async with network(5) as nodes, peer(nodes, is_open=True) as server:
        client = nodes[2]
        await exchange(server, client, server.node.server_address)
        await exchange(server, client)


async def test_a_relay_that_knows_nobody_does_no_harm() -> None:
    async with network(5) as nodes, peer(nodes, is_open=True) as server:
        await exchange(server, nodes[2], nodes[3].node.server_address)


async def test_addresses_that_are_no_machines_are_never_asked() -> None:
    async with network(5) as nodes, peer(nodes, is_open=True) as server:
        crowd = [Address("255.255.255.255", 5), Address("127.0.0.1", 0), Address("::1", 5)]
        await exchange(server, nodes[2], *crowd)


async def test_a_lying_relay_does_not_spoil_the_handshake() -> None:
    async with network(5) as nodes, peer(nodes, is_open=True) as server:
        liar = nodes[4]
        honest = liar.node.handler
        assert honest is not None
        lies = 0

        def lie(request: IncomingRequest) -> bool:
            nonlocal lies
            if request.command != Command.PEER_HANDSHAKE:
                return honest(request)
            lies += 1
            reply = PassedHandshake(Mode.REPLY, bytes(100), request.sender)
            liar.node.reply(request, encode_handshake(reply), token=False, closer=False)
            return True

        liar.node.handler = lie
        await exchange(server, nodes[2], liar.node.server_address)
        assert lies > 0


async def test_nobody_knows_a_server_that_does_not_listen() -> None:
    async with network(4) as nodes:
        with pytest.raises(UnavailableError) as missing:
            await nodes[1].connect(ALICE.public_key, BOB)
        assert missing.value.code == "PEER_NOT_FOUND"


async def test_giving_up_leaves_no_stream_behind() -> None:
    async with network(4) as nodes:
        before = len(nodes[1].udx._streams)
        with pytest.raises(UnavailableError):
            await nodes[1].connect(ALICE.public_key, BOB)
        task = asyncio.ensure_future(nodes[1].connect(ALICE.public_key, BOB))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(nodes[1].udx._streams) == before


async def test_it_is_used_with_async_with() -> None:
    with pytest.raises(UsageError):
        await Dht(DhtOptions(rpc_options())).connect(ALICE.public_key, BOB)

"""Our DHT node among Node ones, and Node ones among ours alone; all on loopback."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.errors import UnavailableError
from pearbox_edge.net.rpc import (
    CLIENT,
    INVALID_TOKEN,
    SERVER,
    UNKNOWN_COMMAND,
    Commit,
    IncomingRequest,
    Reply,
    RpcNode,
    RpcOptions,
    node_id,
)
from pearbox_edge.wire import Address
from tests.kit.peers import JsPeer

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("js_peers"), pytest.mark.timeout(60)]

IMMUTABLE_PUT, IMMUTABLE_GET = 8, 9  # sheet 05


def parse(text: str) -> Address:
    host, port = text.split(":")
    return Address(host, int(port))


def options(*bootstrap: str, ephemeral: bool | None = None, firewalled: bool = True) -> RpcOptions:
    return RpcOptions(
        bootstrap=bootstrap, host="127.0.0.1", ephemeral=ephemeral, firewalled=firewalled
    )


@contextlib.asynccontextmanager
async def joined(options_: RpcOptions) -> AsyncIterator[RpcNode]:
    async with RpcNode(options_) as node:
        async with asyncio.timeout(10):
            await node.ready()
        yield node


def immutable_key(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=32).digest()


async def test_our_node_joins_a_testnet_and_finds_the_nodes_nearest_to_a_target() -> None:
    async with JsPeer("testnet.mjs", "--size", 20) as testnet:
        ready = await testnet.wait("ready")
        async with joined(options(ready["bootstrap"][0])) as node:
            target = os.urandom(32)
            goal = int.from_bytes(target, "big")
            # The first node of a testnet has no id: it is asked, but it is nobody's closest.
            others = [parse(text) for text in ready["nodes"][1:]]
            others.sort(key=lambda a: goal ^ int.from_bytes(node_id(a), "big"))
            closest = await node.find_node(target).finished()
            assert [reply.sender for reply in closest] == others
            assert all(reply.id == node_id(reply.sender) for reply in closest)
            assert node.machine.host == "127.0.0.1"
            assert node.machine.counters()["malformed"] == 0


async def test_node_peers_answer_all_commands_of_ours() -> None:
    async with JsPeer("testnet.mjs", "--size", 5) as testnet:
        ready = await testnet.wait("ready")
        async with joined(options(ready["bootstrap"][0])) as node:
            there = parse(ready["nodes"][2])
            pong = await node.ping(there)
            assert pong.id == node_id(there) and pong.to == node.address
            assert (await node.ping(there, padding=500)).error == 0
            late = await node.delayed_ping(there, 0.2)
            assert 0.2 <= late.rtt < 1
            unknown = await node.request(there, 4321, target=os.urandom(32))
            assert unknown.error == UNKNOWN_COMMAND and unknown.closer
            forged = await node.request(
                there, IMMUTABLE_PUT, target=immutable_key(b"x"), value=b"x", token=bytes(32)
            )
            assert forged.error == INVALID_TOKEN and forged.token


async def test_what_we_commit_to_node_peers_is_found_by_one() -> None:
    async with JsPeer("testnet.mjs", "--size", 8) as testnet:
        ready = await testnet.wait("ready")
        bootstrap = ready["bootstrap"][0]
        async with joined(options(bootstrap)) as node:
            value = b"kept by others"
            key = immutable_key(value)

            def commit(_reply: Reply) -> Commit:
                return Commit(IMMUTABLE_PUT, value)

            query = node.query(key, IMMUTABLE_GET, commit=commit)
            closest = await query.finished()
            assert query.stored == len(closest) == 7
            async with JsPeer("dht.mjs", "--bootstrap", bootstrap) as js:
                await js.wait("ready")
                found = await js.ask(cmd="immutable-get", hash=key.hex())
                assert found["text"] == value.decode()


async def test_our_node_is_seen_to_be_open_and_becomes_a_lasting_member_that_node_peers_ask() -> (
    None
):
    async with JsPeer("testnet.mjs", "--size", 8) as testnet:
        ready = await testnet.wait("ready")
        bootstrap = ready["bootstrap"][0]
        async with joined(options(bootstrap, ephemeral=False)) as node:
            assert not node.machine.firewalled
            assert node.id == node_id(node.server_address)
            assert node.machine.remote_address == node.server_address
            async with JsPeer("dht.mjs", "--bootstrap", bootstrap) as js:
                await js.wait("ready")
                here = f"127.0.0.1:{node.server_address.port}"
                pong = await js.ask(cmd="ping", address=here)
                assert pong["fromId"] == node.id.hex()
                found = await js.ask(cmd="find-node", target=node.id.hex())
                assert found["closest"][0] == here


async def test_a_firewalled_node_of_ours_asks_from_its_client_socket_without_an_id() -> None:
    async with JsPeer("testnet.mjs", "--size", 5) as testnet:
        ready = await testnet.wait("ready")
        firewalled = RpcOptions(
            bootstrap=(ready["bootstrap"][0],), host="127.0.0.1", quick_firewall=False
        )
        async with joined(firewalled) as node:
            assert node.machine.firewalled and node.id is None
            assert node.machine.socket == CLIENT
            pong = await node.ping(parse(ready["nodes"][3]))
            assert pong.to == node.client_address and pong.socket == CLIENT
            pong = await node.ping(parse(ready["nodes"][3]), socket=SERVER)
            assert pong.to == node.server_address and pong.socket == SERVER


@contextlib.asynccontextmanager
async def dht_of_ours(count: int) -> AsyncIterator[list[RpcNode]]:
    """Lasting members, all ours, that keep what they are given as a HyperDHT node does."""
    async with contextlib.AsyncExitStack() as stack:
        nodes: list[RpcNode] = []
        for _ in range(count):
            bootstrap = [f"127.0.0.1:{nodes[0].server_address.port}"] if nodes else []
            node = RpcNode(options(*bootstrap, ephemeral=False, firewalled=False))
            node.handler = Keeper(node)
            await stack.enter_async_context(node)
            await node.ready()
            nodes.append(node)
        yield nodes


class Keeper:
    """Keeps immutable values."""

    def __init__(self, node: RpcNode) -> None:
        self.node = node
        self.values: dict[bytes, bytes] = {}

    def __call__(self, request: IncomingRequest) -> bool:
        if request.target is None:
            return False
        if request.command == IMMUTABLE_GET:
            self.node.reply(request, self.values.get(request.target))
            return True
        if request.command == IMMUTABLE_PUT and request.token and request.value is not None:
            assert immutable_key(request.value) == request.target
            self.values[request.target] = request.value
            self.node.reply(request)
            return True
        return False


async def test_node_peers_live_on_a_dht_of_ours_alone() -> None:
    async with dht_of_ours(4) as ours:
        here = [f"127.0.0.1:{node.server_address.port}" for node in ours]
        args = [word for address in here for word in ("--bootstrap", address)]
        async with JsPeer("dht.mjs", *args) as js, JsPeer("dht.mjs", *args) as other:
            info = await js.wait("ready")
            await other.wait("ready")
            assert set(here[1:]) <= set(info["table"])
            found = await js.ask(cmd="find-node", target=os.urandom(32).hex())
            assert set(here[1:]) <= set(found["closest"])
            for number, address in enumerate(here):
                pong = await js.ask(cmd="ping", address=address)
                expected = ours[number].id
                assert pong["fromId"] == (expected.hex() if expected is not None else None)
            put = await js.ask(cmd="immutable-put", text="hello")
            got = await other.ask(cmd="immutable-get", hash=put["hash"])
            assert got["text"] == "hello"
        assert sum(len(node.handler.values) for node in ours if isinstance(node.handler, Keeper))
        assert all(node.machine.counters()["malformed"] == 0 for node in ours)


async def test_a_lasting_node_peer_joins_a_dht_of_ours_and_is_found_there() -> None:
    async with dht_of_ours(4) as ours:
        bootstrap = f"127.0.0.1:{ours[0].server_address.port}"
        async with JsPeer("dht.mjs", "--bootstrap", bootstrap, "--persistent") as js:
            info = await js.wait("ready")
            assert not info["ephemeral"]
            there = parse(info["address"])
            closest = await ours[2].find_node(node_id(there)).finished()
            assert closest[0].sender == there and closest[0].id == node_id(there)
        with pytest.raises(UnavailableError):
            await ours[2].ping(there, retries=0)


async def test_node_peers_answer_the_ping_that_a_large_answer_waits_for() -> None:
    async with dht_of_ours(4) as ours:
        here = f"127.0.0.1:{ours[0].server_address.port}"
        async with JsPeer("dht.mjs", "--bootstrap", here, "--host", "127.0.0.2") as js:
            await js.wait("ready")
            text = "x" * 900
            put = await js.ask(cmd="immutable-put", text=text)
            async with JsPeer("dht.mjs", "--bootstrap", here, "--host", "127.0.0.3") as other:
                await other.wait("ready")
                before = [node.machine.counters()["challenges"] for node in ours]
                got = await other.ask(cmd="immutable-get", hash=put["hash"])
                assert got["text"] == text
                after = [node.machine.counters()["challenges"] for node in ours]
                assert sum(after) > sum(before)


async def test_wire_forms_of_values_survive_the_way_through_node_peers() -> None:
    async with JsPeer("testnet.mjs", "--size", 4) as testnet:
        ready = await testnet.wait("ready")
        async with joined(options(ready["bootstrap"][0])) as node:
            for value in (b"\0", b"\xff" * 252, b"v" * 253, os.urandom(1000)):
                key = immutable_key(value)

                def commit(_reply: Reply, value: bytes = value) -> Commit:
                    return Commit(IMMUTABLE_PUT, value)

                await node.query(key, IMMUTABLE_GET, commit=commit).finished()
                got = [reply.value async for reply in node.query(key, IMMUTABLE_GET)]
                assert got.count(value) == 3

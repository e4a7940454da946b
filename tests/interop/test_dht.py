"""Our DHT peer among Node ones: records and connections, both ways; all on loopback."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pearbox_edge.crypto import KeyPair, hash_bytes
from pearbox_edge.errors import DeniedError
from pearbox_edge.ids import PublicKey, Topic
from pearbox_edge.net.dht import Dht, DhtOptions
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.wire import Address
from tests.kit.dht import network, rpc_options
from tests.kit.peers import JsPeer, PeerFailed

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("js_peers"), pytest.mark.timeout(60)]

ALICE = KeyPair.from_seed(bytes(31) + b"a")
BOB = KeyPair.from_seed(bytes(31) + b"b")
TOPIC = Topic(bytes(range(32)))


def parse(text: str) -> Address:
    host, port = text.split(":")
    return Address(host, int(port))


@contextlib.asynccontextmanager
async def joined(size: int) -> AsyncIterator[tuple[str, Dht]]:
    """A DHT of Node nodes with one of ours in it, and the address to begin with."""
    async with JsPeer("testnet.mjs", "--size", size) as nodes:
        bootstrap: str = (await nodes.wait("ready"))["bootstrap"][0]
        async with Dht(DhtOptions(rpc_options(parse(bootstrap)))) as dht:
            await dht.ready()
            yield bootstrap, dht


async def found_by(js: JsPeer, topic: bytes) -> set[str]:
    reply = await js.ask(cmd="lookup", topic=topic.hex())
    return {peer["publicKey"] for found in reply["replies"] for peer in found["peers"]}


async def test_a_node_peer_finds_what_we_announce_until_we_unannounce() -> None:
    async with joined(8) as (bootstrap, dht), JsPeer("dht.mjs", "--bootstrap", bootstrap) as js:
        await js.wait("ready")
        relays = (Address("9.9.9.9", 9),)
        await dht.client.announce(TOPIC, ALICE, relays)
        reply = await js.ask(cmd="lookup", topic=TOPIC.hex())
        expected = {"publicKey": ALICE.public_key.hex(), "relayAddresses": ["9.9.9.9:9"]}
        assert next(found["peers"] for found in reply["replies"]) == [expected]
        assert await dht.client.unannounce(TOPIC, ALICE) > 0
        assert await found_by(js, TOPIC) == set()


async def test_we_find_what_a_node_peer_announces_until_it_unannounces() -> None:
    async with joined(8) as (bootstrap, dht), JsPeer("dht.mjs", "--bootstrap", bootstrap) as js:
        await js.wait("ready")
        await js.ask(cmd="announce", topic=TOPIC.hex(), seed=ALICE.seed.hex())
        keys = {p.public_key async for one in dht.client.lookup(TOPIC) for p in one.peers}
        assert keys == {ALICE.public_key}
        await js.ask(cmd="unannounce", topic=TOPIC.hex(), seed=ALICE.seed.hex())
        assert [one async for one in dht.client.lookup(TOPIC)] == []


async def test_values_are_read_both_ways() -> None:
    async with joined(8) as (bootstrap, dht), JsPeer("dht.mjs", "--bootstrap", bootstrap) as js:
        await js.wait("ready")
        client = dht.client
        ours = await client.put_immutable(b"from us")
        assert (await js.ask(cmd="immutable-get", hash=ours.hex()))["text"] == "from us"
        theirs = (await js.ask(cmd="immutable-put", text="from them"))["hash"]
        assert await client.get_immutable(bytes.fromhex(theirs)) == b"from them"
        await client.put_mutable(ALICE, b"one", 1)
        got = await js.ask(cmd="mutable-get", key=ALICE.public_key.hex())
        assert (got["seq"], got["text"]) == (1, "one")
        await js.ask(cmd="mutable-put", seed=ALICE.seed.hex(), seq=2, text="two")
        newest = await client.get_mutable(ALICE.public_key)
        assert newest is not None and (newest.seq, newest.value) == (2, b"two")
        with pytest.raises(DeniedError):
            await client.put_mutable(ALICE, b"three", 2)


async def test_our_nodes_keep_everything_for_node_peers() -> None:
    async with network(5) as nodes:
        where = "{0.host}:{0.port}".format(nodes[1].node.server_address)
        async with (
            JsPeer("dht.mjs", "--bootstrap", where) as one,
            JsPeer("dht.mjs", "--bootstrap", where) as two,
        ):
            await one.wait("ready")
            await two.wait("ready")
            for seed in (ALICE.seed, BOB.seed):
                await one.ask(cmd="announce", topic=TOPIC.hex(), seed=seed.hex())
            assert await found_by(two, TOPIC) == {ALICE.public_key.hex(), BOB.public_key.hex()}
            await one.ask(cmd="unannounce", topic=TOPIC.hex(), seed=BOB.seed.hex())
            assert await found_by(two, TOPIC) == {ALICE.public_key.hex()}
            own = hash_bytes(ALICE.public_key)
            await one.ask(cmd="announce", topic=own.hex(), seed=ALICE.seed.hex())
            found = await two.ask(cmd="find-peer", key=ALICE.public_key.hex())
            assert {r["peer"]["publicKey"] for r in found["replies"]} == {ALICE.public_key.hex()}
            key = (await one.ask(cmd="immutable-put", text="kept"))["hash"]
            assert (await two.ask(cmd="immutable-get", hash=key))["text"] == "kept"
            await one.ask(cmd="mutable-put", seed=BOB.seed.hex(), seq=3, text="three")
            got = await two.ask(cmd="mutable-get", key=BOB.public_key.hex())
            assert (got["seq"], got["text"]) == (3, "three")
            refused = await two.ask(cmd="mutable-get", key=BOB.public_key.hex(), seq=4)
            assert refused["text"] is None


# -- connections ----------------------------------------------------------------------------------

FIREWALLS = ["--open", "--firewalled"]
THEIRS = pytest.mark.parametrize("theirs", FIREWALLS)
OURS = pytest.mark.parametrize("is_open", [True, False])
SIZE = 3_000_000


@contextlib.asynccontextmanager
async def met(bootstrap: str, *, is_open: bool) -> AsyncIterator[Dht]:
    """One more machine of ours, open or not sure that it is."""
    rpc = rpc_options(parse(bootstrap), persistent=is_open)
    async with Dht(DhtOptions(replace(rpc, quick_firewall=False))) as dht:
        await dht.ready()
        yield dht


async def echo(stream: SecretStream) -> None:
    async with stream:
        while messages := await stream.receive():
            stream.send([(message,) for message in messages])
            await stream.drain()


@THEIRS
@OURS
async def test_we_dial_a_node_server_by_its_key(theirs: str, is_open: bool) -> None:
    async with JsPeer("testnet.mjs", "--size", 8) as nodes:
        bootstrap = (await nodes.wait("ready"))["bootstrap"][0]
        async with (
            met(bootstrap, is_open=is_open) as dht,
            JsPeer("echo.mjs", "--bootstrap", bootstrap, "--listen", theirs) as js,
        ):
            key = PublicKey(bytes.fromhex((await js.wait("ready"))["publicKey"]))
            for _ in range(2):  # the second time by the relays of the first
                stream = await dht.connect(key, ALICE)
                assert stream.is_initiator and stream.remote_public_key == key
                sent = os.urandom(SIZE)
                stream.send([(sent[at : at + 65536],) for at in range(0, SIZE, 65536)])
                got = bytearray()
                while len(got) < SIZE:
                    for message in await stream.receive():
                        got += message
                assert got == sent
                opened = await js.wait("open")
                assert opened["remotePublicKey"] == ALICE.public_key.hex()
                await stream.close()
                await js.wait("close")


@THEIRS
@OURS
async def test_a_node_client_dials_us_by_our_key(theirs: str, is_open: bool) -> None:
    async with JsPeer("testnet.mjs", "--size", 8) as nodes, asyncio.TaskGroup() as group:
        bootstrap = (await nodes.wait("ready"))["bootstrap"][0]
        async with (
            met(bootstrap, is_open=is_open) as dht,
            dht.listen(ALICE, lambda stream: keep(group.create_task(echo(stream)))),
            JsPeer(
                *("echo.mjs", "--bootstrap", bootstrap, "--connect", ALICE.public_key.hex()),
                *("--bytes", SIZE, "--timeout", 20, theirs),
            ) as js,
        ):
            done = await js.wait("done", timeout=30)
            assert done["ok"] and done["bytes"] == SIZE


async def test_a_node_client_that_we_refuse_hears_nothing() -> None:
    async with (
        joined(5) as (bootstrap, dht),
        dht.listen(ALICE, SecretStream.abort, refuses=lambda _key, _told, _where: True),
        JsPeer(
            *("echo.mjs", "--bootstrap", bootstrap, "--connect", ALICE.public_key.hex()),
            *("--timeout", 20),
        ) as js,
    ):
        with pytest.raises(PeerFailed):
            await js.wait("open", timeout=30)


async def test_node_peers_meet_through_relays_of_ours() -> None:
    async with network(6) as nodes:
        where = "{0.host}:{0.port}".format(nodes[1].node.server_address)
        async with JsPeer("echo.mjs", "--bootstrap", where, "--listen", "--open") as server:
            key = (await server.wait("ready"))["publicKey"]
            async with JsPeer("echo.mjs", "--bootstrap", where, "--connect", key) as client:
                assert (await client.wait("done", timeout=30))["ok"]


def keep(_task: asyncio.Task[None]) -> None:
    """The group holds it."""

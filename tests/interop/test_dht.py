"""Our DHT peer among Node ones: records both ways; all on loopback."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.crypto import KeyPair, hash_bytes
from pearbox_edge.errors import DeniedError
from pearbox_edge.ids import Topic
from pearbox_edge.net.dht import Dht, DhtOptions
from pearbox_edge.wire import Address
from tests.kit.dht import network, rpc_options
from tests.kit.peers import JsPeer

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

"""Drives travel over the DHT and UDX, by their key alone, to and from Node peers on loopback."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.storage import SqliteStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import UnavailableError
from pearbox_edge.ids import CoreKey, Topic
from pearbox_edge.net.dht import Dht, DhtOptions
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.wire import Address
from tests.kit.dht import rpc_options
from tests.kit.peers import JsPeer

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("js_peers"), pytest.mark.timeout(90)]

ALICE = KeyPair.from_seed(bytes(31) + b"a")
SIZE = 5_000_000
SOCKETS = pytest.mark.parametrize("theirs", ["--open", "--firewalled"])


class Peer:
    """A store of ours in the DHT."""

    def __init__(self, dht: Dht, store: Corestore, group: asyncio.TaskGroup) -> None:
        self.dht = dht
        self.store = store
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def replicate(self, stream: SecretStream) -> None:
        self._tasks.append(self._group.create_task(self._replicate(stream)))

    async def _replicate(self, stream: SecretStream) -> None:
        try:
            await self.store.replicate(stream)
        except UnavailableError:  # the other end is gone
            stream.abort()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def peer(path: Path, bootstrap: str) -> AsyncIterator[Peer]:
    host, port = bootstrap.split(":")
    async with (
        await SqliteStorage.open(path) as storage,
        Corestore(storage, random_bytes=os.urandom) as store,
        Dht(DhtOptions(rpc_options(Address(host, int(port))))) as dht,
        asyncio.TaskGroup() as group,
    ):
        await dht.ready()
        ours = Peer(dht, store, group)
        yield ours
        ours.close()


@SOCKETS
async def test_we_get_what_a_node_peer_shares(tmp_path: Path, theirs: str) -> None:
    data = os.urandom(SIZE)
    (tmp_path / "file.bin").write_bytes(data)
    async with JsPeer("testnet.mjs", "--size", 8) as nodes:
        bootstrap = (await nodes.wait("ready"))["bootstrap"][0]
        where = ("--storage", tmp_path / "js", "--path", tmp_path / "file.bin", theirs)
        async with JsPeer("share.mjs", "--bootstrap", bootstrap, *where) as share:
            key = CoreKey(bytes.fromhex((await share.wait("ready"))["keyHex"]))
            async with (
                peer(tmp_path / "ours", bootstrap) as ours,
                Hyperdrive(ours.store, key) as drive,
            ):
                found = [
                    one
                    async for answer in ours.dht.client.lookup(Topic(drive.discovery_key))
                    for one in answer.peers
                ]
                relays = found[0].relay_addresses
                stream = await ours.dht.connect(found[0].public_key, ALICE, relays=relays)
                ours.replicate(stream)
                while drive.version < 2:
                    await drive.update(timeout=20)
                assert await drive.get("/file.bin", timeout=30) == data


@SOCKETS
async def test_a_node_peer_fetches_what_we_share(tmp_path: Path, theirs: str) -> None:
    data = os.urandom(SIZE)
    async with JsPeer("testnet.mjs", "--size", 8) as nodes:
        bootstrap = (await nodes.wait("ready"))["bootstrap"][0]
        async with (
            peer(tmp_path / "ours", bootstrap) as ours,
            Hyperdrive(ours.store) as drive,
            ours.dht.listen(ALICE, ours.replicate) as server,
        ):
            await drive.put("/file.bin", data)
            topic = Topic(drive.discovery_key)
            await ours.dht.client.announce(topic, ALICE, server.relay_addresses())
            out = tmp_path / "out"
            where = ("--key", drive.key.hex(), "--out", out, "--timeout", 60, theirs)
            async with JsPeer("fetch.mjs", "--bootstrap", bootstrap, *where) as fetch:
                await fetch.wait("done", timeout=60)
            assert (out / "file.bin").read_bytes() == data

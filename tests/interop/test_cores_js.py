"""Cores that live through everything, with Node peers at the other end, either way round."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import (
    CoreListener,
    Hypercore,
    Manifest,
    Prologue,
    Signer,
    assemble,
    sign_share,
)
from pearbox_edge.data.replication import Replicator
from pearbox_edge.errors import UnavailableError
from pearbox_edge.ids import CoreKey
from tests.kit.cores import grown
from tests.kit.drive_peers import Ours, our_store
from tests.kit.peers import JsPeer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]

BLOCKS = [f"block {i} " * (i % 7 + 1) for i in range(60)]
SECRET = bytes(range(32))


class Alarm(CoreListener):
    """Waits for a core to be frozen."""

    def __init__(self) -> None:
        self._rang = asyncio.Event()

    def on_conflict(self) -> None:
        self._rang.set()

    async def wait(self) -> None:
        async with asyncio.timeout(20):
            await self._rang.wait()


def encoded(blocks: list[str]) -> list[bytes]:
    return [block.encode() for block in blocks]


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Ours, JsPeer]]:
    """Our store and a Node one that dials it."""
    async with our_store(folder / "ours") as ours:
        where = ("--storage", folder / "js", "--connect", ours.tcp)
        async with JsPeer("cores.mjs", *where) as js:
            await js.wait("ready")
            yield ours, js


async def reach(core: Hypercore, length: int, fork: int = 0) -> None:
    async with asyncio.timeout(20):
        while (core.length, core.fork) != (length, fork):
            await core.update()


async def test_a_core_truncated_and_rewritten_by_us_is_followed_by_node(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        core = await ours.store.get("core")
        await core.append(encoded(BLOCKS))
        await js.ask(cmd="open", core="a", key=core.key.hex())
        await js.ask(cmd="reach", core="a", length=60)
        await js.ask(cmd="download", core="a", start=0, end=60)
        await core.truncate(41)
        await core.append(encoded(BLOCKS[:30]))
        info = await js.ask(cmd="reach", core="a", length=71, fork=1)
        assert info["contiguous"] == 41
        reply = await js.ask(cmd="get", core="a", start=0, end=71)
        assert reply["blocks"] == BLOCKS[:41] + BLOCKS[:30]


async def test_a_core_truncated_and_rewritten_by_node_is_followed_by_us(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        made = await js.ask(cmd="open", core="a", name="core")
        await js.ask(cmd="append", core="a", blocks=BLOCKS)
        core = await ours.store.get(key=CoreKey(bytes.fromhex(made["key"])))
        await reach(core, 60)
        assert await core.get_many(0, 60) == encoded(BLOCKS)
        snapshot = core.snapshot()
        await js.ask(cmd="truncate", core="a", length=41)
        await js.ask(cmd="append", core="a", blocks=BLOCKS[:30])
        async with asyncio.timeout(20):
            while core.fork == 0:
                await core.update()
        assert core.contiguous_length == 41, "what is common need not be fetched again"
        await reach(core, 71, 1)
        assert await core.get_many(0, 71) == encoded(BLOCKS[:41] + BLOCKS[:30])
        assert await snapshot.get(40) == BLOCKS[40].encode()
        with pytest.raises(UnavailableError):
            await snapshot.get(41)


async def test_a_node_snapshot_outlives_our_truncation_as_far_as_it_can(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        core = await ours.store.get("core")
        await core.append(encoded(BLOCKS[:20]))
        await js.ask(cmd="open", core="a", key=core.key.hex())
        await js.ask(cmd="reach", core="a", length=20)
        await js.ask(cmd="download", core="a", start=0, end=20)
        assert (await js.ask(cmd="snapshot", core="a"))["length"] == 20
        await core.truncate(8)
        await core.append([b"other"] * 12)
        await js.ask(cmd="reach", core="a", length=20, fork=1)
        assert (await js.ask(cmd="old", index=7))["block"] == BLOCKS[7]


async def test_cleared_blocks_are_fetched_again_either_way(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        made = await js.ask(cmd="open", core="a", name="core")
        await js.ask(cmd="append", core="a", blocks=BLOCKS)
        core = await ours.store.get(key=CoreKey(bytes.fromhex(made["key"])))
        await reach(core, 60)
        await core.download(0, 60)
        await core.settled()
        await core.clear(10, 20)
        assert await core.get(15) == BLOCKS[15].encode()
        await core.download(0, 60)
        await core.settled()
        await js.ask(cmd="clear", core="a", start=30, end=40)
        assert not (await js.ask(cmd="has", core="a", index=33))["has"]
        assert (await js.ask(cmd="get", core="a", start=30, end=40))["blocks"] == BLOCKS[30:40]


async def test_single_bytes_are_found_in_cores_that_are_hardly_held(tmp_path: Path) -> None:
    places = [0, 1, 8, 500, 1111, sum(map(len, BLOCKS)) - 1]
    sizes = [len(block) for block in BLOCKS]

    def place(at: int) -> tuple[int, int]:
        block = 0
        while at >= sizes[block]:
            at -= sizes[block]
            block += 1
        return block, at

    async with both(tmp_path) as (ours, js):
        made = await js.ask(cmd="open", core="a", name="core")
        await js.ask(cmd="append", core="a", blocks=BLOCKS)
        core = await ours.store.get(key=CoreKey(bytes.fromhex(made["key"])))
        await reach(core, 60)
        for at in places:
            assert await core.seek(at, timeout=20) == place(at)
        own = await ours.store.get("own")
        await own.append(encoded(BLOCKS))
        await js.ask(cmd="open", core="b", key=own.key.hex())
        await js.ask(cmd="reach", core="b", length=60)
        for at in places:
            assert (await js.ask(cmd="seek", core="b", at=at))["found"] == list(place(at))


async def test_side_messages_go_both_ways(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        core = await ours.store.get("core")
        await core.append([b"x"])
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        # Node's encoding of a side message, unless told otherwise, puts the length before it.
        extension = core.extensions.register(
            "test", lambda payload, _: heard.put_nowait(payload[1:])
        )
        await js.ask(cmd="open", core="a", key=core.key.hex())
        await js.ask(cmd="reach", core="a", length=1)
        for text in (b"hello", b"again"):
            extension.broadcast(bytes([len(text)]) + text)
            async with asyncio.timeout(20):
                assert await heard.get() == text + b"!"
        await js.ask(cmd="say", core="a", message="to you!")
        async with asyncio.timeout(20):
            assert await heard.get() == b"to you!"
        assert (await js.ask(cmd="heard"))["heard"] == ["hello", "again"]


async def test_blocks_are_pushed_both_ways(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        core = await ours.store.get("core")
        await core.append(encoded(BLOCKS))
        await js.ask(cmd="open", core="a", key=core.key.hex(), allowPush=True)
        await js.ask(cmd="reach", core="a", length=60)
        assert isinstance(core.fetcher, Replicator)
        assert await core.fetcher.push(17) == 1
        async with asyncio.timeout(20):
            while not (await js.ask(cmd="has", core="a", index=17))["has"]:
                pass
        made = await js.ask(cmd="open", core="b", name="theirs")
        await js.ask(cmd="append", core="b", blocks=BLOCKS)
        copy = await ours.store.get(key=CoreKey(bytes.fromhex(made["key"])))
        assert isinstance(copy.fetcher, Replicator)
        copy.fetcher.set_allow_push(True)
        await reach(copy, 60)
        async with asyncio.timeout(20):
            while not copy.has(23):
                await js.ask(cmd="push", core="b", index=23)


async def test_several_node_peers_bring_one_core_and_no_block_twice(tmp_path: Path) -> None:
    blocks = [f"block {i} ".encode() * 300 for i in range(600)]
    async with our_store(tmp_path / "writer") as writer, our_store(tmp_path / "reader") as reader:
        core = await writer.store.get("core")
        await core.append(blocks)
        peers = [
            JsPeer("cores.mjs", "--storage", tmp_path / f"{i}", "--connect", writer.tcp)
            for i in range(3)
        ]
        async with peers[0], peers[1], peers[2]:
            for peer in peers:
                await peer.wait("ready")
                await peer.ask(cmd="open", core="a", key=core.key.hex())
                await peer.ask(cmd="reach", core="a", length=600)
                await peer.ask(cmd="download", core="a", start=0, end=600)
            copy = await reader.store.get(key=core.key)
            for peer in peers:
                await peer.ask(cmd="connect", tcp=reader.tcp)
            await reach(copy, 600)
            await copy.download(0, 600)
            assert await copy.get_many(0, 600) == blocks
            shares = [link.traffic.blocks_received for link in reader.store.links]
            assert sum(shares) <= 605
            assert sum(1 for share in shares if share) >= 2


async def test_a_blind_seed_keeps_the_bytes_as_they_are(tmp_path: Path) -> None:
    async with our_store(tmp_path / "seed") as seed:
        where = ("--connect", seed.tcp)
        async with JsPeer("cores.mjs", "--storage", tmp_path / "writer", *where) as writer:
            await writer.wait("ready")
            made = await writer.ask(cmd="open", core="a", name="core", encryptionKey=SECRET.hex())
            await writer.ask(cmd="append", core="a", blocks=BLOCKS)
            key = CoreKey(bytes.fromhex(made["key"]))
            blind = await seed.store.get(key=key)
            await reach(blind, 60)
            await blind.download(0, 60)
            await blind.settled()
        stored = await blind.get_many(0, 60)
        assert all(text not in block for text, block in zip(encoded(BLOCKS), stored, strict=True))
        async with JsPeer("cores.mjs", "--storage", tmp_path / "reader", *where) as reader:
            await reader.wait("ready")
            await reader.ask(cmd="open", core="a", key=key.hex(), encryptionKey=SECRET.hex())
            await reader.ask(cmd="reach", core="a", length=60)
            assert (await reader.ask(cmd="get", core="a", start=0, end=60))["blocks"] == BLOCKS
        async with our_store(tmp_path / "ours") as ours:
            ours.connect(seed.tcp)
            core = await ours.store.get(key=key, encryption_key=SECRET)
            await reach(core, 60)
            assert await core.get_many(0, 60) == encoded(BLOCKS)


def signers(count: int) -> list[KeyPair]:
    return [KeyPair.from_seed(bytes([seed]) * 32) for seed in range(1, count + 1)]


@pytest.mark.parametrize("kind", ["v0", "v1", "v2", "several", "v0-several", "static", "compat"])
async def test_node_reads_our_cores_of_every_manifest(tmp_path: Path, kind: str) -> None:
    pairs = signers(3)
    one = (Signer(pairs[0].public_key),)
    three = tuple(Signer(pair.public_key) for pair in pairs)
    tree = grown(encoded(BLOCKS[:9]))
    manifests = {
        "v0": Manifest.create(one, version=0),
        "v1": Manifest.create(one, allow_patch=True),
        "v2": Manifest.create(one, version=2, user_data=b"about"),
        "several": Manifest.create(three, quorum=2),
        "v0-several": Manifest.create(three, quorum=2, version=0),
        "static": Manifest.create(prologue=Prologue(tree.hash(), 9)),
        "compat": Manifest.default(pairs[0].public_key),
    }
    manifest = manifests[kind]
    key = CoreKey(pairs[0].public_key) if kind == "compat" else manifest.key
    async with both(tmp_path) as (ours, js):
        core = await ours.store.get(key=key, manifest=manifest, key_pair=pairs[0])
        signature = b"" if kind == "static" else None
        if "several" in kind:
            head = await core.draft(encoded(BLOCKS[:9]))
            facts = (head.length, head.fork, head.tree_hash)
            shares = [sign_share(key, manifest, pair, *facts) for pair in pairs[1:]]
            signature = assemble(manifest, shares, head.length)
        await core.append(encoded(BLOCKS[:9]), signature=signature)
        await js.ask(cmd="open", core="a", key=key.hex())
        await js.ask(cmd="reach", core="a", length=9)
        assert (await js.ask(cmd="get", core="a", start=0, end=9))["blocks"] == BLOCKS[:9]


@pytest.mark.parametrize(
    "manifest",
    [{"version": 0}, {"version": 1, "allowPatch": True}, {"version": 2, "userData": "x"}],
)
async def test_we_read_node_cores_of_other_manifests(
    tmp_path: Path, manifest: dict[str, object]
) -> None:
    async with both(tmp_path) as (ours, js):
        made = await js.ask(cmd="open", core="a", seed=SECRET.hex(), manifest=manifest)
        await js.ask(cmd="append", core="a", blocks=BLOCKS[:9])
        core = await ours.store.get(key=CoreKey(bytes.fromhex(made["key"])))
        await reach(core, 9)
        assert await core.get_many(0, 9) == encoded(BLOCKS[:9])
        assert core.manifest is not None
        assert core.manifest.version == manifest["version"]


async def test_a_core_signed_twice_freezes_at_both_ends(tmp_path: Path) -> None:
    async with both(tmp_path) as (ours, js):
        pair = KeyPair.from_seed(SECRET)
        made = await js.ask(cmd="open", core="a", seed=SECRET.hex(), manifest={"version": 1})
        key = CoreKey(bytes.fromhex(made["key"]))
        core = await ours.store.get(key=key, key_pair=pair)
        alarm = Alarm()
        core.add_listener(alarm)
        other = await ours.store.get("other")
        await other.append([b"fine"])
        # Both append before they hear of each other.
        twice = [core.append([b"ours"] * 3), js.ask(cmd="append", core="a", blocks=["theirs"] * 5)]
        await asyncio.gather(*twice)
        await alarm.wait()
        with pytest.raises(UnavailableError):
            await core.append([b"more"])
        await js.ask(cmd="open", core="b", key=other.key.hex())
        await js.ask(cmd="reach", core="b", length=1)
        assert (await js.ask(cmd="get", core="b", start=0, end=1))["blocks"] == ["fine"]

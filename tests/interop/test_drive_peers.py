"""Drives that are truncated, encrypted, seeded without their key, or come from several peers."""

import asyncio
import os
from pathlib import Path

import pytest

from pearbox_edge.data.drive import Hyperdrive, content_key
from pearbox_edge.ids import CoreKey
from tests.kit.drive_peers import Ours, everything, our_store
from tests.kit.peers import JsPeer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]

KEY = bytes(range(32))
LISTEN = ("--listen", "127.0.0.1:0")


async def seed_blindly(seed: Ours, key: CoreKey, versions: tuple[int, int]) -> None:
    """Hold every block of a drive by its key alone: what the manifest tells is enough."""
    entries = await seed.store.get(key=key)
    while entries.length < versions[0]:
        await entries.update(timeout=20)
    await entries.download(0, entries.length)
    assert entries.manifest is not None
    derived = content_key(entries.manifest, key)
    assert derived is not None
    blobs = await seed.store.get(key=derived)
    while blobs.length < versions[1]:
        await blobs.update(timeout=20)
    await blobs.download(0, blobs.length)
    await entries.settled()
    await blobs.settled()


async def test_a_seed_without_the_key_serves_a_reader_that_has_it(tmp_path: Path) -> None:
    secret = os.urandom(100_000)
    async with our_store(tmp_path / "seed") as seed:
        async with (
            our_store(tmp_path / "ours") as ours,
            Hyperdrive(ours.store, encryption_key=KEY, dedup=True) as drive,
        ):
            await drive.put("/secret", secret)
            await drive.copy("/secret", "/copy")
            await drive.put("/again", secret)
            wanted = await everything(drive)
            key, version = drive.key, drive.version
            assert drive.blobs is not None
            seed.connect(ours.tcp)
            await seed_blindly(seed, key, (drive.core.length, drive.blobs.core.length))
        # The writer is gone; nothing that lies at the seed can be read there.
        for path in (tmp_path / "seed").rglob("*"):
            assert not path.is_file() or b"/secret" not in path.read_bytes()
        where = ("--storage", tmp_path / "js", "--key", key.hex(), "--connect", seed.tcp)
        async with JsPeer("drive.mjs", *where, "--encryption-key", KEY.hex()) as reader:
            reply = await reader.ask(cmd="all", atLeast=version)
            assert reply["files"] == wanted


async def test_a_node_drive_seeded_blindly_by_us_reaches_a_node_reader(tmp_path: Path) -> None:
    secret = ("--encryption-key", KEY.hex())
    async with our_store(tmp_path / "seed") as seed:
        js = ("--storage", tmp_path / "writer", *LISTEN, *secret)
        async with JsPeer("drive.mjs", *js) as writer:
            ready = await writer.wait("ready")
            await writer.ask(cmd="put", path="/a", base64="aGVsbG8=")
            await writer.ask(cmd="copy", path="/a", to="/b")
            theirs = await writer.ask(cmd="all")
            seed.connect(ready["tcp"])
            key = CoreKey(bytes.fromhex(ready["keyHex"]))
            await seed_blindly(seed, key, (theirs["version"], theirs["blobs"]))
        where = ("--storage", tmp_path / "js", "--key", ready["key"], "--connect", seed.tcp)
        async with JsPeer("drive.mjs", *where, *secret) as reader:
            reply = await reader.ask(cmd="all", atLeast=theirs["version"])
            assert reply["files"] == theirs["files"]


async def test_a_node_reader_follows_our_truncation(tmp_path: Path) -> None:
    async with our_store(tmp_path / "ours") as ours, Hyperdrive(ours.store, dedup=True) as drive:
        await drive.put("/kept", b"kept" * 20_000)
        version = drive.version
        await drive.put("/gone", b"gone" * 40_000)
        await drive.copy("/gone", "/copy")
        where = ("--storage", tmp_path / "js", "--key", drive.key.hex(), "--connect", ours.tcp)
        async with JsPeer("drive.mjs", *where) as reader:
            before = await reader.ask(cmd="all", atLeast=drive.version)
            assert set(before["files"]) == {"/kept", "/gone", "/copy"}
            await drive.truncate(version)
            await drive.put("/new", b"new" * 30_000)
            await drive.put("/gone again", b"gone" * 40_000)
            await drive.put("/kept again", b"kept" * 20_000)
            after = await reader.ask(cmd="all", atLeast=drive.version, fork=drive.core.fork)
            assert after["files"] == await everything(drive)
            assert after["fork"] == drive.core.fork == 1


async def test_we_follow_the_truncation_of_a_node_drive(tmp_path: Path) -> None:
    js = ("--storage", tmp_path / "js", *LISTEN)
    async with JsPeer("drive.mjs", *js) as writer, our_store(tmp_path / "ours") as ours:
        ready = await writer.wait("ready")
        ours.connect(ready["tcp"])
        await writer.ask(cmd="put", path="/kept", base64="AAAA")
        version = (await writer.ask(cmd="put", path="/gone", base64="BBBB"))["version"]
        async with Hyperdrive(ours.store, CoreKey(bytes.fromhex(ready["keyHex"]))) as drive:
            while drive.version < version:
                await drive.update(timeout=10)
            assert set(await everything(drive)) == {"/kept", "/gone"}
            await writer.ask(cmd="truncate", to=2)
            await writer.ask(cmd="put", path="/new", base64="CCCCCCCC")
            theirs = await writer.ask(cmd="all")
            while drive.core.fork < theirs["fork"] or drive.version < theirs["version"]:
                await drive.update(timeout=10)
                await asyncio.sleep(0.05)
            assert await everything(drive) == theirs["files"]


async def test_several_peers_at_once_serve_one_drive(tmp_path: Path) -> None:
    async with (
        our_store(tmp_path / "ours") as ours,
        our_store(tmp_path / "seed") as seed,
        Hyperdrive(ours.store, dedup=True) as drive,
    ):
        for number in range(30):
            await drive.put(f"/{number}", os.urandom(70_000 + number))
        assert drive.blobs is not None
        seed.connect(ours.tcp)
        await seed_blindly(seed, drive.key, (drive.core.length, drive.blobs.core.length))
        both = ("--key", drive.key.hex(), "--connect", ours.tcp, "--connect", seed.tcp)
        wanted = await everything(drive)
        async with (
            JsPeer("drive.mjs", *both, "--storage", tmp_path / "1") as one,
            JsPeer("drive.mjs", *both, "--storage", tmp_path / "2", *LISTEN) as two,
            our_store(tmp_path / "3") as third,
        ):
            third.connect((await two.wait("ready"))["tcp"])
            third.connect(seed.tcp)
            async with Hyperdrive(third.store, drive.key) as reader:
                for turn in range(3):
                    await drive.put("/changing", os.urandom(50_000))
                    await drive.copy("/changing", f"/copy {turn}")
                    wanted = await everything(drive)
                    replies = await asyncio.gather(
                        one.ask(cmd="all", atLeast=drive.version),
                        two.ask(cmd="all", atLeast=drive.version),
                    )
                    assert [reply["files"] for reply in replies] == [wanted, wanted]
                    while reader.version < drive.version:
                        await reader.update(timeout=20)
                    assert await everything(reader) == wanted

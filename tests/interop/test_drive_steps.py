"""Steps in turn on one drive: one side writes, the other reads everything after each."""

import base64
import random
from pathlib import Path
from typing import Any

import pytest

from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.ids import CoreKey
from tests.kit.drive_peers import everything, our_store
from tests.kit.peers import JsPeer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]

PATHS = ["/a", "/a/b", "/docs/letter.txt", "/docs/ü/日本", "/z", "/docs0"]


def content(dice: random.Random) -> bytes:
    """Often something that was there before; of no, one or several blocks."""
    size = dice.choice([0, 1, 1000, 65536, 65537, 200_000])
    return random.Random(dice.randrange(4)).randbytes(size)


async def step(drive: Hyperdrive, dice: random.Random) -> None:
    """One change by us."""
    paths = [entry.path async for entry in drive.list()]
    path = dice.choice(PATHS)
    match dice.choice(["put", "put", "batch", "delete", "symlink", "copy", "rename", "restore"]):
        case "put":
            await drive.put(path, content(dice), executable=dice.random() < 0.5)
        case "batch":
            async with await drive.batch() as batch:
                for name in dice.sample(PATHS, 3):
                    await batch.put(name, content(dice), metadata={"from": path, "n": [1, None]})
                await batch.delete(path)
        case "delete":
            await drive.delete(path)
        case "symlink":
            await drive.symlink(path, dice.choice(PATHS))
        case "copy" if paths:
            await drive.copy(dice.choice(paths), path)
        case "rename" if paths:
            await drive.rename(dice.choice(paths), path)
        case _:
            wanted = [s async for s in drive.history(reverse=True) if s.entry is not None]
            if wanted:
                chosen = dice.choice(wanted)
                await drive.restore(chosen.path, chosen.seq + 1)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["plain", "encrypted"])
async def test_a_node_peer_reads_every_step_of_ours(
    seed: int, key: bytes | None, tmp_path: Path
) -> None:
    dice = random.Random(seed)
    async with our_store(tmp_path / "ours") as ours:
        drive = Hyperdrive(ours.store, encryption_key=key, dedup=True)
        async with drive:
            await drive.put("/first", b"first")
            where = ("--storage", tmp_path / "js", "--key", drive.key.hex(), "--connect", ours.tcp)
            secret = ("--encryption-key", key.hex()) if key else ()
            async with JsPeer("drive.mjs", *where, *secret) as reader:
                await reader.wait("ready")
                versions = []
                reply = {}
                for _ in range(12):
                    await step(drive, dice)
                    versions.append(drive.version)
                    reply = await reader.ask(cmd="all", atLeast=drive.version)
                    assert reply["version"] == drive.version
                    assert reply["files"] == await everything(drive)
                for version in versions[::3]:
                    reply = await reader.ask(cmd="all", version=version)
                    assert reply["files"] == await everything(drive.checkout(version))
                assert drive.blobs is not None
                assert reply["blobs"] <= drive.blobs.core.length


@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["plain", "encrypted"])
async def test_we_read_every_step_of_a_node_peer(key: bytes | None, tmp_path: Path) -> None:
    dice = random.Random(7)
    secret = ("--encryption-key", key.hex()) if key else ()
    js = ("--storage", tmp_path / "js", "--listen", "127.0.0.1:0", *secret)
    async with JsPeer("drive.mjs", *js) as writer, our_store(tmp_path / "ours") as ours:
        ready = await writer.wait("ready")
        ours.connect(ready["tcp"])
        theirs_key = CoreKey(bytes.fromhex(ready["keyHex"]))
        async with Hyperdrive(ours.store, theirs_key, encryption_key=key) as drive:
            await writer.ask(cmd="put", path="/first", base64="AAAA")
            for turn in range(12):
                path = dice.choice(PATHS)
                match ["put", "copy", "symlink", "put", "del", "put"][turn % 6]:
                    case "put":
                        data = base64.b64encode(content(dice)).decode()
                        more: dict[str, Any] = {"executable": turn % 2, "metadata": {"é": 1}}
                        reply = await writer.ask(cmd="put", path=path, base64=data, **more)
                    case "copy":
                        reply = await writer.ask(cmd="copy", path="/first", to=path)
                    case "symlink":
                        reply = await writer.ask(cmd="symlink", path=path, target="/first")
                    case _:
                        reply = await writer.ask(cmd="del", path=path)
                while drive.version < reply["version"]:
                    await drive.update(timeout=10)
                theirs = await writer.ask(cmd="all")
                assert await everything(drive) == theirs["files"]
            old = await writer.ask(cmd="all", version=5)
            assert await everything(drive.checkout(5)) == old["files"]
            diff = await writer.ask(cmd="diff", since=5)
            changes = [
                [c.left and c.left.path, c.right and c.right.path] async for c in drive.diff(5)
            ]
            assert changes == diff["changes"]
            names = await writer.ask(cmd="readdir", folder="/docs")
            assert [name async for name in drive.readdir("/docs")] == names["names"]


async def test_a_range_of_a_shared_run_is_read_by_a_node_peer(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(300_000)
    async with our_store(tmp_path / "ours") as ours, Hyperdrive(ours.store, dedup=True) as drive:
        await drive.put("/x", b"before")
        await drive.put("/a", data)
        await drive.put("/b", data)
        where = ("--storage", tmp_path / "js", "--key", drive.key.hex(), "--connect", ours.tcp)
        async with JsPeer("drive.mjs", *where) as reader:
            reply = await reader.ask(
                cmd="range", path="/b", start=70_000, length=100_000, atLeast=drive.version
            )
        assert base64.b64decode(reply["base64"]) == data[70_000:170_000]
        assert drive.blobs is not None
        assert drive.blobs.core.length == 6

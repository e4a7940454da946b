"""Drives and cores changed at random by one side; the other agrees with a model all the way.

A core of a Node peer is not truncated here: test_cores_js.py does that, a step at a time.
"""

import asyncio
import base64
import hashlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.drive import DriveReader, Hyperdrive
from pearbox_edge.ids import CoreKey
from tests.kit.drive_peers import Files, everything, our_store
from tests.kit.peers import JsPeer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]

ROUNDS, STEPS = 4, 10
SECRET = bytes(range(32))
PATHS = ["/a", "/a/b", "/a/b/c", "/docs/letter.txt", "/docs/ü/日本", "/z", "/docs0", "/B", "/ "]
SIZES = [0, 0, 1, 1000, 65535, 65536, 65537, 200_000]
VERBS = ["put"] * 6 + ["delete"] * 2 + ["symlink", "copy", "copy", "rename", "rename", "batch"]

Op = tuple[str, dict[str, Any]]
"""A verb and what it is given."""


# -- drives -------------------------------------------------------------------------------------


def draw_put(dice: random.Random) -> Op:
    # Few seeds: often something that was there before.
    data = random.Random(dice.randrange(6)).randbytes(dice.choice(SIZES))
    metadata = dice.choice([None, None, {"é": dice.randrange(9)}])
    path, executable = dice.choice(PATHS), dice.random() < 0.4
    return "put", {"path": path, "data": data, "executable": executable, "metadata": metadata}


def draw(dice: random.Random, model: Files, versions: list[int]) -> Op:
    """The next change; `versions` are those one may go back to."""
    verb = dice.choice(VERBS)
    if len(versions) > 6 and dice.random() < 0.06:
        return "truncate", {"to": dice.choice(versions[-6:-1])}
    if verb == "delete":
        return verb, {"path": dice.choice(PATHS)}
    if verb == "symlink":
        return verb, {"path": dice.choice(PATHS), "target": dice.choice(PATHS)}
    if verb in {"copy", "rename"} and model:
        path = dice.choice(sorted(model))
        return verb, {"path": path, "to": dice.choice([name for name in PATHS if name != path])}
    if verb == "batch":
        steps = [draw_put(dice) for _ in range(dice.randrange(1, 5))]
        steps.append(("delete", {"path": dice.choice(PATHS)}))
        dice.shuffle(steps)
        return verb, {"steps": steps}
    return draw_put(dice)


def change(model: Files, verb: str, args: dict[str, Any]) -> None:
    """What the change is to mean."""
    match verb:
        case "put":
            model[args["path"]] = {
                "sha256": hashlib.sha256(args["data"]).hexdigest(),
                "executable": args["executable"],
                "linkname": None,
                "metadata": args["metadata"],
            }
        case "delete":
            model.pop(args["path"], None)
        case "symlink":
            link = {"sha256": None, "executable": False, "linkname": args["target"]}
            model[args["path"]] = {**link, "metadata": None}
        case "copy":
            model[args["to"]] = model[args["path"]]
        case "rename":
            model[args["to"]] = model.pop(args["path"])
        case "batch":
            for step in args["steps"]:
                change(model, *step)


async def change_ours(drive: Hyperdrive, verb: str, args: dict[str, Any]) -> int:
    """Do it to our drive; its version afterwards."""
    if verb == "batch":
        async with await drive.batch() as batch:
            for step, more in args["steps"]:
                await getattr(batch, step)(**more)
    elif verb == "truncate":
        await drive.truncate(args["to"])
    else:
        await getattr(drive, verb)(**args)
    return drive.version


async def change_theirs(writer: JsPeer, verb: str, args: dict[str, Any]) -> int:
    """Do it to the drive of a Node peer; its version afterwards."""
    match verb:
        case "put":
            data = base64.b64encode(args["data"]).decode()
            more = {name: args[name] for name in ("path", "executable", "metadata")}
            reply = await writer.ask(cmd="put", base64=data, **more)
        case "delete":
            reply = await writer.ask(cmd="del", **args)
        case "rename":
            await writer.ask(cmd="copy", **args)
            reply = await writer.ask(cmd="del", path=args["path"])
        case "batch":
            return [await change_theirs(writer, *step) for step in args["steps"]][-1]
        case _:
            reply = await writer.ask(cmd=verb, **args)
    version: int = reply["version"]
    return version


class Story:
    """A drive's versions as they should be, while `apply` changes it at random."""

    def __init__(
        self,
        seed: int,
        apply: Callable[[str, dict[str, Any]], Awaitable[int]],
        *,
        truncates: bool = True,
    ) -> None:
        self.dice = random.Random(seed)
        self.versions: dict[int, Files] = {}
        self.model: Files = {}
        self.log: list[str] = []
        """What was done, for the message of a failure."""
        self._apply = apply
        self._truncates = truncates

    async def step(self, op: Op | None = None) -> None:
        """Change the drive and the model."""
        # A Node peer's drive is truncated elsewhere, a step at a time (test_drive_steps.py).
        back = sorted(self.versions) if self._truncates else []
        verb, args = op or draw(self.dice, self.model, back)
        self.log.append(f"{verb} {args}"[:120])
        change(self.model, verb, args)
        version = await self._apply(verb, args)
        if verb == "truncate":
            assert version == args["to"]
            self.model = dict(self.versions[version])
            # Upstream may take away bytes of versions before: they are nobody's promise.
            self.versions.clear()
        self.versions[version] = dict(self.model)

    def agree(self, files: Files, version: int | None = None) -> None:
        """What the other side has is what the model has."""
        found = {
            path: {name: value for name, value in file.items() if name != "blob"}
            for path, file in files.items()
        }
        wanted = self.model if version is None else self.versions[version]
        assert found == wanted, "\n".join(self.log)
        assert list(found) == sorted(wanted, key=str.encode)

    def older(self) -> list[int]:
        """Some versions to look at again."""
        versions = sorted(self.versions)
        return sorted({versions[0], *self.dice.sample(versions, min(3, len(versions)))})


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_a_node_peer_agrees_on_a_drive_that_we_change_at_random(
    seed: int, tmp_path: Path
) -> None:
    key = SECRET if seed & 2 else None
    async with (
        our_store(tmp_path / "ours") as ours,
        Hyperdrive(ours.store, encryption_key=key, dedup=bool(seed & 1)) as drive,
    ):
        story = Story(seed, lambda verb, args: change_ours(drive, verb, args))
        await story.step(draw_put(story.dice))
        secret = ("--encryption-key", SECRET.hex()) if key else ()
        where = ("--storage", tmp_path / "js", "--key", drive.key.hex(), "--connect", ours.tcp)
        async with JsPeer("drive.mjs", *where, *secret) as reader:
            await reader.wait("ready")
            for _ in range(ROUNDS):
                for _ in range(STEPS):
                    await story.step()
                assert drive.blobs is not None
                forks = {"fork": drive.core.fork, "blobsFork": drive.blobs.core.fork}
                reply = await reader.ask(cmd="all", atLeast=drive.version, **forks)
                assert reply["version"] == drive.version
                story.agree(reply["files"])
                story.agree(await everything(drive))
            for version in story.older():
                reply = await reader.ask(cmd="all", version=version)
                story.agree(reply["files"], version)


async def follow(drive: Hyperdrive, reply: dict[str, Any]) -> None:
    """Wait until our copy is where the Node peer says that its drive is."""
    async with asyncio.timeout(20):
        await reach(drive.core, reply["version"], reply["fork"])
        blobs = await drive.get_blobs()
        await reach(blobs.core, reply["blobs"], reply["blobsFork"])


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
async def test_we_agree_on_a_drive_that_a_node_peer_changes_at_random(
    seed: int, tmp_path: Path
) -> None:
    key = SECRET if seed & 2 else None
    secret = ("--encryption-key", SECRET.hex()) if key else ()
    js = ("--storage", tmp_path / "js", "--listen", "127.0.0.1:0", *secret)
    async with JsPeer("drive.mjs", *js) as writer, our_store(tmp_path / "ours") as ours:
        ready = await writer.wait("ready")
        ours.connect(ready["tcp"])
        story = Story(seed, lambda verb, args: change_theirs(writer, verb, args), truncates=False)
        await story.step(draw_put(story.dice))
        theirs = CoreKey(bytes.fromhex(ready["keyHex"]))
        async with Hyperdrive(ours.store, theirs, encryption_key=key) as drive:
            view: DriveReader = drive
            for _ in range(ROUNDS):
                for _ in range(STEPS):
                    await story.step()
                reply = await writer.ask(cmd="all")
                story.agree(reply["files"])
                await follow(drive, reply)
                story.agree(await everything(view))
            for version in story.older():
                story.agree(await everything(drive.checkout(version)), version)


# -- cores --------------------------------------------------------------------------------------


async def reach(core: Hypercore, length: int, fork: int) -> None:
    async with asyncio.timeout(20):
        while (core.length, core.fork) != (length, fork):
            await core.update(timeout=1)
            await asyncio.sleep(0.01)


class OurCore:
    """A core of ours, or our copy of one."""

    def __init__(self, core: Hypercore) -> None:
        self.core = core

    async def append(self, blocks: list[str]) -> None:
        await self.core.append([block.encode() for block in blocks])

    async def truncate(self, length: int) -> None:
        await self.core.truncate(length)

    async def clear(self, start: int, end: int) -> None:
        await self.core.settled()
        await self.core.clear(start, end)
        assert not any(self.core.has(index) for index in range(start, end))

    async def read(self, length: int, fork: int) -> list[str]:
        """All of it, in a state that it is to reach."""
        await reach(self.core, length, fork)
        async with asyncio.timeout(20):
            blocks = await self.core.get_many(0, length)
        return [block.decode() for block in blocks]


class TheirCore:
    """The same for a Node peer's."""

    def __init__(self, peer: JsPeer) -> None:
        self.peer = peer

    async def append(self, blocks: list[str]) -> None:
        await self.peer.ask(cmd="append", core="a", blocks=blocks)

    async def truncate(self, length: int) -> None:
        await self.peer.ask(cmd="truncate", core="a", length=length)

    async def clear(self, start: int, end: int) -> None:
        await self.peer.ask(cmd="clear", core="a", start=start, end=end)

    async def read(self, length: int, fork: int) -> list[str]:
        await self.peer.ask(cmd="reach", core="a", length=length, fork=fork)
        reply = await self.peer.ask(cmd="get", core="a", start=0, end=length)
        blocks: list[str] = reply["blocks"]
        return blocks


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("who", ["ours", "theirs"])
async def test_both_agree_on_a_core_that_one_changes_at_random(
    seed: int, who: str, tmp_path: Path
) -> None:
    dice = random.Random(seed)
    async with our_store(tmp_path / "ours") as ours:
        where = ("--storage", tmp_path / "js", "--connect", ours.tcp)
        async with JsPeer("cores.mjs", *where) as js:
            await js.wait("ready")
            if who == "ours":
                core = await ours.store.get("core")
                await js.ask(cmd="open", core="a", key=core.key.hex())
            else:
                made = await js.ask(cmd="open", core="a", name="core")
                core = await ours.store.get(key=CoreKey(bytes.fromhex(made["key"])))
            ends: list[OurCore | TheirCore] = [OurCore(core), TheirCore(js)]
            writer, reader = ends if who == "ours" else ends[::-1]
            model: list[str] = []
            fork, count = 0, 0
            limit = STEPS if who == "ours" else 0  # truncations in a round
            for _ in range(ROUNDS):
                # Blocks below `both` are at both ends, but for those of `lost`, which are at one.
                # How many a copy keeps over a truncation is its own affair: no block is left to
                # one end alone in a round that truncates.
                both, lost, cuts = len(model), set[int](), 0
                log = [f"{both} blocks at both"]
                for _ in range(STEPS):
                    verb = dice.choice(["append"] * 5 + ["truncate"] + ["clear"] * 2)
                    if verb == "truncate" and model and not lost and cuts < limit:
                        length = dice.randrange(len(model))
                        await writer.truncate(length)
                        fork += 1
                        del model[length:]
                        both, cuts = 0, cuts + 1
                        log.append(f"truncate {length}")
                    elif verb == "clear" and both:
                        start = dice.randrange(both)
                        end = min(both, start + dice.randrange(1, 9))
                        if lost.isdisjoint(range(start, end)):
                            await dice.choice([writer, reader]).clear(start, end)
                            lost |= set(range(start, end))
                            log.append(f"clear {start} {end}")
                    else:
                        size = dice.choice([1, 1, 2, 7, 40])
                        blocks = [
                            f"block {count + i} " * dice.choice([0, 1, 9, 900]) for i in range(size)
                        ]
                        count += size
                        await writer.append(blocks)
                        model += blocks
                        log.append(f"append {size}")
                assert await reader.read(len(model), fork) == model, log
                assert await writer.read(len(model), fork) == model, log

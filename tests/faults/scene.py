"""A household of drives and cores that changes all the time, and says what it was promised.

Each change is announced (`begin KEY VALUE`), and acknowledged once it returned (`done KEY VALUE`).
Whatever happens to the process, a reopened directory must show, for each key, the value that was
acknowledged last or one that was begun after it.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import (
    BlockRequest,
    Hypercore,
    Manifest,
    Proof,
    ProofRequest,
    UpgradeRequest,
    verify_storage,
)
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.storage import MemoryStorage, SqliteStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.ids import CoreKey
from tests.kit.replication import connected, make_store

OWN = KeyPair.from_seed(b"own" + bytes(29))
FAR = KeyPair.from_seed(b"far" + bytes(29))
THEIRS = 3
NOTHING = "0 0 | 0 0"
AT_FIRST = {"own": "0 0", "copy": "0 0"}
MAX_BLOCKS = 120
PATHS = [f"/folder/file-{number}" for number in range(8)]

ANYTHING = "*"
"""What is begun may lead to any state (that verifies)."""

Say = Callable[[str], None]
Step = Callable[[], Awaitable[None]]

_CHANCE: ContextVar[random.Random] = ContextVar("chance")


def block(fork: int, index: int) -> bytes:
    """Sizes from nothing to several pages; blocks that share a page of the disk, too."""
    chance = random.Random(f"{fork} {index}")
    return chance.randbytes(chance.choice([0, 1, 50, 500, 3000, 9000]))


def content(number: int) -> bytes:
    """The bytes of a file, as a number says."""
    chance = random.Random(number)
    return chance.randbytes(chance.choice([0, 10, 1000, 70_000, 200_000]))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass
class Journal:
    """What was begun and acknowledged, by key."""

    done: dict[str, str] = field(default_factory=dict)
    begun: dict[str, list[str]] = field(default_factory=dict)
    acknowledged: int = 0

    def read(self, line: str) -> None:
        verb, key, value = line.split(" ", 2)
        if verb == "done":
            self.done[key] = value
            self.begun.pop(key, None)
            self.acknowledged += 1
        else:
            self.begun.setdefault(key, []).append(value)

    def compare(self, found: dict[str, str]) -> None:
        """AssertionError if anything acknowledged is lost, or anything shows that nobody did."""
        for key in self.done.keys() | self.begun.keys() | found.keys():
            shown = found.get(key, "")
            at_first = NOTHING if key.startswith("theirs") else AT_FIRST.get(key, "")
            allowed = {self.done.get(key, at_first), *self.begun.get(key, [])}
            if ANYTHING not in allowed:
                assert shown in allowed, f"{key}: shows {shown!r}, not one of {sorted(allowed)}"

    def restart(self, found: dict[str, str]) -> None:
        """What is there now is what counts from now on."""
        self.done, self.begun = dict(found), {}
        self.acknowledged = 0


def shape(core: Hypercore) -> str:
    """Fork, length and what is held of a core, as text."""
    runs = " ".join(f"{start}-{end}" for start, end in core.bitfield.runs(0, core.length))
    return f"{core.fork} {core.length} {runs}".strip()


class Scene:
    """The running household. `run` goes on for so many rounds, or until it is stopped."""

    def __init__(self, folder: Path, seed: str, say: Say) -> None:
        self.folder = folder
        self.seed = seed
        self.say = say

    async def run(self, rounds: int) -> None:
        async with AsyncExitStack() as stack:
            storage = await SqliteStorage.open(self.folder)
            stack.push_async_callback(storage.close)
            store = Corestore(storage, random_bytes=random.Random("keys").randbytes)
            self.say("begin keys made")
            await store.open()
            self.say("done keys made")
            stack.push_async_callback(store.close)
            drive = Hyperdrive(store)
            self.own = await store.get(key_pair=OWN)
            self.far = await Hypercore.open(MemoryStorage(), key_pair=FAR)
            self.copy = await store.get(key=self.far.key, manifest=self.far.manifest)
            await self._make_far()
            self.drive = await drive.open()
            self.files = await files_of(drive)
            actors = {
                "own": (rounds, [self._append, self._append, self._shrink]),
                "copy": (rounds, [self._accept, self._accept, self._clear_copy]),
                "drive": (rounds, [self._put, self._put_many, self._delete]),
                "theirs": (rounds // 4, [self._replicate]),
            }
            async with asyncio.TaskGroup() as group:
                for name, (times, steps) in actors.items():
                    chance = random.Random(f"{self.seed} {name}")
                    group.create_task(self._act(chance, times, steps))
            await drive.close()

    async def _act(self, chance: random.Random, times: int, steps: Sequence[Step]) -> None:
        """One of those who use the directory at the same time."""
        _CHANCE.set(chance)
        for _ in range(times):
            await chance.choice(steps)()

    @property
    def chance(self) -> random.Random:
        """The chance of the actor that asks."""
        return _CHANCE.get()

    # --- a core of our own ---

    async def _append(self) -> None:
        core = self.own
        count = self.chance.randrange(1, 12)
        blocks = [block(core.fork, core.length + i) for i in range(count)]
        after = _Shape(core)
        after.append(count)
        self.say(f"begin own {after}")
        await core.append(blocks)
        self.say(f"done own {shape(core)}")

    async def _shrink(self) -> None:
        core = self.own
        after = _Shape(core)
        if core.length > MAX_BLOCKS or self.chance.random() < 0.4:
            length = self.chance.randrange(core.length + 1)
            after.truncate(length)
            self.say(f"begin own {after}")
            await core.truncate(length)
        else:
            start = self.chance.randrange(core.length + 1)
            end = min(core.length, start + self.chance.randrange(1, 20))
            after.held -= set(range(start, end))
            self.say(f"begin own {after}")
            await core.clear(start, end)
        self.say(f"done own {shape(core)}")

    # --- a copy of somebody's core ---

    async def _make_far(self) -> None:
        """Bring the far core to where it was: as long and as often truncated as our copy knows."""
        if self.copy.fork:
            await self.far.truncate(0, self.copy.fork)
        lacking = self.copy.length - self.far.length
        if lacking > 0:
            await self._far_grows(lacking)

    async def _far_grows(self, count: int) -> None:
        far = self.far
        await far.append([block(0, far.length + i) for i in range(count)])

    async def _far_forks(self) -> None:
        """The far core loses its end, which is written anew; we hear of it with the next head."""
        far = self.far
        length = self.chance.randrange(far.length + 1)
        await far.truncate(length)
        await self._far_grows(self.chance.randrange(1, 10))

    async def _accept(self) -> None:
        """Some blocks, the head with the first of them, all durable together or one by one."""
        far, copy = self.far, self.copy
        if self.chance.random() < 0.1:
            await self._far_forks()
        if far.length > MAX_BLOCKS:
            await far.truncate(self.chance.randrange(20))
        await self._far_grows(self.chance.randrange(1, 8))
        shown = [_Shape(copy)]
        if far.fork != copy.fork:
            # Only the head first: what is common then is for the copy to find out.
            self.say(f"begin copy {ANYTHING}")
            request = ProofRequest(far.fork, upgrade=UpgradeRequest(0, far.length))
        else:
            request = ProofRequest(
                far.fork, upgrade=UpgradeRequest(copy.length, far.length - copy.length)
            )
            shown.append(_Shape(copy))
            shown[-1].length = far.length
            self.say(f"begin copy {shown[-1]}")
        await self._take(request)
        if far.fork != copy.fork:
            return
        wanted = [i for i in range(far.length) if not copy.has(i) and self.chance.random() < 0.4]
        for index in wanted[:12]:
            shown.append(_Shape(copy))
            shown[-1].held.add(index)
            self.say(f"begin copy {shown[-1]}")
            missing = await copy.missing_nodes(index)
            await self._take(ProofRequest(far.fork, block=BlockRequest(index, missing)))
            if self.chance.random() < 0.2:
                await copy.settled()
                self.say(f"done copy {shape(copy)}")
        await copy.settled()
        self.say(f"done copy {shape(copy)}")

    async def _take(self, request: ProofRequest) -> None:
        (proof,) = await self.far.prove_many([request])
        assert isinstance(proof, Proof)
        (result,) = await self.copy.accept_many([proof])
        if isinstance(result, Exception):
            raise result

    async def _clear_copy(self) -> None:
        core = self.copy
        start = self.chance.randrange(core.length + 1)
        end = min(core.length, start + self.chance.randrange(1, 9))
        after = _Shape(core)
        after.held -= set(range(start, end))
        self.say(f"begin copy {after}")
        await core.clear(start, end)
        self.say(f"done copy {shape(core)}")

    # --- a drive ---

    async def _put(self) -> None:
        path, number = self.chance.choice(PATHS), self.chance.randrange(1 << 30)
        data = content(number)
        self.say(f"begin {path} {digest(data)}")
        await self.drive.put(path, data)
        self.files[path] = digest(data)
        self.say(f"done {path} {digest(data)}")

    async def _put_many(self) -> None:
        """Several files at once, as an import of a folder does."""
        changed = {}
        async with await self.drive.batch() as batch:
            for path in self.chance.sample(PATHS, 3):
                data = content(self.chance.randrange(1 << 30))
                changed[path] = digest(data)
                self.say(f"begin {path} {digest(data)}")
                await batch.put(path, data)
        self.files.update(changed)
        for path, text in changed.items():
            self.say(f"done {path} {text}")

    async def _delete(self) -> None:
        path = self.chance.choice(PATHS)
        self.say(f"begin {path} ")
        await self.drive.delete(path)
        self.files.pop(path, None)
        self.say(f"done {path} ")

    # --- over a stream ---

    async def _replicate(self) -> None:
        """A drive of somebody else, fetched whole over a stream."""
        number = self.chance.randrange(THEIRS)
        store = self.drive.store
        async with make_store(100 + number) as far, Hyperdrive(far) as theirs:
            key = await fill(theirs, number)
            self.say(f"begin theirs/{number} {ANYTHING}")
            async with Hyperdrive(store, key) as ours, connected(store, far):
                await ours.update(timeout=10)
                for path in PATHS[:3]:
                    assert await ours.get(path) == await theirs.get(path)
                for core in (ours.core, (await ours.get_blobs()).core):
                    await core.settled()
            self.say(f"done theirs/{number} {await shape_of_theirs(store, number)}")


async def fill(drive: Hyperdrive, number: int) -> CoreKey:
    """Make the drive of somebody else what it always is."""
    if await drive.entry(PATHS[0]) is None:
        for place, path in enumerate(PATHS[:3]):
            await drive.put(path, content(1000 * number + place))
    return drive.key


async def shape_of_theirs(store: Corestore, number: int) -> str:
    """What of somebody else's drive is held here."""
    async with make_store(100 + number) as far, Hyperdrive(far) as theirs:
        await fill(theirs, number)
        found = []
        for key in (theirs.key, theirs.content_key):
            assert key is not None
            core = await store.get(key=key)
            found.append(shape(core))
            await core.close()
    return " | ".join(found)


class _Shape:
    """What a core will look like, to be changed and written down before it is done."""

    def __init__(self, core: Hypercore) -> None:
        self.fork = core.fork
        self.length = core.length
        self.held = {i for i in range(core.length) if core.has(i)}

    def append(self, count: int) -> None:
        self.held |= set(range(self.length, self.length + count))
        self.length += count

    def truncate(self, length: int) -> None:
        self.fork += 1
        self.length = length
        self.held = {i for i in self.held if i < length}

    def __str__(self) -> str:
        runs: list[tuple[int, int]] = []
        for index in sorted(self.held):
            if runs and runs[-1][1] == index:
                runs[-1] = (runs[-1][0], index + 1)
            else:
                runs.append((index, index + 1))
        text = " ".join(f"{start}-{end}" for start, end in runs)
        return f"{self.fork} {self.length} {text}".strip()


async def files_of(drive: Hyperdrive) -> dict[str, str]:
    """What each file of a drive holds, by path."""
    found = {}
    for path in PATHS:
        data = await drive.get(path)
        if data is not None:
            found[path] = digest(data)
    return found


async def look(folder: Path) -> dict[str, str]:
    """Open a directory as it was left, check all of it, and tell what it shows."""
    async with await SqliteStorage.open(folder) as storage:
        wrong = [str(finding) async for finding in verify_storage(storage)]
        assert not wrong, wrong
        found: dict[str, str] = {}
        if await storage.get_value("corestore/primary-key") is not None:
            found["keys"] = "made"
        async with Corestore(storage, random_bytes=random.Random("keys").randbytes) as store:
            async with Hyperdrive(store) as drive:
                found |= await files_of(drive)
            for number in range(THEIRS):
                found[f"theirs/{number}"] = await shape_of_theirs(store, number)
            copy = await store.get(key=Manifest.default(FAR.public_key).key)
            for name, core in (("own", await store.get(key_pair=OWN)), ("copy", copy)):
                assert not core.has_left_over
                found[name] = shape(core)
                await core.close()
    return found


def run_scene(folder: Path, seed: str, rounds: int, say: Say) -> None:
    asyncio.run(Scene(folder, seed, say).run(rounds))

"""Random steps on both storages agree with dicts and sets, before and after reopening."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.data.storage import (
    PAGE_BITS,
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    Storage,
    TreeNode,
)
from pearbox_edge.ids import CoreKey, DiscoveryKey
from tests.kit.storage import StorageBox, StorageKind

CORES = 2
BLOCK = 3000
"""Bytes of every block: most blocks share filesystem blocks with their neighbours."""
BLOCKS = 40
NODES = 2 * BLOCKS


def right_span(index: int) -> int:
    span = 1
    while index & span:
        span <<= 1
    return index + span - 1


@dataclass
class Model:
    """One core as lists and dicts: slow, and plainly right."""

    core_id: int = 0
    nodes: dict[int, TreeNode] = field(default_factory=dict)
    blocks: dict[int, bytes] = field(default_factory=dict)
    head: Head = field(default_factory=Head)
    user_data: dict[str, bytes] = field(default_factory=dict)

    def truncate(self, length: int) -> None:
        self.nodes = {i: node for i, node in self.nodes.items() if right_span(i) < 2 * length}
        self.blocks = {i: block for i, block in self.blocks.items() if i < length}

    def pages(self) -> dict[int, bytes]:
        pages: dict[int, bytearray] = {}
        for index in self.blocks:
            page = pages.setdefault(index // PAGE_BITS, bytearray(PAGE_BITS // 8))
            page[index % PAGE_BITS // 8] |= 1 << (index % 8)
        return {number: bytes(page) for number, page in pages.items()}


@dataclass(frozen=True)
class Put:
    """Write blocks and nodes; `keep` first truncates."""

    core: int
    indices: list[int]
    fill: int
    keep: int | None


@dataclass(frozen=True)
class Clear:
    core: int
    index: int
    count: int


@dataclass(frozen=True)
class Reopen:
    pass


cores = st.integers(0, CORES - 1)
puts = st.builds(
    Put,
    cores,
    st.lists(st.integers(0, BLOCKS - 1), max_size=6, unique=True),
    st.integers(0, 255),
    st.none() | st.none() | st.integers(0, BLOCKS),
)
clears = st.builds(Clear, cores, st.integers(0, BLOCKS - 1), st.integers(1, 10))
groups = st.lists(puts | clears, min_size=1, max_size=4)
scripts = st.lists(groups | st.builds(Reopen), max_size=8)


def step(model: Model, action: Put | Clear) -> Changeset:
    """The changeset of an action, applied to the model too."""
    changeset = Changeset(model.core_id)
    if isinstance(action, Clear):
        end = min(action.index + action.count, BLOCKS)
        for index in range(action.index, end):
            model.blocks.pop(index, None)
        size = (end - action.index) * BLOCK
        changeset.cleared = [ByteRange(action.index * BLOCK, size)]
    else:
        length = model.head.length
        if action.keep is not None:
            length = changeset.truncate_to = min(length, action.keep)
            model.truncate(length)
        block = bytes([action.fill]) * BLOCK
        for index in action.indices:
            if index in model.blocks:
                continue  # the bytes of a block never change
            model.blocks[index] = block
            changeset.blocks.append(BlockWrite(index * BLOCK, block))
            node = TreeNode(2 * index + action.fill % 2, BLOCK, bytes([action.fill]) * 32)
            model.nodes[node.index] = node
            changeset.nodes.append(node)
            length = max(length, index + 1)
        model.head = Head(length, length * BLOCK, model.head.fork + 1)
        name = str(action.fill % 3)
        if action.fill % 2:
            changeset.user_data[name] = model.user_data[name] = bytes([action.fill])
        else:
            changeset.user_data[name] = None
            model.user_data.pop(name, None)
        changeset.head = model.head
    pages = model.pages()
    changeset.pages = {0: pages.get(0, bytes(PAGE_BITS // 8))}
    return changeset


async def compare(storage: Storage, number: int, model: Model) -> None:
    core = await storage.open_core(DiscoveryKey(bytes([number]) * 32))
    assert core is not None
    assert core.head == model.head
    assert core.user_data == model.user_data
    assert await storage.nodes(core.core_id, range(NODES)) == model.nodes
    assert await storage.pages(core.core_id) == model.pages()
    places = sorted(model.blocks)
    found = await storage.read_many(core.core_id, [ByteRange(i * BLOCK, BLOCK) for i in places])
    assert dict(zip(places, found, strict=True)) == model.blocks


async def play(kind: StorageKind, path: Path, script: list[list[Put | Clear] | Reopen]) -> None:
    box = StorageBox(kind, path)
    try:
        storage = await box.open()
        models = [Model() for _ in range(CORES)]
        for number, model in enumerate(models):
            key = bytes([number]) * 32
            model.core_id = (
                await storage.create_core(CoreKey(key), DiscoveryKey(key), None)
            ).core_id
        for action in script:
            if isinstance(action, Reopen):
                storage = await box.reopen()
            else:
                steps = [step(models[each.core], each) for each in action]
                await asyncio.gather(*map(storage.commit, steps))
            for number, model in enumerate(models):
                await compare(storage, number, model)
    finally:
        await box.close()


@pytest.mark.parametrize("kind", StorageKind, ids=lambda kind: kind.value)
@given(script=scripts)
@settings(max_examples=40, deadline=None)
def test_random_steps_agree_with_the_model(
    kind: StorageKind, script: list[list[Put | Clear] | Reopen]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(kind, Path(folder) / "data", script))

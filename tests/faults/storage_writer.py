"""A process that writes to a storage until it is killed, and the check of what it left.

    python -m tests.faults.storage_writer DIR SEED

It prints a line for each step that was acknowledged: core number and head length and fork. Blocks
are made so that their tree node says what they must hold: see `check`.
"""

import asyncio
import hashlib
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pearbox_edge.data.storage import (
    PAGE_BITS,
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    SqliteStorage,
    Storage,
    TreeNode,
)
from pearbox_edge.ids import CoreKey, DiscoveryKey

CORES = 3
MAX_BLOCKS = 300
"""A core longer than this is truncated again."""


def digest(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=32).digest()


def make_block(core: int, index: int, fork: int) -> bytes:
    """Any size from a byte to 20,000: many share a filesystem block, some span several."""
    chance = random.Random(f"{core} {index} {fork}")
    size = chance.choice([1, 10, 1000, 5000, 20_000])
    return chance.randbytes(size)


@dataclass
class Log:
    """One core as its writer knows it: sizes of all blocks, and which are held."""

    number: int
    core_id: int = 0
    head: Head = field(default_factory=Head)
    sizes: list[int] = field(default_factory=list)
    held: set[int] = field(default_factory=set)

    def pages(self, before: set[int]) -> dict[int, bytes]:
        pages = {index // PAGE_BITS: bytearray(PAGE_BITS // 8) for index in before | self.held}
        for index in self.held:
            pages[index // PAGE_BITS][index % PAGE_BITS // 8] |= 1 << (index % 8)
        return {number: bytes(page) for number, page in pages.items()}

    def step(self, chance: random.Random) -> Changeset:
        """The next change: append, rewrite from somewhere on, shorten, clear or fill."""
        before = set(self.held)
        changeset = Changeset(self.core_id)
        kind = chance.random()
        length, fork = self.head.length, self.head.fork
        if length > MAX_BLOCKS or (kind < 0.1 and length):
            keep = chance.randrange(length)
            fork += 1
            changeset.truncate_to = keep
            del self.sizes[keep:]
            self.held = {index for index in self.held if index < keep}
            if chance.random() < 0.5:
                self._append(changeset, fork, chance.randrange(1, 6))
        elif kind < 0.25 and self.held:
            start = chance.choice(sorted(self.held))
            end = min(length, start + chance.randrange(1, 20))
            offset = sum(self.sizes[:start])
            changeset.cleared = [ByteRange(offset, sum(self.sizes[start:end]))]
            self.held -= set(range(start, end))
        else:
            self._append(changeset, fork, chance.randrange(1, 12))
        self.head = Head(len(self.sizes), sum(self.sizes), fork, b"", b"")
        changeset.head = self.head
        changeset.pages = self.pages(before)
        return changeset

    def _append(self, changeset: Changeset, fork: int, count: int) -> None:
        offset = sum(self.sizes)
        for index in range(len(self.sizes), len(self.sizes) + count):
            block = make_block(self.number, index, fork)
            changeset.blocks.append(BlockWrite(offset, block))
            changeset.nodes.append(TreeNode(2 * index, len(block), digest(block)))
            self.sizes.append(len(block))
            self.held.add(index)
            offset += len(block)


async def check(storage: Storage, number: int) -> Log:
    """Read a core back whole. AssertionError if its head names what is not there."""
    key = bytes([number]) * 32
    core = await storage.create_core(CoreKey(key), DiscoveryKey(key), None)
    log = Log(number, core.core_id, core.head)
    nodes = await storage.nodes(core.core_id, range(2 * core.head.length + 1000))
    assert sorted(nodes) == list(range(0, 2 * core.head.length, 2))
    log.sizes = [nodes[2 * index].size for index in range(core.head.length)]
    assert sum(log.sizes) == core.head.byte_length
    for number_, page in (await storage.pages(core.core_id)).items():
        bits = int.from_bytes(page, "little")
        log.held |= {number_ * PAGE_BITS + i for i in range(bits.bit_length()) if bits >> i & 1}
    assert all(index < core.head.length for index in log.held)
    offsets = [0]
    for size in log.sizes:
        offsets.append(offsets[-1] + size)
    places = sorted(log.held)
    ranges = [ByteRange(offsets[index], log.sizes[index]) for index in places]
    blocks = await storage.read_many(core.core_id, ranges)
    for index, block in zip(places, blocks, strict=True):
        assert digest(block) == nodes[2 * index].hash, f"core {number}: block {index} differs"
    return log


async def write(folder: Path, seed: str) -> None:
    async with await SqliteStorage.open(folder) as storage, asyncio.TaskGroup() as group:
        for number in range(CORES):
            group.create_task(write_core(storage, await check(storage, number), seed))


async def write_core(storage: Storage, log: Log, seed: str) -> None:
    chance = random.Random(f"{seed} {log.number}")
    count = 0
    while True:
        # Two steps under way at a time, as a committer that is busy would have them.
        steps = [(log.step(chance), log.head) for _ in range(2)]
        await asyncio.gather(*(storage.commit(step) for step, _ in steps))
        count += 2
        head = steps[-1][1]
        sys.stdout.write(f"{log.number} {count} {head.length} {head.byte_length} {head.fork}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))

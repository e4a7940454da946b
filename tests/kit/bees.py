"""A bee on a core in memory, and operations given as JSON."""

import asyncio
from typing import Any, TypeVar

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.bee import BeeEntry, Hyperbee, Metadata
from pearbox_edge.data.bee.messages import decode_node
from pearbox_edge.data.bee.source import NodeCache, Walk
from pearbox_edge.data.core import (
    Accepted,
    BlockRequest,
    Hypercore,
    Proof,
    ProofRequest,
    UpgradeRequest,
)
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.errors import UnavailableError

T = TypeVar("T")

KEY_PAIR = KeyPair.from_seed(bytes(32))


async def new_core(encryption_key: bytes | None = None) -> Hypercore:
    """An empty core that we may write, nothing on disk."""
    return await Hypercore.open(MemoryStorage(), key_pair=KEY_PAIR, encryption_key=encryption_key)


async def new_bee(*, metadata: Metadata | None = None, always_duplicate: bool = True) -> Hyperbee:
    """An empty bee that we may write."""
    return Hyperbee(await new_core(), metadata=metadata, always_duplicate=always_duplicate)


async def filled_bee(blocks: list[bytes]) -> Hyperbee:
    """A bee with these very blocks."""
    core = await new_core()
    await core.append(blocks)
    return Hyperbee(core)


async def blocks_of(core: Hypercore) -> list[bytes]:
    """All blocks of a core, decrypted."""
    return await core.get_many(0, core.length)


def from_hex(text: str | None) -> bytes | None:
    """Bytes of hex digits; None stays None."""
    return None if text is None else bytes.fromhex(text)


def as_json(entry: BeeEntry | None) -> dict[str, Any] | None:
    """An entry as the vectors have it."""
    if entry is None:
        return None
    value = None if entry.value is None else entry.value.hex()
    return {"seq": entry.seq, "key": entry.key.hex(), "value": value}


class OnlyPeer:
    """A fetcher that takes all from one other core in this process, and counts what it takes."""

    def __init__(self, source: Hypercore, target: Hypercore) -> None:
        self.source = source
        self.target = target
        self.fetched: list[int] = []
        self.withheld: set[int] = set()
        target.fetcher = self

    async def fetch(self, index: int) -> None:
        """Copy one block with its proof."""
        if index in self.withheld:
            raise UnavailableError("the peer does not send this block")
        await asyncio.sleep(0)
        if not self.target.has(index):
            self.fetched.append(index)
            nodes = await self.target.missing_nodes(index)
            block = BlockRequest(index, nodes)
            await self._take(ProofRequest(self.target.fork, block=block))

    async def fetch_range(self, start: int, end: int) -> None:
        """Copy blocks one after another."""
        for index in range(start, end):
            if not self.target.has(index):
                await self.fetch(index)

    async def update(self) -> bool:
        """Copy the newest head."""
        start, length = self.target.length, self.source.length
        if start == length:
            return False
        upgrade = UpgradeRequest(start, length - start)
        manifest = self.target.manifest is None
        await self._take(ProofRequest(self.target.fork, upgrade=upgrade, manifest=manifest))
        return True

    async def seek(self, byte_offset: int) -> None:
        """Copy the tree nodes that lead to a byte."""
        while (request := await self.target.seek_request(byte_offset)) is not None:
            await self._take(request)

    async def _take(self, request: ProofRequest) -> None:
        [proof] = await self.source.prove_many([request])
        assert isinstance(proof, Proof), proof
        [accepted] = await self.target.accept_many([proof])
        assert isinstance(accepted, Accepted), accepted


async def reader_of(source: Hypercore) -> OnlyPeer:
    """A core elsewhere that knows only the key, and its way to the source."""
    target = await Hypercore.open(MemoryStorage(), key=source.key)
    peer = OnlyPeer(source, target)
    await target.update()
    return peer


def run_walk(walk: Walk[T], blocks: dict[int, bytes], nodes: NodeCache) -> T:
    """Drive a pure algorithm on blocks in a dict."""
    try:
        while True:
            for seq in reversed(next(walk)):
                nodes.put(decode_node(seq, blocks[seq]))
    except StopIteration as stop:
        result: T = stop.value
        return result

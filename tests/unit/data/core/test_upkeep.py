"""Repairs of an open core: who hears of them, what undoes them, what peers bring back."""

import asyncio

import pytest

from pearbox_edge.data.core import FindingKind, HashRequest, Hypercore, Proof, ProofRequest
from pearbox_edge.data.core.hooks import CoreListener
from pearbox_edge.data.core.proof import UpgradeRequest
from pearbox_edge.data.storage import LEFT_OVER, BlockWrite, Changeset, MemoryStorage
from pearbox_edge.errors import StorageError
from tests.kit.cores import WRITER, full_core
from tests.kit.storage import FaultyStorage

BLOCKS = [bytes([i]) * (100 + i) for i in range(20)]


class Ears(CoreListener):
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int]] = []

    def on_blocks(self, start: int, count: int) -> None:
        self.heard.append(("blocks", start, count))

    def on_clear(self, start: int, count: int) -> None:
        self.heard.append(("clear", start, count))


async def damage(core: Hypercore, index: int) -> None:
    stored = await core.storage.open_core(core.discovery_key)
    assert stored is not None
    place = await core.byte_offset(index)
    await core.storage.commit(Changeset(stored.core_id, blocks=[BlockWrite(place, b"wrong")]))


async def test_a_block_let_go_is_told_to_listeners_and_fetched_again() -> None:
    core = await full_core(BLOCKS)
    await damage(core, 4)
    core.add_listener(ears := Ears())
    found = [finding async for finding in core.verify(repair=True)]
    assert [(f.kind, f.start, f.end, f.repaired) for f in found] == [
        (FindingKind.BLOCK, 4, 5, True)
    ]
    assert ears.heard == [("clear", 4, 1)]
    assert not core.has(4)
    assert core.contiguous_length == 4


async def test_without_repair_nothing_changes() -> None:
    core = await full_core(BLOCKS)
    await damage(core, 4)
    assert len([finding async for finding in core.verify()]) == 1
    assert core.has(4)


async def test_a_repair_that_cannot_be_written_is_undone() -> None:
    storage = FaultyStorage(MemoryStorage())
    core = await Hypercore.open(storage, key_pair=WRITER)
    await core.append(BLOCKS)
    await damage(core, 4)
    storage.fail_at = storage.count + 1
    storage._only = frozenset(["commit"])
    with pytest.raises(StorageError, match="made to fail"):
        [finding async for finding in core.verify(repair=True)]
    assert core.has(4)


async def test_a_head_that_is_lost_is_not_repaired_under_an_open_core() -> None:
    core = await full_core(BLOCKS)
    await core.storage.commit(Changeset(1, dropped=[(0, 100)]))
    found = [finding async for finding in core.verify(repair=True)]
    assert [(f.kind, f.repaired) for f in found] == [(FindingKind.HEAD, False)]
    assert core.length == len(BLOCKS)


async def lost(core: Hypercore, size: int) -> tuple[Hypercore, Ears]:
    """A core as it is after its rows were lost, its bytes still there up to `size`."""
    storage = MemoryStorage()
    again = await Hypercore.open(storage, key_pair=WRITER)
    data = b"".join(BLOCKS)[:size]
    await storage.commit(Changeset(1, blocks=[BlockWrite(0, data)], user_data={LEFT_OVER: b"\x01"}))
    await again.close()
    again = await Hypercore.open(storage, key_pair=WRITER)
    again.add_listener(ears := Ears())
    return again, ears


async def ask(peer: Hypercore, core: Hypercore, request: ProofRequest) -> None:
    (proof,) = await peer.prove_many([request])
    assert isinstance(proof, Proof)
    (result,) = await core.accept_many([proof])
    assert not isinstance(result, Exception)


async def test_left_over_bytes_are_taken_in_as_peers_prove_their_leaves() -> None:
    peer = await full_core(BLOCKS)
    core, ears = await lost(peer, 10**6)
    assert core.has_left_over
    assert await core.adopt(0, 20) == []
    await ask(peer, core, ProofRequest(0, upgrade=UpgradeRequest(0, 20)))
    assert await core.adopt(0, 20) == []
    for index in (6, 7, 8, 12):
        missing = await core.missing_hash_nodes(2 * index)
        await ask(peer, core, ProofRequest(0, hash=HashRequest(2 * index, missing)))
    assert await core.adopt(0, 8) == [(6, 8)]
    assert {(8, 10), (12, 14)} == set(await core.adopt(0, 20))
    assert ears.heard == [("blocks", 6, 2), ("blocks", 8, 2), ("blocks", 12, 2)]
    assert await core.get(9) == BLOCKS[9]
    assert [finding async for finding in core.verify()] == []


async def test_a_lost_core_is_written_again_once_a_head_covers_its_bytes() -> None:
    peer = await full_core(BLOCKS)
    core, _ = await lost(peer, 10**6)
    with pytest.raises(StorageError, match="connect to a peer"):
        await core.append([b"new"])
    await ask(peer, core, ProofRequest(0, upgrade=UpgradeRequest(0, 20)))
    assert await core.append([b"new"]) == 21
    assert not core.has_left_over


async def test_a_head_older_than_the_bytes_does_not_let_a_lost_core_be_written() -> None:
    peer = await full_core(BLOCKS[:10])
    core, _ = await lost(peer, 10**6)
    await ask(peer, core, ProofRequest(0, upgrade=UpgradeRequest(0, 10)))
    with pytest.raises(StorageError, match="connect to a peer"):
        await core.append([b"new"])


async def test_bytes_that_cannot_be_taken_in_durably_stay_out() -> None:
    peer = await full_core(BLOCKS)
    core, _ = await lost(peer, 10**6)
    await ask(peer, core, ProofRequest(0, upgrade=UpgradeRequest(0, 20)))
    missing = await core.missing_hash_nodes(4)
    await ask(peer, core, ProofRequest(0, hash=HashRequest(4, missing)))
    await core.settled()
    core._upkeep._storage = FaultyStorage(core.storage, fail_at=1, only=["commit"])
    with pytest.raises(StorageError, match="made to fail"):
        await core.adopt(0, 20)
    assert core.bitfield.count == 0


async def test_adopting_beside_appends_disturbs_neither() -> None:
    core = await full_core(BLOCKS)
    await asyncio.gather(core.append(BLOCKS), core.adopt(0, 100), core.append(BLOCKS))
    assert await core.get_many(0, 60) == BLOCKS * 3

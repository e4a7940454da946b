"""One step counts whole or not at all, also when pages are cold in the middle of it."""

import asyncio

import pytest

from pearbox_edge.data.core import (
    Accepted,
    BlockPart,
    BlockRequest,
    Hypercore,
    Manifest,
    Proof,
    ProofRequest,
    UpgradeRequest,
)
from pearbox_edge.data.core.node_cache import ColdPagesError
from pearbox_edge.data.core.state import CoreState, load_manifest
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.errors import PeerError, StorageError
from tests.kit.cores import WRITER, full_core

BLOCKS = [bytes([i % 251]) * (i % 9) for i in range(300)]


async def proofs(core: Hypercore, *requests: ProofRequest) -> list[Proof]:
    answers = await core.prove_many(requests)
    assert all(isinstance(answer, Proof) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Proof)]


async def reader_of(core: Hypercore, length: int | None = None) -> Hypercore:
    reader = await Hypercore.open(MemoryStorage(), key=core.key)
    upgrade = UpgradeRequest(0, length or core.length)
    [proof] = await proofs(core, ProofRequest(core.fork, upgrade=upgrade, manifest=True))
    assert await reader.accept_many([proof]) == [Accepted(upgraded=True)]
    return reader


async def test_a_block_and_an_upgrade_together_land_at_their_place() -> None:
    core = await full_core(BLOCKS[:200])
    reader = await reader_of(core)
    await core.append(BLOCKS[200:])
    both = ProofRequest(0, BlockRequest(250, 0), upgrade=UpgradeRequest(200, 100))
    [proof] = await proofs(core, both)
    assert await reader.accept_many([proof]) == [Accepted(250, upgraded=True)]
    assert await reader.byte_offset(250) == sum(map(len, BLOCKS[:250]))
    await reader.close()
    again = await Hypercore.open(reader.storage, key=core.key)
    assert await again.get(250) == BLOCKS[250]
    assert again.manifest == Manifest.default(WRITER.public_key)


async def test_a_cold_page_changes_nothing_before_it_is_loaded() -> None:
    core = await full_core(BLOCKS)
    reader = await reader_of(core)
    [block] = await proofs(core, ProofRequest(0, BlockRequest(77, await reader.missing_nodes(77))))
    await reader.close()
    again = await Hypercore.open(reader.storage, key=core.key)
    state = again._state
    with pytest.raises(ColdPagesError):
        state.accept(block)
    assert not state.staging.is_waiting
    assert not again.has(77)
    assert await again.accept_many([block]) == [Accepted(77)]
    assert await again.get(77) == BLOCKS[77]


async def test_a_bad_proof_among_good_ones_spoils_only_itself() -> None:
    core = await full_core(BLOCKS)
    reader = await reader_of(core)
    requests = [
        ProofRequest(0, BlockRequest(index, await reader.missing_nodes(index)))
        for index in (1, 2, 3)
    ]
    one, two, three = await proofs(core, *requests)
    assert two.block is not None
    lie = Proof(0, BlockPart(2, b"lie", two.block.nodes))
    results = await reader.accept_many([one, lie, three])
    assert results[0] == Accepted(1)
    assert isinstance(results[1], PeerError)
    assert results[2] == Accepted(3)
    assert [reader.has(index) for index in (1, 2, 3)] == [True, False, True]


async def test_a_block_that_comes_twice_is_a_duplicate() -> None:
    core = await full_core(BLOCKS)
    reader = await reader_of(core)
    request = ProofRequest(0, BlockRequest(5, await reader.missing_nodes(5)))
    [proof] = await proofs(core, request)
    assert await reader.accept_many([proof, proof]) == [Accepted(5), Accepted(5, duplicate=True)]
    assert reader.bitfield.count == 1


async def test_two_peers_may_bring_the_same_upgrade() -> None:
    core = await full_core(BLOCKS[:9])
    reader = await reader_of(core)
    await core.append(BLOCKS[9:12])
    [proof] = await proofs(core, ProofRequest(0, upgrade=UpgradeRequest(9, 3)))
    first, second = await reader.accept_many([proof, proof])
    assert first == Accepted(upgraded=True)
    assert isinstance(second, PeerError)
    assert second.code == "INVALID_OPERATION"


async def test_blocks_arriving_in_any_order_lie_right() -> None:
    core = await full_core(BLOCKS)
    reader = await reader_of(core)
    order = [index * 7 % len(BLOCKS) for index in range(len(BLOCKS))]
    for start in range(0, len(order), 50):
        part = order[start : start + 50]
        requests = [ProofRequest(0, BlockRequest(i, await reader.missing_nodes(i))) for i in part]
        results = await reader.accept_many(await proofs(core, *requests))
        assert results == [Accepted(index) for index in part]
        if start == 100:
            await reader.close()
            reader = await Hypercore.open(reader.storage, key=core.key)
    await reader.close()
    reader = await Hypercore.open(reader.storage, key=core.key)
    assert await reader.get_many(0, len(BLOCKS)) == BLOCKS
    assert reader.contiguous_length == len(BLOCKS)


async def test_missing_nodes_shrink_as_paths_are_learnt() -> None:
    core = await full_core(BLOCKS[:256])
    reader = await reader_of(core)
    assert reader.missing_nodes_sync(0) == 8
    [proof] = await proofs(core, ProofRequest(0, BlockRequest(0, 8)))
    await reader.accept_many([proof])
    assert [reader.missing_nodes_sync(index) for index in (0, 1, 2, 4, 255)] == [0, 0, 1, 2, 7]
    assert reader.missing_nodes_sync(256) == 0


async def test_a_claimed_length_takes_no_memory() -> None:
    core = await full_core(BLOCKS[:3])
    state = CoreState(
        await _stored(core), core.manifest, tuple(core._state.tree.roots), core.bitfield
    )
    state.head = state.head.__class__(1 << 40, 0, 0)
    assert state.missing_nodes(1 << 41) == 0
    assert not state.bitfield.has(1 << 39)
    assert list(state.bitfield.runs(0, 1 << 40)) == [(0, 3)]


async def _stored(core: Hypercore):  # type: ignore[no-untyped-def]
    stored = await core.storage.open_core(core.discovery_key)
    assert stored is not None
    return stored


async def test_a_damaged_manifest_is_an_error_of_storage() -> None:
    storage = MemoryStorage()
    manifest = Manifest.default(WRITER.public_key)
    stored = await storage.create_core(manifest.key, bytes(32), b"\x09")  # type: ignore[arg-type]
    with pytest.raises(StorageError):
        load_manifest(stored)


async def test_a_root_that_is_gone_is_an_error_of_storage() -> None:
    core = await full_core(BLOCKS[:6])
    await core.close()

    async def none(core_id: int, indices: object) -> dict[int, object]:
        await asyncio.sleep(0)
        return {}

    core.storage.nodes = none  # type: ignore[method-assign,assignment]
    with pytest.raises(StorageError):
        await Hypercore.open(core.storage, key=core.key)

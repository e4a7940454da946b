"""A head of a higher fork is taken over whole, keeping every block that both forks share."""

import pytest

from pearbox_edge.data.core import (
    BlockRequest,
    Hypercore,
    Narrowing,
    Proof,
    ProofRequest,
    UpgradeRequest,
)
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.errors import PeerError, UnavailableError
from tests.kit.cores import full_core

BLOCKS = [b"block %d" % i for i in range(20)]


async def prove(core: Hypercore, request: ProofRequest) -> Proof:
    [proof] = await core.prove_many([request])
    assert isinstance(proof, Proof), proof
    return proof


async def head_of(core: Hypercore) -> Proof:
    way = UpgradeRequest(0, core.length)
    return await prove(core, ProofRequest(core.fork, upgrade=way, manifest=True))


async def copy_of(core: Hypercore) -> Hypercore:
    reader = await Hypercore.open(MemoryStorage(), key=core.key)
    await reader.accept_many([await head_of(core)])
    for index in range(core.length):
        request = BlockRequest(index, await reader.missing_nodes(index))
        await reader.accept_many([await prove(core, ProofRequest(core.fork, request))])
    return reader


async def narrowed(reader: Hypercore, core: Hypercore) -> Narrowing:
    search = await reader.forks.examine(await head_of(core))
    want = await reader.forks.narrow(search)
    while want is not None:
        answer = await prove(core, ProofRequest(core.fork, hash=want))
        want = await reader.forks.narrow(search, answer.hash)
    return search


async def test_every_common_block_is_kept() -> None:
    core = await full_core(BLOCKS)
    reader = await copy_of(core)
    await core.truncate(13)
    await core.append([b"new"] * 9)
    search = await narrowed(reader, core)
    snapshot = reader.snapshot()
    assert (await reader.switch(search)).truncated
    assert (reader.fork, reader.length, reader.contiguous_length) == (1, 22, 13)
    assert await reader.get_many(0, 13) == BLOCKS[:13]
    with pytest.raises(UnavailableError):
        await snapshot.get(13)
    again = await Hypercore.open(reader.storage, key=core.key)
    assert (again.fork, again.contiguous_length) == (1, 13)
    assert [finding async for finding in reader.verify()] == []


async def test_kept_blocks_can_be_served_in_the_new_fork() -> None:
    core = await full_core(BLOCKS)
    reader = await copy_of(core)
    await core.truncate(13)
    await core.append([b"new"] * 9)
    await reader.switch(await narrowed(reader, core))
    third = await Hypercore.open(MemoryStorage(), key=core.key)
    await third.accept_many([await head_of(reader)])
    for index in range(13):
        request = BlockRequest(index, await third.missing_nodes(index))
        [taken] = await third.accept_many([await prove(reader, ProofRequest(1, request))])
        assert not isinstance(taken, PeerError)
    assert await third.get_many(0, 13) == BLOCKS[:13]


async def test_a_head_found_before_another_fork_was_taken_is_refused() -> None:
    core = await full_core(BLOCKS)
    reader = await copy_of(core)
    await core.truncate(13)
    search = await narrowed(reader, core)
    await reader.accept_many([await head_of(core)])
    with pytest.raises(PeerError):
        await reader.switch(search)
    assert await reader.forks.narrow(search) is None


async def test_a_head_that_is_not_signed_is_not_looked_at() -> None:
    core, other = await full_core(BLOCKS), await full_core(BLOCKS[:3])
    reader = await copy_of(core)
    await other.truncate(1)
    proof = await head_of(other)
    forged = Proof(7, upgrade=proof.upgrade)
    with pytest.raises(PeerError):
        await reader.forks.examine(forged)

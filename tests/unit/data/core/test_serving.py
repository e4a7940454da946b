"""Many requests are answered in one go, each on its own merits."""

from pearbox_edge.data.core import (
    BlockRequest,
    HashRequest,
    Hypercore,
    Proof,
    ProofRequest,
    Refusal,
    RefusalReason,
    UpgradeRequest,
)
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.ids import CoreKey
from tests.kit.cores import WRITER, full_core

BLOCKS = [bytes([i]) * i for i in range(40)]
GONE = Refusal(RefusalReason.NOT_AVAILABLE)
WRONG = Refusal(RefusalReason.INVALID_REQUEST)


def block(index: int, nodes: int = 0, fork: int = 0) -> ProofRequest:
    return ProofRequest(fork, BlockRequest(index, nodes))


async def test_blocks_come_in_the_order_asked() -> None:
    core = await full_core(BLOCKS)
    order = [3, 4, 5, 39, 0, 4, 20]
    proofs = await core.prove_many([block(index, 1 if index < 32 else 0) for index in order])
    for index, proof in zip(order, proofs, strict=True):
        assert isinstance(proof, Proof)
        assert proof.block is not None
        assert (proof.block.index, bytes(proof.block.value)) == (index, BLOCKS[index])


async def test_a_bad_request_does_not_spoil_the_others() -> None:
    core = await full_core(BLOCKS)
    await core.clear(7, 9)
    answers = await core.prove_many(
        [
            block(1),
            block(7),
            block(40),
            block(1, fork=1),
            block(1, nodes=30),
            ProofRequest(0, upgrade=UpgradeRequest(0, 99)),
            ProofRequest(0, hash=HashRequest(1 << 60, 0)),
            block(2),
        ]
    )
    assert answers[1:7] == [GONE, GONE, GONE, WRONG, WRONG, WRONG]
    assert isinstance(answers[0], Proof)
    assert isinstance(answers[7], Proof)


async def test_the_manifest_comes_even_where_the_block_is_missing() -> None:
    core = await full_core(BLOCKS)
    await core.clear(0, 1)
    request = ProofRequest(0, BlockRequest(0, 0), manifest=True)
    assert await core.prove_many([request]) == [Proof(0, manifest=core.manifest)]


async def test_an_empty_core_gives_its_manifest_alone() -> None:
    core = await full_core([])
    upgrade = ProofRequest(0, upgrade=UpgradeRequest(0, 1), manifest=True)
    assert await core.prove_many([upgrade]) == [Proof(0, manifest=core.manifest)]
    assert await core.prove_many([block(0)]) == [GONE]


async def test_a_core_of_old_never_sends_a_manifest() -> None:
    key = CoreKey(WRITER.public_key)
    core = await Hypercore.open(MemoryStorage(), key=key, key_pair=WRITER)
    await core.append([b"x"])
    [proof] = await core.prove_many([ProofRequest(0, BlockRequest(0, 0), manifest=True)])
    assert isinstance(proof, Proof)
    assert proof.manifest is None

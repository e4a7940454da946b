"""Pages and blocks are loaded when a step lacks them; what moved meanwhile is not believed."""

from collections.abc import Sequence

import pytest

from pearbox_edge.data.core import BlockRequest, Hypercore, Proof, ProofRequest
from pearbox_edge.data.storage import (
    BlockWrite,
    ByteRange,
    Changeset,
    MemoryStorage,
    TreeNode,
)
from pearbox_edge.errors import StorageError, UnavailableError
from tests.kit.cores import WRITER, full_core

BLOCKS = [bytes([i % 251]) * (i % 7) for i in range(600)]


class CountingStorage(MemoryStorage):
    """Counts questions, and does something in the middle of a read."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0
        self.reads = 0
        self.core: Hypercore | None = None

    async def nodes(self, core_id: int, indices: Sequence[int]) -> dict[int, TreeNode]:
        self.questions += 1
        return await super().nodes(core_id, indices)

    async def read_many(self, core_id: int, ranges: Sequence[ByteRange]) -> list[bytes]:
        self.reads += 1
        if self.core is not None:
            core, self.core = self.core, None
            await core.truncate(2)
        return await super().read_many(core_id, ranges)


async def reopened() -> tuple[CountingStorage, Hypercore]:
    storage = CountingStorage()
    core = await Hypercore.open(storage, key_pair=WRITER)
    await core.append(BLOCKS)
    await core.close()
    core = await Hypercore.open(storage, key_pair=WRITER)
    storage.questions = 0
    return storage, core


async def test_a_batch_asks_for_all_its_nodes_at_once() -> None:
    storage, core = await reopened()
    requests = [ProofRequest(0, BlockRequest(index, 3)) for index in range(0, 500, 10)]
    answers = await core.prove_many(requests)
    assert all(isinstance(answer, Proof) for answer in answers)
    assert storage.questions == 1
    assert await core.get_many(0, 600) == BLOCKS
    assert storage.questions == 2


async def test_neighbours_are_read_in_one_go() -> None:
    storage, core = await reopened()
    assert await core.get_many(100, 300) == BLOCKS[100:300]
    assert storage.reads == 1


async def test_missing_nodes_is_told_from_memory_once_warm() -> None:
    storage, core = await reopened()
    assert core.missing_nodes_sync(3) is None
    await core.warm([3, 4, 5])
    assert core.missing_nodes_sync(4) == 0
    assert storage.questions == 1
    assert core.missing_nodes_sync(600) == 0


@pytest.mark.parametrize("index", [1, 10])
async def test_a_truncation_under_a_read_is_noticed(index: int) -> None:
    storage, core = await reopened()
    storage.core = core
    if index < 2:
        assert await core.get(index) == BLOCKS[index]
    else:
        with pytest.raises(UnavailableError):
            await core.get(index)


async def test_a_read_that_fails_by_itself_is_an_error_of_storage() -> None:
    core = await full_core(BLOCKS)

    async def fail(core_id: int, ranges: Sequence[ByteRange]) -> list[bytes]:
        raise StorageError("no disk")

    core.storage.read_many = fail  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        await core.get(3)


async def test_damaged_blocks_are_named() -> None:
    core = await full_core(BLOCKS)
    stored = await core.storage.open_core(core.discovery_key)
    assert stored is not None
    assert await core.damaged(0, 600) == []
    place = await core.byte_offset(200)
    await core.storage.commit(Changeset(stored.core_id, blocks=[BlockWrite(place, b"!")]))
    assert await core.damaged(0, 600) == [200]
    assert await core.damaged(201, 600) == []

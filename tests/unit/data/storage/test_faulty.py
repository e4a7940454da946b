"""The storage that fails when told to: other rooms' tests rely on what it counts."""

import pytest

from pearbox_edge.data.storage import MemoryStorage, Storage
from pearbox_edge.errors import StorageError
from tests.kit.storage import FaultyStorage


async def test_exactly_the_nth_operation_fails() -> None:
    storage: Storage = (faulty := FaultyStorage(MemoryStorage(), fail_at=2))
    await storage.set_values({"a": b"1"})
    with pytest.raises(StorageError):
        await storage.set_values({"a": b"2"})
    assert await storage.get_value("a") == b"1"
    assert (faulty.count, faulty.failures) == (3, 1)


async def test_only_the_named_operations_count() -> None:
    storage = FaultyStorage(MemoryStorage(), fail_at=1, only=["set_values"])
    assert await storage.cores() == []
    with pytest.raises(StorageError):
        await storage.set_values({})


async def test_an_operation_may_fail_after_it_was_done() -> None:
    storage = FaultyStorage(MemoryStorage(), fail_at=1, done_anyway=True)
    with pytest.raises(StorageError):
        await storage.set_values({"a": b"1"})
    assert await storage.get_value("a") == b"1"


async def test_a_failure_for_good_lasts_until_healed() -> None:
    storage = FaultyStorage(MemoryStorage(), fail_at=1, for_good=True)
    for _ in range(3):
        with pytest.raises(StorageError):
            await storage.cores()
    storage.heal()
    assert await storage.cores() == []

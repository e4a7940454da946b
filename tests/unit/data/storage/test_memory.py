"""What is particular to the storage in memory."""

import tracemalloc

from pearbox_edge.data.storage import BlockWrite, ByteRange, Changeset, Head, MemoryStorage
from pearbox_edge.ids import CoreKey, DiscoveryKey

KEY = bytes(32)


async def test_closing_keeps_what_it_holds() -> None:
    storage = MemoryStorage()
    core = await storage.create_core(CoreKey(KEY), DiscoveryKey(KEY), None)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"abc")]))
    await storage.close()
    assert await storage.read(core.core_id, 0, 3) == b"abc"


async def test_cleared_and_cut_bytes_leave_memory() -> None:
    storage = MemoryStorage()
    core = await storage.create_core(CoreKey(KEY), DiscoveryKey(KEY), None)
    tracemalloc.start()
    size = 4 << 20
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, bytes(size))]))
    full, _ = tracemalloc.get_traced_memory()
    await storage.commit(Changeset(core.core_id, cleared=[ByteRange(0, size // 2)]))
    half, _ = tracemalloc.get_traced_memory()
    await storage.commit(Changeset(core.core_id, truncate_to=0, head=Head()))
    none, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert full >= size
    assert half < size * 6 // 10
    assert none < 1 << 17


async def test_what_is_given_out_is_a_copy() -> None:
    storage = MemoryStorage()
    core = await storage.create_core(CoreKey(KEY), DiscoveryKey(KEY), None)
    core.user_data["mine"] = b"x"
    found = await storage.open_core(DiscoveryKey(KEY))
    assert found is not None
    assert found.user_data == {}

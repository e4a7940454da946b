import asyncio

from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.replication import Replicator
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store.open_cores import (
    IDLE_SECONDS,
    LINGER_SECONDS,
    OpenCore,
    OpenCores,
)
from tests.kit.cores import WRITER


async def opened() -> tuple[OpenCores, OpenCore]:
    core = await Hypercore.open(MemoryStorage(), key_pair=WRITER)
    cores, entry = OpenCores(), OpenCore(core, Replicator(core))
    cores.add(entry)
    return cores, entry


async def test_a_core_without_handle_and_channel_is_idle_after_a_while() -> None:
    cores, entry = await opened()
    assert cores.sweep(0.0) == []
    assert cores.sweep(IDLE_SECONDS - 0.1) == []
    assert cores.sweep(IDLE_SECONDS) == [entry]


async def test_a_held_core_is_never_idle() -> None:
    cores, entry = await opened()
    entry.core.session()
    assert cores.sweep(0.0) == []
    assert cores.sweep(1000.0) == []
    await entry.core.close()
    assert cores.sweep(1000.0) == []
    assert cores.sweep(1000.0 + IDLE_SECONDS) == [entry]


async def test_a_core_that_is_read_is_not_idle() -> None:
    cores, entry = await opened()
    reading = asyncio.ensure_future(entry.replicator.fetch(7))
    await asyncio.sleep(0)
    assert cores.sweep(0.0) == []
    assert cores.sweep(1000.0) == []
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def test_a_core_goes_on_downloading_a_while_after_its_last_handle() -> None:
    cores, entry = await opened()
    entry.replicator.set_downloading(True)
    cores.sweep(0.0)
    cores.sweep(LINGER_SECONDS - 0.1)
    assert entry.replicator.downloading
    cores.sweep(LINGER_SECONDS)
    assert not entry.replicator.downloading


async def test_a_removed_core_is_gone() -> None:
    cores, entry = await opened()
    assert cores.get(entry.core.discovery_key) is entry
    assert len(cores) == 1
    cores.remove(entry)
    cores.remove(entry)
    assert cores.get(entry.core.discovery_key) is None
    assert list(cores) == []

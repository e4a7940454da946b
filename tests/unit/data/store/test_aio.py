import asyncio

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import Manifest
from pearbox_edge.data.replication import PROTOCOL, Traffic
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.data.store.open_cores import IDLE_SECONDS
from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.ids import CoreKey, DiscoveryKey
from tests.kit.replication import connected, make_store, settle

PAIR = KeyPair.from_seed(b"s" * 32)


async def test_the_primary_key_is_made_once_and_kept() -> None:
    storage = MemoryStorage()
    keys = []
    for filler in (b"a", b"b"):
        async with Corestore(storage, random_bytes=lambda n, f=filler: f * n) as store:  # type: ignore[misc]
            core = await store.get("db")
            keys.append(core.key)
            await core.close()
    assert keys[0] == keys[1]


async def test_a_new_store_needs_a_key_or_random_bytes() -> None:
    with pytest.raises(UsageError):
        await Corestore(MemoryStorage()).open()
    with pytest.raises(UsageError):
        Corestore(MemoryStorage(), primary_key=b"short")
    with pytest.raises(UsageError):
        Corestore(MemoryStorage(), random_bytes=bytes).key_pair("db")


async def test_one_core_is_opened_once_for_all_handles() -> None:
    async with make_store(1) as store:
        by_name = await store.get("db")
        by_key = await store.get(key=by_name.key)
        by_pair = await store.get(key_pair=store.key_pair("db"))
        found = await store.get(discovery_key=by_name.discovery_key)
        by_manifest = await store.get(manifest=Manifest.default(store.key_pair("db").public_key))
        assert by_name is by_key is by_pair is found is by_manifest
        assert by_name.sessions == 6
        for core in (by_name, by_key, by_pair, found, by_manifest):
            await core.close()
        assert not by_name.closed
        assert by_name.sessions == 1


async def test_handles_opened_at_once_share_one_core() -> None:
    async with make_store(1) as store:
        cores = await asyncio.gather(*[store.get("db") for _ in range(5)])
        assert len({id(core) for core in cores}) == 1


async def test_namespaces_share_cores_but_not_names() -> None:
    async with make_store(1) as store:
        inner = store.namespace("a").namespace("b")
        one, two = await store.get("db"), await inner.get("db")
        assert one.key != two.key
        assert await store.get(key=two.key) is two
        assert inner.storage is store.storage
        assert set(await store.list()) == {one.discovery_key, two.discovery_key}


async def test_a_key_pair_gives_the_right_to_write() -> None:
    async with make_store(1) as store:
        reader = await store.get(key=Manifest.default(PAIR.public_key).key)
        assert not reader.writable
        assert await store.get(key_pair=PAIR) is reader
        assert reader.writable
        await reader.append([b"block"])


async def test_a_core_that_is_not_stored_is_not_found_by_discovery_key() -> None:
    async with make_store(1) as store:
        with pytest.raises(UnavailableError) as caught:
            await store.get(discovery_key=DiscoveryKey(bytes(32)))
        assert caught.value.code == "STORAGE_EMPTY"
        with pytest.raises(UsageError):
            await store.get()


async def test_an_encryption_key_is_set_on_the_shared_core() -> None:
    async with make_store(1) as store:
        plain = await store.get("db")
        secret = await store.get("db", encryption_key=b"e" * 32)
        assert plain is secret
        assert plain.encrypted


async def test_a_core_opened_later_is_offered_on_live_streams() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await one.get("db")
        await core.append([b"block"])
        async with connected(one, two):
            await settle()
            copy = await two.get(key=core.key)
            assert await copy.get(0) == b"block"


async def test_a_core_that_was_rejected_first_is_replicated_once_the_other_side_opens_it() -> None:
    async with make_store(1) as one, make_store(2) as two, connected(one, two):
        core = await one.get("db")
        await settle()
        assert one.links[0].peers == []
        await core.append([b"block"])
        copy = await two.get(key=core.key)
        assert await copy.get(0) == b"block"


async def test_cores_that_are_only_stored_are_answered_for() -> None:
    storage = MemoryStorage()
    async with make_store(1, storage) as one:
        core = await one.get("db")
        await core.append([b"block"])
        key = core.key
    async with make_store(1, storage) as one, make_store(2) as two:
        copy = await two.get(key=key)
        async with connected(one, two):
            assert await copy.get(0) == b"block"


async def test_a_passive_store_opens_nothing_by_itself() -> None:
    passive = Corestore(MemoryStorage(), primary_key=bytes(32), active=False)
    async with passive, make_store(2) as two:
        core = await passive.get("db")
        await core.append([b"block"])
        async with connected(passive, two):
            await settle()
            assert passive.links[0].peers == []
            copy = await two.get(key=core.key)
            assert await copy.get(0) == b"block"


async def test_knowing_a_discovery_key_does_not_give_the_core() -> None:
    async with make_store(1) as one, make_store(2) as two:
        await one.get("db")
        async with connected(one, two):
            stranger = await two.get(key=CoreKey(b"x" * 32))
            assert not await stranger.update()
            assert two.links[0].peers == []


async def test_ids_that_are_no_discovery_keys_are_rejected() -> None:
    async with make_store(1) as one, make_store(2) as two, connected(one, two):
        mux = two.links[0].mux
        ended: list[bool] = []

        class Handler:
            def on_open(self, handshake: memoryview) -> None:
                raise AssertionError("it was opened")

            def on_message(self, type: int, body: memoryview) -> None:  # noqa: A002
                pass

            def on_close(self) -> None:
                ended.append(True)

        for id_ in (None, b"short", b"y" * 32):
            mux.open(PROTOCOL, id_, Handler())
        await settle()
        assert ended == [True] * 3


async def test_traffic_is_counted_over_all_streams_that_ever_were() -> None:
    async with make_store(1) as one, make_store(2) as two:
        core = await one.get("db")
        await core.append([b"block", b"more"])
        copy = await two.get(key=core.key)
        for number in range(2):
            async with connected(one, two, bytes([number])):
                assert await copy.get(number)
                assert two.links[0].traffic.blocks_received == 1
        assert two.traffic == Traffic(blocks_received=2, bytes_received=9)
        assert one.traffic == Traffic(blocks_sent=2, bytes_sent=9)


async def test_idle_cores_are_closed_and_opened_again() -> None:
    async with make_store(1) as store:
        core = await store.get("db")
        await core.append([b"block"])
        await core.close()
        shared = store._shared
        now = asyncio.get_running_loop().time()
        await shared.sweep(now)
        await shared.sweep(now + IDLE_SECONDS)
        assert core.closed
        again = await store.get("db")
        assert again is not core
        assert await again.get(0) == b"block"


async def test_a_closed_store_gives_nothing_more() -> None:
    store = make_store(1)
    async with store:
        core = await store.get("db")
    assert core.closed
    await store.close()
    with pytest.raises(UnavailableError):
        await store.get("db")


async def test_closing_a_store_ends_its_streams() -> None:
    async with make_store(1) as one:
        two = make_store(2)
        await two.open()
        async with connected(one, two):
            await settle()
            await two.close()
            await settle()
            assert one.links == []

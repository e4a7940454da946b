"""A drive: ours and others', encrypted and not, through its life and against a model."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee import VERSION_GONE
from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import (
    DeniedError,
    InputError,
    PeerError,
    UnavailableError,
    UsageError,
)
from pearbox_edge.ids import CoreKey
from tests.kit.bees import KEY_PAIR, OnlyPeer
from tests.kit.drives import PRIMARY_KEY, new_drive


async def test_a_drive_is_the_same_after_opening_it_again() -> None:
    storage = MemoryStorage()
    async with new_drive(storage=storage) as drive:
        await drive.put("/a", b"1", executable=True, metadata={"k": [1]})
        key, content_key = drive.key, drive.content_key
    async with new_drive(storage=storage) as drive:
        assert (drive.key, drive.content_key) == (key, content_key)
        assert drive.writable
        entry = await drive.entry("a")
        assert entry is not None
        assert (entry.executable, entry.metadata) == (True, {"k": [1]})
        await drive.put("/b", b"2")
        assert drive.version == 3


async def test_two_drives_of_a_store_have_their_own_names() -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        one = await Hyperdrive(store, name="one").open()
        other = await Hyperdrive(store.namespace("x")).open()
        assert one.key != other.key
        assert one.content_key != other.content_key
        await one.close()
        await other.close()


async def test_an_unopened_drive_is_a_bug() -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        drive = Hyperdrive(store)
        with pytest.raises(UsageError):
            await drive.entry("/a")
        await drive.close()


async def reader(store: Corestore, source: Hyperdrive, key: bytes | None = None) -> Hyperdrive:
    """A drive that knows the key only, and takes its entries from the source."""
    drive = await Hyperdrive(store, source.key, encryption_key=key).open()
    OnlyPeer(source.core, drive.core)
    return drive


async def follow_blobs(source: Hyperdrive, drive: Hyperdrive) -> OnlyPeer:
    """Take the bytes from the source too, as soon as the drive knows which they are."""
    return OnlyPeer((await source.get_blobs()).core, (await drive.get_blobs()).core)


@pytest.mark.parametrize("encryption_key", [None, bytes(range(32))])
async def test_a_reader_finds_entries_and_bytes_by_the_key_alone(
    encryption_key: bytes | None,
) -> None:
    async with (
        new_drive(encryption_key=encryption_key) as ours,
        Corestore(MemoryStorage(), primary_key=bytes(32)) as store,
    ):
        await ours.put("/a", b"content")
        await ours.put("/b", bytes(200_000))
        theirs = await reader(store, ours, encryption_key)
        assert theirs.content_key is None
        await theirs.update()
        peer = await follow_blobs(ours, theirs)
        assert theirs.content_key == ours.content_key
        assert not theirs.writable
        assert await theirs.get("/a") == b"content"
        assert peer.fetched == [0]
        assert not await theirs.has()
        assert await theirs.get("/b", timeout=5) == bytes(200_000)
        assert await theirs.has()
        await ours.put("/c", b"later")
        assert await theirs.update()
        await theirs.download()
        assert await theirs.has("/c")
        await theirs.close()


async def test_a_reader_downloads_what_changed() -> None:
    async with (
        new_drive() as ours,
        Corestore(MemoryStorage(), primary_key=bytes(32)) as store,
    ):
        await ours.put("/old", b"old")
        version = ours.version
        await ours.put("/new", b"new")
        theirs = await reader(store, ours)
        await theirs.update()
        peer = await follow_blobs(ours, theirs)
        await theirs.download_diff(version)
        assert peer.fetched == [1]
        await theirs.download("/old")
        assert peer.fetched == [1, 0]
        await theirs.clear_all()
        await theirs.download_range([(0, 2)], [(0, 1)])
        assert peer.fetched == [1, 0, 0]
        await theirs.close()


async def test_a_reader_without_any_peer_says_so() -> None:
    async with Corestore(MemoryStorage(), primary_key=bytes(32)) as store:
        drive = Hyperdrive(store, CoreKey(bytes(32)))
        await drive.open()
        drive.core.fetcher = None
        with pytest.raises(UnavailableError):
            await drive.get_blobs()
        assert await drive.entry("/a") is None
        await drive.close()


async def test_somebody_elses_drive_is_not_changed() -> None:
    async with (
        new_drive() as ours,
        Corestore(MemoryStorage(), primary_key=bytes(32)) as store,
    ):
        theirs = await reader(store, ours)

        async def source(size: int) -> bytes:
            return b""

        for change in (
            theirs.put("/a", b""),
            theirs.put_stream("/a", source),
            theirs.put_entry("/a"),
            theirs.symlink("/a", "/b"),
            theirs.delete("/a"),
            theirs.truncate(1),
            theirs.batch(),
        ):
            with pytest.raises(DeniedError):
                await change
        await theirs.close()


async def test_bytes_are_durable_before_their_entry() -> None:
    async with new_drive() as drive:
        blobs = await drive.get_blobs()
        seen: list[int] = []

        class Watcher:
            def on_head(self) -> None:
                seen.append(blobs.core.length)

            def on_blocks(self, start: int, count: int) -> None: ...
            def on_clear(self, start: int, count: int) -> None: ...
            def on_truncate(self, length: int, fork: int) -> None: ...
            def on_conflict(self) -> None: ...

        drive.core.add_listener(Watcher())
        await drive.put("/a", b"1")
        await drive.put("/b", b"2")
        assert seen == [1, 2]


async def test_an_older_version_has_the_older_bytes_until_they_are_truncated() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"one")
        old = drive.snapshot()
        await drive.put("/a", b"two")
        await drive.delete("/a")
        newer = drive.checkout(3)
        assert await old.get("/a") == b"one"
        assert await newer.get("/a") == b"two"
        assert [c.left and c.left.path async for c in newer.diff(old.version)] == ["/a"]
        assert await old.has("/a")
        await old.download("/a")
        await old.download()
        assert await drive.get("/a") is None
        with pytest.raises(InputError):
            drive.checkout(9)
        await drive.truncate(2)
        assert (await drive.get_blobs()).core.length == 1
        assert await drive.get("/a") == b"one"
        await drive.put("/b", b"three")
        with pytest.raises(UnavailableError) as caught:
            await newer.get("/a")
        assert caught.value.code == VERSION_GONE
        with pytest.raises(InputError):
            await drive.truncate(9)


async def test_a_stream_of_many_blocks_comes_back() -> None:
    async with new_drive() as drive:
        whole = bytes(range(256)) * 1000
        place = 0

        async def source(size: int) -> bytes:
            nonlocal place
            place += size
            return whole[place - size : place]

        await drive.put_stream("/s", source, executable=True, metadata="m")
        assert await drive.get("/s") == whole
        entry = await drive.entry("/s")
        assert entry is not None
        assert (entry.executable, entry.metadata) == (True, "m")


async def test_a_copy_writes_no_bytes() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"content")
        entry = await drive.entry("/a")
        assert entry is not None
        await drive.put_entry("/b", blob=entry.blob)
        assert (await drive.get_blobs()).core.length == 1
        assert await drive.get("/b") == b"content"


async def test_bytes_that_a_truncation_kept_are_not_stored_again() -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        drive = await Hyperdrive(store, dedup=True).open()
        await drive.put("/a", b"1")
        await drive.truncate(2)
        await drive.put("/a", b"1")
        assert (await drive.get_blobs()).core.length == 1
        await drive.truncate(1)
        await drive.put("/a", b"1")
        assert await drive.get("/a") == b"1"
        await drive.close()


async def test_cleared_files_keep_their_entries() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"1")
        await drive.clear("/a")
        await drive.clear("/none")
        assert await drive.exists("/a")
        (await drive.get_blobs()).core.fetcher = None
        with pytest.raises(UnavailableError):
            await drive.get("/a")
        await drive.put("/b", b"2")
        await drive.clear_all()
        assert not await drive.has("/b")


async def test_a_watch_tells_of_changes_below_its_folder() -> None:
    async with new_drive() as drive:
        seen: list[tuple[list[str], list[str]]] = []

        async def watch() -> None:
            async for now, before in drive.watch("/docs"):
                seen.append(
                    ([e.path async for e in now.list()], [e.path async for e in before.list()])
                )

        task = asyncio.create_task(watch())
        await asyncio.sleep(0)
        for path in ("/other", "/docs/a"):
            await drive.put(path, b"")
            for _ in range(20):
                await asyncio.sleep(0)
        await drive.close()
        await task
        assert seen == [(["/docs/a", "/other"], ["/other"])]


async def test_a_core_that_is_no_drive_is_refused_when_opened() -> None:
    storage = MemoryStorage()
    core = await Hypercore.open(storage, key_pair=KEY_PAIR)
    await core.append([b"something else"])
    await core.close()
    async with Corestore(storage, primary_key=PRIMARY_KEY) as store:
        drive = Hyperdrive(store, core.key)
        with pytest.raises(PeerError, match=core.key[:4].hex()):
            await drive.open()
        with pytest.raises(UsageError):
            await drive.get_blobs()


paths = st.sampled_from(["/a", "/a/b", "/c", "/ä", "/c/d/e"])
CONTENT = [b"", b"1", b"22", b"333"]
content = st.sampled_from(CONTENT)
lives = st.lists(
    st.one_of(
        st.tuples(st.just("put"), paths, content),
        st.tuples(st.just("delete"), paths, st.just(b"")),
        st.tuples(st.just("batch"), paths, content),
        st.tuples(st.just("copy"), paths, st.just(b"")),
        st.tuples(st.just("rename"), paths, st.just(b"")),
        st.tuples(st.just("clear"), paths, st.just(b"")),
        st.tuples(st.just("restore"), paths, st.binary(min_size=1, max_size=1)),
        st.tuples(st.just("truncate"), paths, st.binary(min_size=1, max_size=1)),
        st.tuples(st.just("reopen"), paths, st.just(b"")),
    ),
    max_size=20,
)


@given(lives, st.booleans(), st.booleans())
async def test_a_drive_agrees_with_dicts_through_its_life(
    steps: list[tuple[str, str, bytes]], encrypted: bool, dedup: bool
) -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        key = bytes(32) if encrypted else None
        drive = await Hyperdrive(store, encryption_key=key, dedup=dedup).open()
        model: dict[str, bytes] = {}
        versions = {1: dict(model)}
        cleared: set[bytes] = set()
        for what, path, data in steps:
            assert drive.blobs is not None
            blocks = drive.blobs.core.length
            held = set(model.values()) - cleared
            match what:
                case "put":
                    await drive.put(path, data)
                    model[path] = data
                    if dedup and data in held:
                        assert drive.blobs.core.length == blocks
                    cleared.discard(data)
                case "delete":
                    assert await drive.delete(path) == (path in model)
                    model.pop(path, None)
                case "batch":
                    async with await drive.batch() as batch:
                        await batch.delete(path)
                        await batch.put(path, data)
                        await batch.put("/batched", data)
                    model |= {path: data, "/batched": data}
                    if dedup:
                        assert drive.blobs.core.length <= blocks + 1
                    cleared.discard(data)
                case "copy" | "rename":
                    if path in model:
                        await getattr(drive, what)(path, "/copied")
                        model["/copied"] = model[path]
                        if what == "rename":
                            del model[path]
                        assert drive.blobs.core.length == blocks
                case "clear":
                    await drive.clear(path)
                    if path in model:
                        cleared.add(model[path])
                case "restore":
                    version = sorted(versions)[data[0] % len(versions)]
                    if path in versions[version] and not cleared:
                        await drive.restore(path, version)
                        model[path] = versions[version][path]
                        assert drive.blobs.core.length == blocks
                case "truncate":
                    version = sorted(versions)[data[0] % len(versions)]
                    if drive.core.length:
                        await drive.truncate(version)
                    versions = {v: files for v, files in versions.items() if v <= version}
                    model = dict(versions[version])
                    cleared = cleared and set(CONTENT)
                case _:
                    await drive.close()
                    drive = await Hyperdrive(store, encryption_key=key, dedup=dedup).open()
            versions[drive.version] = dict(model)
            for name, value in model.items():
                # Whatever was not cleared is there, also if a copy of it was cleared.
                if value not in cleared:
                    assert await drive.get(name) == value
        for version, files in versions.items():
            view = drive.checkout(version)
            assert {entry.path async for entry in view.list()} == set(files)
            if not cleared:
                assert {entry.path: await view.get(entry) async for entry in view.list()} == files
        await drive.close()

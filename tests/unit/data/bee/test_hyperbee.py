"""Writing a bee: batches, comparisons, watches; and a model of a whole life."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee import BeeEntry, Header, Hyperbee, KeyRange, Metadata
from pearbox_edge.errors import InputError, UnavailableError, UsageError
from tests.kit.bees import blocks_of, new_bee, reader_of


async def test_an_empty_bee_has_version_one_and_no_keys() -> None:
    bee = await new_bee()
    assert bee.version == 1
    assert await bee.get(b"a") is None
    assert await bee.peek() is None
    assert await bee.header() is None
    assert bee.core.length == 0


async def test_the_header_comes_with_the_first_write() -> None:
    bee = await new_bee(metadata=Metadata(b"f" * 32))
    await bee.put(b"a", b"1")
    assert bee.core.length == 2
    assert await bee.header() == Header(Metadata(b"f" * 32))


async def test_deleting_in_an_empty_bee_writes_only_the_header() -> None:
    bee = await new_bee()
    assert not await bee.delete(b"a")
    assert bee.core.length == 1
    assert not await bee.delete(b"a")
    assert bee.core.length == 1


async def test_an_empty_batch_writes_nothing() -> None:
    bee = await new_bee()
    async with bee.batch():
        pass
    assert bee.core.length == 0


async def test_a_batch_is_one_append() -> None:
    bee = await new_bee()
    heads = []

    class Listener:
        def on_head(self) -> None:
            heads.append(bee.core.length)

        def on_blocks(self, start: int, count: int) -> None: ...
        def on_clear(self, start: int, count: int) -> None: ...
        def on_truncate(self, length: int, fork: int) -> None: ...
        def on_conflict(self) -> None: ...

    bee.core.add_listener(Listener())
    async with bee.batch() as batch:
        for number in range(500):
            await batch.put(b"%03d" % number, b"")
        assert len(batch) == 500
        assert batch.size > 500
    assert heads == [501]


async def test_a_batch_that_fails_leaves_nothing() -> None:
    bee = await new_bee()

    async def write() -> None:
        async with bee.batch() as batch:
            await batch.put(b"a", b"1")
            await batch.put(bytes(1 << 20), b"2")

    with pytest.raises(InputError):
        await write()
    assert bee.core.length == 0
    await bee.put(b"a", b"3")


async def test_a_batch_sees_itself_and_others_do_not() -> None:
    bee = await new_bee()
    async with bee.batch() as batch:
        await batch.put(b"a", b"1")
        assert await batch.get(b"a") == BeeEntry(1, b"a", b"1")
        assert await bee.get(b"a") is None
    assert await bee.get(b"a") == BeeEntry(1, b"a", b"1")


async def test_writers_wait_for_each_other() -> None:
    bee = await new_bee()
    await asyncio.gather(*(bee.put(b"%d" % number, b"") for number in range(20)))
    other = Hyperbee(bee.core)
    await asyncio.gather(bee.put(b"x", b""), other.put(b"y", b""))
    assert len([entry async for entry in other.range()]) == 22


async def test_a_batch_over_a_core_that_changed_is_refused() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"1")
    batch = bee.batch()
    await batch.put(b"b", b"2")
    await bee.core.append([b"something else"])
    with pytest.raises(UnavailableError):
        await batch.flush()


async def test_somebody_elses_bee_is_not_written() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"1")
    reader = Hyperbee((await reader_of(bee.core)).target)
    with pytest.raises(UsageError):
        await reader.put(b"a", b"2")
    await reader.close()


async def test_compare_and_swap_asks_only_if_the_key_is_there() -> None:
    bee = await new_bee()
    assert await bee.put(b"a", b"1", compare=lambda entry: False)
    assert not await bee.put(b"a", b"2", compare=lambda entry: entry.value == b"0")
    assert await bee.put(b"a", b"2", compare=lambda entry: entry.value == b"1")
    assert not await bee.delete(b"a", compare=lambda entry: entry.value == b"1")
    assert await bee.delete(b"a", compare=lambda entry: entry.value == b"2")


async def test_a_watch_tells_of_changes_in_its_range_only() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"0")
    seen: list[tuple[int, int]] = []

    async def watch() -> None:
        async for now, before in bee.watch(KeyRange(gte=b"m")):
            seen.append((now.version, before.version))

    task = asyncio.create_task(watch())
    await asyncio.sleep(0)
    for key in (b"b", b"m", b"c", b"n"):
        await bee.put(key, b"")
        for _ in range(20):
            await asyncio.sleep(0)
    await bee.core.truncate(3)
    for _ in range(20):
        await asyncio.sleep(0)
    await bee.close()
    await task
    assert seen == [(4, 3), (6, 5), (3, 6)]


async def test_a_reader_follows_what_is_written() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"1")
    peer = await reader_of(bee.core)
    reader = Hyperbee(peer.target)
    assert await reader.get(b"a") == BeeEntry(1, b"a", b"1")
    await bee.put(b"a", b"2")
    assert await reader.get(b"a") == BeeEntry(1, b"a", b"1")
    assert await reader.update()
    assert await reader.get(b"a") == BeeEntry(2, b"a", b"2")
    assert [change.right async for change in reader.diff(2)] == [BeeEntry(1, b"a", b"1")]
    await reader.close()


keys = st.integers(0, 30).map(lambda i: b"%02d" % i)
lives = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.none() | st.binary(max_size=3)),
        st.tuples(st.just("delete"), keys, st.none()),
        st.tuples(st.just("truncate"), keys, st.none()),
        st.tuples(st.just("reopen"), keys, st.none()),
    ),
    max_size=40,
)


@given(lives)
async def test_a_bee_agrees_with_dicts_through_its_life(
    steps: list[tuple[str, bytes, bytes | None]],
) -> None:
    bee = await new_bee()
    model: dict[bytes, bytes | None] = {}
    versions = {1: dict(model)}
    for what, key, value in steps:
        match what:
            case "put":
                await bee.put(key, value)
                model[key] = value
            case "delete":
                assert await bee.delete(key) == (key in model)
                model.pop(key, None)
            case "truncate":
                version = sorted(versions)[int(key) % len(versions)]
                if bee.core.length:
                    await bee.core.truncate(version)
                versions = {v: entries for v, entries in versions.items() if v <= version}
                model = dict(versions[version])
            case _:
                await bee.close()
                bee = Hyperbee(bee.core)
        versions[bee.version] = dict(model)
    for version, entries in versions.items():
        view = bee.checkout(version)
        assert {e.key: e.value async for e in view.range()} == entries
        changed = {
            (c.left or c.right or BeeEntry(0, b"", None)).key
            async for c in bee.snapshot().diff(view)
        }
        names = model.keys() | entries.keys()
        assert changed >= {k for k in names if model.get(k, b"-") != entries.get(k, b"-")}
    assert len(await blocks_of(bee.core)) == bee.core.length
    operations: dict[bytes, bytes | None] = {}
    async for step in bee.history():
        operations[step.key] = step.value
        if step.deleted:
            del operations[step.key]
    assert operations == model

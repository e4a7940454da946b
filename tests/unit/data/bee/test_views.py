"""A version of a bee: what callers see."""

import pytest

from pearbox_edge.data.bee import VERSION_GONE, BeeView, KeyRange
from pearbox_edge.errors import InputError, UnavailableError
from tests.kit.bees import new_bee


async def keys_of(view: BeeView, bounds: KeyRange = KeyRange()) -> list[bytes]:  # noqa: B008 -- frozen
    return [entry.key async for entry in view.range(bounds)]


async def test_a_view_stays_as_it_was_while_the_bee_goes_on() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"1")
    view = bee.snapshot()
    await bee.put(b"a", b"2")
    await bee.put(b"b", b"3")
    entry = await view.get(b"a")
    assert entry is not None
    assert entry.value == b"1"
    assert await keys_of(view) == [b"a"]
    assert await keys_of(bee.snapshot()) == [b"a", b"b"]


async def test_a_version_that_was_truncated_away_fails_though_the_core_grew_again() -> None:
    bee = await new_bee()
    for number in range(8):
        await bee.put(b"%d" % number, b"old")
    gone, kept = bee.checkout(7), bee.checkout(5)
    await bee.core.truncate(5)
    for number in range(8):
        await bee.put(b"%d" % number, b"new")
    for reading in (gone.get(b"1"), keys_of(gone), gone.peek()):
        with pytest.raises(UnavailableError) as caught:
            await reading
        assert caught.value.code == VERSION_GONE
    entry = await kept.get(b"1")
    assert entry is not None
    assert entry.value == b"old"
    with pytest.raises(UnavailableError):
        [change async for change in bee.snapshot().diff(gone)]


async def test_a_version_beyond_the_newest_is_refused() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"1")
    with pytest.raises(InputError):
        bee.checkout(3)


async def test_versions_of_different_bees_are_not_compared() -> None:
    one, other = await new_bee(), await new_bee()
    with pytest.raises(InputError):
        [change async for change in one.snapshot().diff(other.snapshot())]


async def test_a_limit_counts_entries() -> None:
    bee = await new_bee()
    async with bee.batch() as batch:
        for number in range(100):
            await batch.put(b"%03d" % number, b"")
    view = bee.snapshot()
    found = [entry.key async for entry in view.range(limit=30, reverse=True)]
    assert found == [b"%03d" % number for number in range(99, 69, -1)]
    assert len(await view.page(limit=7)) == 7
    assert [entry async for entry in view.range(limit=0)] == []
    first = await view.peek(KeyRange(gt=b"050"))
    assert first is not None
    assert first.key == b"051"


async def test_a_sub_sees_only_its_own_keys() -> None:
    bee = await new_bee()
    await bee.put(b"files", b"beside")
    await bee.sub(b"files").put(b"a", b"1")
    await bee.put(b"filet", b"beside")
    view = bee.snapshot().sub(b"files")
    assert await keys_of(view) == [b"a"]
    assert await view.peek(KeyRange(gt=b"a")) is None
    assert [change.left.key async for change in view.diff(bee.checkout(1)) if change.left] == [b"a"]
    assert [step.key async for step in view.history()] == [b"a"]


async def test_history_runs_both_ways_and_in_parts() -> None:
    bee = await new_bee()
    await bee.put(b"a", b"1")
    await bee.put(b"b", None)
    await bee.delete(b"a")
    view = bee.snapshot()
    steps = [(step.seq, step.key, step.value, step.deleted) async for step in view.history()]
    assert steps == [(1, b"a", b"1", False), (2, b"b", None, False), (3, b"a", None, True)]
    assert [step.seq async for step in view.history(reverse=True)] == [3, 2, 1]
    assert [step.seq async for step in view.history(2, 3)] == [2]
    assert [step.seq async for step in view.history(0, 99, reverse=True)] == [3, 2, 1]

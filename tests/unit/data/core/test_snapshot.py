"""A snapshot shows a core as it was at its length."""

import pytest

from pearbox_edge.errors import UnavailableError, UsageError
from tests.kit.cores import full_core

BLOCKS = [b"a", b"b", b"c"]


async def test_later_blocks_do_not_show() -> None:
    core = await full_core(BLOCKS)
    view = core.snapshot()
    await core.append([b"d"])
    assert view.length == 3
    assert await view.get_many(0, 3) == BLOCKS
    assert view.has(2)
    assert not view.has(3)
    with pytest.raises(UsageError):
        await view.get(3)


async def test_blocks_truncated_away_are_unavailable_even_if_replaced() -> None:
    core = await full_core(BLOCKS)
    view = core.snapshot()
    await core.truncate(1)
    await core.append([b"x", b"y"])
    assert await view.get(0) == b"a"
    assert not view.has(1)
    with pytest.raises(UnavailableError):
        await view.get(1)
    with pytest.raises(UnavailableError):
        await view.get_many(0, 3)
    assert await view.get_many(2, 2) == []


async def test_a_snapshot_longer_than_the_core_is_a_bug() -> None:
    core = await full_core(BLOCKS)
    with pytest.raises(UsageError):
        core.snapshot(4)
    assert core.snapshot(2).length == 2

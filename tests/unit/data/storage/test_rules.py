"""The arithmetic of truncation and the checks of changesets, against plain definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.storage import PAGE_BITS, BlockWrite, ByteRange, Changeset, Head, TreeNode
from pearbox_edge.data.storage.rules import (
    block_bytes,
    check_changeset,
    check_range,
    cut_page,
    is_replacing,
    is_shrinking,
    parents_past,
)
from pearbox_edge.errors import UsageError


def right_span(index: int) -> int:
    span = 1
    while index & span:
        span <<= 1
    return index + span - 1


@given(st.integers(0, 600))
def test_parents_past_a_length_are_those_below_it_that_span_it(length: int) -> None:
    spanning = [i for i in range(2 * length) if right_span(i) >= 2 * length]
    assert sorted(parents_past(length)) == spanning


def test_parents_past_a_huge_length_are_few() -> None:
    assert len(parents_past((1 << 60) - 1)) <= 64


@given(st.integers(0, 3), st.integers(0, 4 * PAGE_BITS), st.binary(min_size=8, max_size=8))
def test_a_cut_page_keeps_exactly_the_bits_before_the_length(
    page: int, length: int, seed: bytes
) -> None:
    bits = seed * (PAGE_BITS // 64)
    kept = cut_page(page, bits, length).ljust(PAGE_BITS // 8, b"\0")
    before = int.from_bytes(bits, "little")
    mask = (1 << min(max(length - page * PAGE_BITS, 0), PAGE_BITS)) - 1
    assert int.from_bytes(kept, "little") == before & mask


def test_a_cut_page_may_come_without_its_trailing_zeros() -> None:
    assert cut_page(0, b"\xff\xff", 12) == b"\xff\x0f"
    assert cut_page(0, b"\xff", 12) == b"\xff"


def test_a_plain_changeset_is_taken() -> None:
    check_changeset(Changeset(1, nodes=[TreeNode(0, 1, bytes(32))], head=Head(1, 1)))


@pytest.mark.parametrize(
    "wrong",
    [
        Changeset(1, nodes=[TreeNode(-1, 1, bytes(32))]),
        Changeset(1, nodes=[TreeNode(0, -1, bytes(32))]),
        Changeset(1, nodes=[TreeNode(0, 1, bytes(31))]),
        Changeset(1, pages={-1: bytes(4096)}),
        Changeset(1, pages={0: bytes(4095)}),
        Changeset(1, blocks=[BlockWrite(1 << 63, b"")]),
        Changeset(1, cleared=[ByteRange(0, -1)]),
        Changeset(1, contiguous_length=-1),
        Changeset(1, truncate_to=1),
        Changeset(1, head=Head(-1)),
    ],
)
def test_a_changeset_that_cannot_be_kept_is_refused(wrong: Changeset) -> None:
    with pytest.raises(UsageError):
        check_changeset(wrong)


def test_a_range_past_what_files_can_hold_is_refused() -> None:
    with pytest.raises(UsageError):
        check_range((1 << 63) - 1, 1)


def test_steps_that_take_away_are_told_from_those_that_add() -> None:
    add = Changeset(1, blocks=[BlockWrite(0, b"abc"), BlockWrite(9, b"d")])
    assert not is_shrinking(add)
    assert not is_replacing(add)
    assert block_bytes(add.blocks) == 4
    assert is_shrinking(Changeset(1, cleared=[ByteRange(0, 1)]))
    assert is_shrinking(Changeset(1, truncate_to=0, head=Head()))
    assert not is_replacing(Changeset(1, truncate_to=0, head=Head()))
    assert is_replacing(Changeset(1, truncate_to=0, head=Head(), blocks=add.blocks))

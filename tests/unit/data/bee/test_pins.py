"""Versions held fast against truncations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.pins import MAX_CUTS, VERSION_GONE, Cuts, VersionPin
from pearbox_edge.errors import UnavailableError


def gone(pin: VersionPin) -> bool:
    try:
        pin.check()
    except UnavailableError:
        return True
    return False


def test_a_version_at_the_cut_stays() -> None:
    cuts = Cuts()
    pins = [VersionPin(cuts, version) for version in (4, 5, 6)]
    cuts.add(5)
    assert [gone(pin) for pin in pins] == [False, False, True]


def test_a_version_pinned_after_the_cut_is_not_touched_by_it() -> None:
    cuts = Cuts()
    cuts.add(5)
    VersionPin(cuts, 9).check()


@given(st.lists(st.integers(1, 20), max_size=30), st.integers(0, 30), st.integers(1, 20))
def test_a_version_is_gone_if_any_later_cut_went_below_it(
    lengths: list[int], at: int, version: int
) -> None:
    cuts = Cuts()
    pin = VersionPin(cuts, version)
    for number, length in enumerate(lengths):
        if number == at:
            pin = VersionPin(cuts, version)
        cuts.add(length)
    since = lengths[at:] if at < len(lengths) else lengths
    assert gone(pin) == any(length < version for length in since)


def test_more_cuts_than_are_kept_err_to_the_safe_side() -> None:
    cuts = Cuts()
    pin = VersionPin(cuts, 3)
    for length in range(2, 2 * MAX_CUTS):
        cuts.add(length)
    with pytest.raises(UnavailableError) as caught:
        pin.check()
    assert caught.value.code == VERSION_GONE
    assert len(cuts._times) <= MAX_CUTS

import pytest

from pearbox_edge.box.drives import Selection
from pearbox_edge.errors import InputError


def test_everything_takes_part_unless_told_otherwise() -> None:
    assert Selection().takes("/a/b")


def test_only_what_lies_at_or_below_a_path_takes_part() -> None:
    selection = Selection.of(["a", "/b/c/"])
    assert selection.takes("/a") and selection.takes("/a/x") and selection.takes("/b/c")
    assert not selection.takes("/ab") and not selection.takes("/b")


def test_ignored_paths_do_not_even_if_chosen() -> None:
    selection = Selection.of(["/a"], ["/a/b"])
    assert selection.takes("/a/bc") and not selection.takes("/a/b/x")


def test_ignoring_everything_is_refused() -> None:
    with pytest.raises(InputError):
        Selection.of([], ["/"])

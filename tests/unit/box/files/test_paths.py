import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.box.files import UnsafePath, link_target, safe_parts


def test_a_plain_path_is_split_into_its_names() -> None:
    assert safe_parts("/photos/2024/näh.jpg") == ["photos", "2024", "näh.jpg"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "/",
        "//a",
        "/a/",
        "/../etc/passwd",
        "/a/../../b",
        "/a/./b",
        "/a\0b",
        "/" + "x" * 256,
        "/" + "é" * 128,
        "/\ud800",
        "/a" * 300,
    ],
)
def test_a_path_that_could_leave_or_break_the_folder_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        safe_parts(path)


@pytest.mark.parametrize(
    ("path", "linkname", "target"),
    [
        ("/a", "b", "b"),
        ("/x/a", "../b", "../b"),
        ("/x/y/a", "../../b", "../../b"),
        ("/a", "/b", "b"),
        ("/x/a", "/y/b", "../y/b"),
        ("/x/a", "./c", "./c"),
    ],
)
def test_a_link_inside_the_folder_keeps_its_target(path: str, linkname: str, target: str) -> None:
    assert link_target(path, linkname) == target


@pytest.mark.parametrize(
    ("path", "linkname"),
    [
        ("/a", ".."),
        ("/a", "../b"),
        ("/x/a", "../../b"),
        ("/x/a", "y/../../../b"),
        ("/x/a", ""),
        ("/a", "b\0"),
        ("/a", "x" * 5000),
        ("/a", "\udcff"),
    ],
)
def test_a_link_that_leads_out_is_refused(path: str, linkname: str) -> None:
    with pytest.raises(UnsafePath):
        link_target(path, linkname)


@given(st.text(), st.text())
def test_no_link_ever_points_above_the_folder(path: str, linkname: str) -> None:
    try:
        parts = safe_parts(path)
        target = link_target(path, linkname)
    except UnsafePath:
        return
    assert not target.startswith("/")
    reached = posixpath.normpath(posixpath.join("/".join(parts[:-1]) or ".", target))
    assert reached != ".." and not reached.startswith("../")

import os
import socket
from pathlib import Path

import pytest

from pearbox_edge.box.files import FoundFile, FoundLink, Skipped, plan_sources, scan, scan_below
from pearbox_edge.errors import InputError


def test_one_folder_becomes_the_root_of_the_drive(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"bb")
    (tmp_path / "a").write_bytes(b"")
    (source,) = plan_sources([str(tmp_path)])
    found = list(scan(source))
    assert [item.drive_path for item in found] == ["/a", "/sub/b"]
    assert all(isinstance(item, FoundFile) for item in found)


def test_several_paths_keep_their_names(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "x").touch()
    (tmp_path / "two").touch()
    sources = plan_sources([str(tmp_path / "one"), str(tmp_path / "two")])
    assert [i.drive_path for s in sources for i in scan(s)] == ["/one/x", "/two"]


def test_two_paths_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same").touch()
    with pytest.raises(InputError, match="same"):
        plan_sources([str(tmp_path / "a" / "same"), str(tmp_path / "b" / "same")])


def test_a_missing_path_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        plan_sources([str(tmp_path / "none")])


def test_links_inside_are_kept_and_links_that_leave_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "in").symlink_to("target")
    (tmp_path / "absolute").symlink_to(tmp_path / "x" / "y")
    (tmp_path / "out").symlink_to("../secret")
    (tmp_path / "away").symlink_to("/etc/passwd")
    (source,) = plan_sources([str(tmp_path)])
    found = {item.drive_path: item for item in scan(source)}
    inside, absolute = found["/in"], found["/absolute"]
    assert isinstance(inside, FoundLink) and inside.target == "target"
    assert isinstance(absolute, FoundLink) and absolute.target == "/x/y"
    assert isinstance(found["/out"], Skipped)
    assert isinstance(found["/away"], Skipped)


def test_what_a_drive_cannot_carry_is_skipped_with_a_reason(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")).touch()
    (tmp_path / "back\\slash").touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        (source,) = plan_sources([str(tmp_path)])
        found = list(scan(source))
    assert len(found) == 3
    for item in found:
        assert isinstance(item, Skipped)
        item.path.encode()
        assert "\n" not in item.reason


def test_the_data_directory_stays_out_of_the_drive(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "database").touch()
    (tmp_path / "file").touch()
    (source,) = plan_sources([str(tmp_path)])
    found = scan(source, excluded=[os.path.realpath(tmp_path / "data")])
    assert [item.drive_path for item in found] == ["/file"]


def test_a_folder_that_is_gone_is_skipped_and_not_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    (source,) = plan_sources([str(folder)])
    folder.rmdir()
    (item,) = scan(source)
    assert isinstance(item, Skipped)
    assert item.drive_path == ""


def test_one_path_can_be_looked_at_again(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    (source,) = plan_sources([str(tmp_path)])
    assert [i.drive_path for i in scan_below(source, str(tmp_path / "sub"))] == ["/sub/a"]
    assert [i.drive_path for i in scan_below(source, str(tmp_path / "b"))] == ["/b"]
    assert list(scan_below(source, str(tmp_path / "none"))) == []

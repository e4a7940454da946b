import os
from pathlib import Path

import pytest

from pearbox_edge.box.fetching.plan import Item
from pearbox_edge.box.fetching.write import Ready, remove_all, write_all
from pearbox_edge.box.files import Blob, Destination
from pearbox_edge.data.blobs import BlobId
from pearbox_edge.data.drive import Entry


@pytest.fixture
def blob(tmp_path: Path) -> Blob:
    (tmp_path / "data").write_bytes(b"0123456789")
    return Blob(str(tmp_path / "data"), 2, 4)


def item(path: str, linkname: str | None = None, size: int = 4) -> Item:
    blob = None if linkname else BlobId(0, 1, 0, size)
    return Item(path, Entry(path, 1, linkname=linkname, blob=blob))


def test_bad_entries_are_named_and_the_rest_is_written(tmp_path: Path, blob: Blob) -> None:
    ready = [
        Ready(item("/../evil"), blob),
        Ready(item("/link", "/etc/passwd"), None),
        Ready(item("/out", "../x"), None),
        Ready(item("/good"), blob),
    ]
    with Destination(str(tmp_path / "out")) as out:
        refused = list(write_all(out, ready))
    assert [one.target for one, _ in refused] == ["/../evil", "/out"]
    assert (tmp_path / "out" / "good").read_bytes() == b"2345"
    assert os.readlink(tmp_path / "out" / "link") == "etc/passwd"


def test_an_equal_file_is_left_as_it_is(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        assert list(write_all(out, [Ready(item("/a"), blob)])) == []
        before = (tmp_path / "out" / "a").stat().st_ino
        assert list(write_all(out, [Ready(item("/a"), blob)])) == []
        assert (tmp_path / "out" / "a").stat().st_ino == before


def test_only_what_is_still_as_the_drive_had_it_is_removed(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        assert list(write_all(out, [Ready(item("/a"), blob), Ready(item("/b"), blob)])) == []
        (tmp_path / "out" / "b").write_text("a person's own words")
        assert list(remove_all(out, [item("/a"), item("/b"), item("/none")])) == []
    assert os.listdir(tmp_path / "out") == ["b"]

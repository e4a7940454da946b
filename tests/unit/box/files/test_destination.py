import os
import stat
from pathlib import Path

import pytest

from pearbox_edge.box.files import Blob, Destination, UnsafePath
from pearbox_edge.errors import StorageError


@pytest.fixture
def blob(tmp_path: Path) -> Blob:
    data = tmp_path / "data"
    data.write_bytes(bytes(range(256)) * 100)
    return Blob(str(data), 256, 512)


def test_a_blob_becomes_a_file_with_its_mode(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        out.write_blob("/a/b/file", blob, executable=True)
        out.write_blob("/empty", None, executable=False)
        out.sync()
        assert out.is_same("/a/b/file", blob, executable=True)
        assert not out.is_same("/a/b/file", blob, executable=False)
        assert out.is_same("/empty", None, executable=False)
    file = tmp_path / "out" / "a" / "b" / "file"
    assert file.read_bytes() == bytes(range(256)) * 2
    assert file.stat().st_mode & stat.S_IXUSR
    assert sorted(os.listdir(tmp_path / "out")) == ["a", "empty"]


def test_nothing_is_written_through_a_link(tmp_path: Path, blob: Blob) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    root = tmp_path / "out"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")
    with Destination(str(root)) as out:
        with pytest.raises(UnsafePath):
            out.write_blob("/folder/file", blob, executable=False)
        out.write_blob("/file", blob, executable=False)
        with pytest.raises(UnsafePath):
            out.remove("/folder/file")
    assert (outside / "file").read_text() == "precious"
    assert (root / "file").read_bytes() == bytes(range(256)) * 2
    assert not (root / "file").is_symlink()


@pytest.mark.parametrize("path", ["/../x", "x", "/a/../../x", "/a\0", "/" + "x" * 300])
def test_an_unsafe_path_writes_nothing(tmp_path: Path, blob: Blob, path: str) -> None:
    with Destination(str(tmp_path / "out")) as out, pytest.raises(UnsafePath):
        out.write_blob(path, blob, executable=False)
    assert os.listdir(tmp_path / "out") == []
    assert sorted(os.listdir(tmp_path)) == ["data", "out"]


def test_a_short_source_leaves_no_file_behind(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        with pytest.raises(StorageError):
            out.write_blob("/file", blob._replace(size=1 << 20), executable=False)
        with out.begin("/other", executable=False) as file:
            file.write([b"ab", b"c"])
        half = out.begin("/third", executable=False)
        half.write([b"half"])
        half.discard()
    assert os.listdir(tmp_path / "out") == ["other"]
    assert (tmp_path / "out" / "other").read_bytes() == b"abc"


def test_a_folder_in_the_way_of_a_file_stays(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        out.write_blob("/a/b", blob, executable=False)
        with pytest.raises(UnsafePath):
            out.write_blob("/a", blob, executable=False)
        with pytest.raises(UnsafePath):
            out.write_blob("/a/b/c", blob, executable=False)
    assert os.listdir(tmp_path / "out" / "a") == ["b"]


def test_links_are_written_and_replaced(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        out.write_blob("/l", blob, executable=False)
        out.write_link("/l", "/x/y")
        out.write_link("/sub/l", "../x/y")
        with pytest.raises(UnsafePath):
            out.write_link("/evil", "../../etc/passwd")
    assert os.readlink(tmp_path / "out" / "l") == "x/y"
    assert os.readlink(tmp_path / "out" / "sub" / "l") == "../x/y"
    assert sorted(os.listdir(tmp_path / "out")) == ["l", "sub"]


def test_removing_takes_the_empty_folders_along(tmp_path: Path, blob: Blob) -> None:
    with Destination(str(tmp_path / "out")) as out:
        out.write_blob("/a/b/c", blob, executable=False)
        out.write_blob("/a/d", blob, executable=False)
        out.remove("/a/b/c")
        out.remove("/none/at/all")
        assert os.listdir(tmp_path / "out" / "a") == ["d"]
        out.write_blob("/a/b/c", blob, executable=False)
    assert (tmp_path / "out" / "a" / "b" / "c").exists()


def test_many_folders_do_not_use_up_the_handles(tmp_path: Path, blob: Blob) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Destination(str(tmp_path / "out")) as out:
        for number in range(300):
            out.write_blob(f"/{number}/{number}/file", blob, executable=False)
        assert len(os.listdir("/proc/self/fd")) < before + 80
    assert len(os.listdir("/proc/self/fd")) == before

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pearbox_edge.cli import main
from pearbox_edge.cli.drive import path_in
from pearbox_edge.cli.drive_arguments import byte_range
from pearbox_edge.cli.events import readable

Drive = Callable[..., list[dict[str, Any]]]
KEY = "y" * 52


@pytest.fixture
def drive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Drive:
    """Run `drive ...` with --json on a data directory; the drive `d` holds a small tree."""

    def run(*words: object, status: int = 0) -> list[dict[str, Any]]:
        data = str(tmp_path / "data")
        assert main(["drive", *map(str, words), "--json", "--data", data]) == status
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"hello")
    (folder / "sub" / "b").write_bytes(b"two")
    (folder / "link").symlink_to("a")
    run("mirror", folder, "d", "--new")
    return run


def paths(events: list[dict[str, Any]], name: str = "entry") -> list[str]:
    return [event["path"] for event in events if event["event"] == name]


def test_names_of_a_folder_and_all_files_below(drive: Drive) -> None:
    assert paths(drive("ls", "d")) == ["a", "link", "sub/"]
    assert paths(drive("ls", "d", "-R")) == ["/a", "/link", "/sub/b"]
    assert paths(drive("ls", "d", "/sub")) == ["b"]
    assert paths(drive("ls", "d", "/a")) == ["/a"]
    assert drive("ls", "d", "/nope", status=1)[-1]["event"] == "error"


@pytest.mark.parametrize("how", [[], ["-R"]])
def test_pages_go_on_where_the_last_one_ended(drive: Drive, how: list[str]) -> None:
    seen: list[str] = []
    after: list[str] = []
    done: dict[str, Any] = {}
    for _ in range(3):
        *entries, done = drive("ls", "d", "--limit", 1, *how, *after)
        seen += paths(entries)
        after = ["--after", done["next"]]
    assert done["next"] is None
    assert seen == paths(drive("ls", "d", *how))


def test_a_file_is_put_read_moved_copied_and_removed(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"0123456789")
    assert drive("put", "d", tmp_path / "new", "in/")[-1]["path"] == "/in/new"
    assert drive("put", "d", tmp_path / "new", "/again")[-1]["blocks"] == 0
    data, done = drive("cat", "d", "/in/new", "--range", "2-4")
    assert base64.b64decode(data["base64"]) == b"234"
    assert (data["offset"], done["bytes"]) == (2, 3)
    assert drive("mv", "d", "/in", "/out")[-1]["files"] == 1
    assert drive("cp", "d", "/out/new", "/sub/")[-1]["path"] == "/sub/new"
    drive("mv", "d", "/out", "/out/deeper", status=1)
    drive("rm", "d", "/sub", status=1)
    drive("rm", "d", "/again", "/nope", status=1)
    assert drive("rm", "d", "-r", "/sub", "/again")[-1]["files"] == 3
    assert paths(drive("ls", "d", "-R")) == ["/a", "/link", "/out/new"]


def test_history_diff_and_restore_tell_of_versions(drive: Drive, tmp_path: Path) -> None:
    before = drive("info", "d")[-1]["version"]
    (tmp_path / "a").write_bytes(b"changed")
    drive("put", "d", tmp_path / "a", "/a")
    drive("rm", "d", "/sub/b")
    steps = drive("history", "d", "--limit", 2)
    assert [(s.get("op"), s.get("path")) for s in steps[:2]] == [
        ("delete", "/sub/b"),
        ("put", "/a"),
    ]
    assert paths(drive("history", "d", "/sub"), "operation") == ["/sub/b", "/sub/b"]
    changes = drive("diff", "d", before)
    assert [(c["op"], c["path"]) for c in changes[:-1]] == [("change", "/a"), ("remove", "/sub/b")]
    assert changes[-1]["change"] == changes[-1]["remove"] == 1
    drive("restore", "d", "/sub/b", "--version", before)
    drive("restore", "d", "/a", "--version", before)
    assert drive("diff", "d", before)[:-1] == []
    drive("restore", "d", "/nope", "--version", before, status=1)
    drive("diff", "d", 1, 9999, status=1)
    assert paths(drive("ls", "d", "--version", before, "-R")) == ["/a", "/link", "/sub/b"]


def test_a_drive_becomes_a_folder(drive: Drive, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert drive("mirror", "d", out, "--dry-run")[-1]["add"] == 3
    assert not out.exists()
    assert drive("mirror", "d", out, "--ignore", "/link")[-1]["add"] == 2
    assert (out / "sub" / "b").read_bytes() == b"two"
    assert drive("mirror", "d", out)[-1] == drive("mirror", "d", out)[-1] | {"add": 1}
    drive("mirror", out, tmp_path / "x", status=1)


def test_verify_finds_a_flipped_byte(drive: Drive, tmp_path: Path) -> None:
    assert drive("verify", "d")[-1]["problems"] == 0
    [data] = [p for p in (tmp_path / "data" / "cores").rglob("*") if b"hello" in read(p)]
    data.write_bytes(data.read_bytes().replace(b"hello", b"hallo"))
    problem, done = drive("verify", "d", status=1)
    assert (problem["kind"], problem["part"], done["problems"]) == ("block", "content", 1)


def test_a_damaged_database_is_said_and_rebuilt(
    drive: Drive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = drive("info", "d")
    database = tmp_path / "data" / "pearbox.db"
    whole = database.read_bytes()
    database.write_bytes(bytes(4096) + whole[4096:])
    error = drive("ls", "d", status=1)[-1]
    assert error["code"] == "STORAGE_DAMAGED"
    assert "drive rebuild" in error["message"]
    done = drive("rebuild", status=1)[-1]
    assert (Path(done["kept_in"]) / "pearbox.db").read_bytes()[4096:] == whole[4096:]
    assert drive("info", "d") == before
    assert drive("verify", "d")[-1]["problems"] == 0
    (tmp_path / "new").write_bytes(b"more")
    drive("put", "d", tmp_path / "new")
    assert drive("rebuild")[-1]["lost"] == 0


def test_a_rebuild_makes_no_data_where_there_was_none(tmp_path: Path) -> None:
    assert main(["drive", "rebuild", "--data", str(tmp_path / "none")]) == 1
    assert not (tmp_path / "none").exists()


def read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_what_is_ours_is_listed_with_its_link(drive: Drive) -> None:
    own, done = drive("info")
    assert own["name"] == "d" and done["drives"] == 1
    assert paths(drive("ls", own["link"])) == paths(drive("ls", "d"))
    assert paths(drive("ls", f"{own['link']}/sub")) == ["b"]
    info = drive("info", "d")[0]
    assert (info["files"], info["links"], info["bytes"]) == (2, 1, 8)


def test_nothing_is_made_by_looking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drive", "ls", "d", "--data", str(tmp_path / "none")]) == 1
    assert not (tmp_path / "none").exists()
    assert capsys.readouterr().err.count("\n") == 1


def test_lines_for_people_hold_no_control_characters(
    drive: Drive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive("cp", "d", "/a", "/\x1b[2Jred\n")
    assert main(["drive", "ls", "-l", "d", "--data", str(tmp_path / "data")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and r"\x1b[2Jred\n" in out
    assert readable("plain ä") == "plain ä"


@pytest.mark.parametrize("text", ["", "5", "-5", "a-b", "5-4", "1-2-3", "²-3"])
def test_a_range_is_two_numbers_in_order(text: str) -> None:
    with pytest.raises(Exception, match="FROM-TO"):
        byte_range(text)


def test_a_range_may_be_open() -> None:
    assert byte_range("3-") == (3, None) and byte_range("0-0") == (0, 1)


def test_a_path_is_counted_from_where_the_link_leads() -> None:
    assert path_in(f"pear://{KEY}/a", "b") == "/a/b"
    assert path_in(f"pear://{KEY}", "b") == path_in("name", "b") == "b"


def test_wrong_words_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["drive"], ["drive", "ls"], ["drive", "diff", "d", "x"], ["drive", "nope"]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 2

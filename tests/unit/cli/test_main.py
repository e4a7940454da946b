import json
from pathlib import Path

import pytest

from pearbox_edge.cli import main
from pearbox_edge.cli.events import in_units


def test_a_wrong_link_is_one_line_and_exit_status_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["get", "pear://short", "--data", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "pear://KEY" in captured.err


def test_with_json_the_reason_is_an_event_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "none"
    assert main(["share", str(path), "--data", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert json.loads(line)["event"] == "error"
    assert "no such file" in captured.err


def test_watching_an_old_version_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["get", "x", "--watch", "--version", "3"])
    assert stopped.value.code == 2
    assert "--version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 << 10, "1.5 MiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_sizes_read_well(size: int, text: str) -> None:
    assert in_units(size) == text

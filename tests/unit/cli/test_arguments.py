import argparse
from pathlib import Path

import pytest

from pearbox_edge.cli.arguments import address, data_directory, make_parser, positive, seconds


def test_an_address_is_a_host_and_a_port() -> None:
    assert address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert address("[fe80::1%eth0]:80") == ("fe80::1%eth0", 80)


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:x", "host:65536", "host:-1"])
def test_anything_else_is_not_an_address(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        address(text)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²"])
def test_a_version_is_a_whole_number_from_one(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        positive(text)


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf"])
def test_a_timeout_is_a_positive_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        seconds(text)


def test_the_data_directory_is_the_first_that_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PEARBOX_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_directory(None) == tmp_path / "pearbox-edge"
    monkeypatch.setenv("PEARBOX_DATA", str(tmp_path / "b"))
    assert data_directory(None) == tmp_path / "b"
    assert data_directory(str(tmp_path / "c")) == tmp_path / "c"


def test_the_data_directory_without_any_setting_is_below_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("PEARBOX_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_directory(None) == tmp_path / ".local" / "share" / "pearbox-edge"


def test_wrong_usage_is_exit_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args(["share"])
    assert stopped.value.code == 2
    assert "PATH" in capsys.readouterr().err

"""Cleared ranges give their disk space back."""

import os
from pathlib import Path

import pytest

from pearbox_edge.data.storage.holes import punch_hole

MIB = 1 << 20


def test_a_hole_frees_disk_space_and_keeps_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    descriptor = os.open(path, os.O_RDWR)
    os.fsync(descriptor)
    before = path.stat().st_blocks
    if not punch_hole(descriptor, 0, MIB // 2):
        pytest.fail("the filesystem of the tests cannot punch holes")
    after = path.stat()
    os.close(descriptor)
    assert after.st_size == MIB
    assert after.st_blocks <= before * 6 // 10
    assert path.read_bytes() == bytes(MIB // 2) + b"x" * (MIB // 2)


def test_a_file_that_takes_no_holes_stays_as_it_is() -> None:
    reading, writing = os.pipe()
    assert not punch_hole(writing, 0, 10)
    os.close(reading)
    os.close(writing)


def test_nothing_to_free_is_nothing_done(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    descriptor = os.open(tmp_path / "file", os.O_RDWR)
    assert not punch_hole(descriptor, 0, 0)
    os.close(descriptor)

"""Each operation on the disk failing in turn, under stores, drives and streams."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.shim import shim_environment

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
ROUNDS = 3
WAYS = {
    "the disk fails once": (errno.EIO, "once"),
    "the disk is full once": (errno.ENOSPC, "once"),
    "the disk stays full": (errno.ENOSPC, "for-good"),
    "the disk is gone": (errno.EIO, "for-good"),
    "the disk fails once, reads too": (errno.EIO, "reads"),
}


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("way", WAYS)
def test_each_operation_failing_is_said_and_loses_nothing(
    tmp_path: Path, shim_library: Path, way: str, part: int
) -> None:
    error, how = WAYS[way]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "tests.faults.scene_runner", "fail", str(tmp_path / "data")),
            *("failures", str(ROUNDS), str(1 + part), "2", str(error), how),
        ],
        env=shim_environment(shim_library),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    failed, operations = map(int, ran.stdout.split())
    assert failed >= operations // 2 - 1
    assert operations > 100

"""SIGKILL at 500 seeded moments during import, replication, clear and truncate."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.shim import shim_environment

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
BATCHES = 10
KILLS = 50
"""In one batch; half of them at an operation on the disk, in the middle of it if it is a write."""


@pytest.mark.parametrize("batch", range(BATCHES))
def test_nothing_acknowledged_is_lost_by_a_kill(
    tmp_path: Path, shim_library: Path, batch: int
) -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "tests.faults.scene_runner"),
            *("kill", str(tmp_path / "data"), f"batch {batch}", str(KILLS)),
        ],
        env=shim_environment(shim_library),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    killed, acknowledged = map(int, ran.stdout.split())
    assert killed == KILLS
    assert acknowledged > 5 * KILLS

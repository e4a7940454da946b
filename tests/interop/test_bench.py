"""The benchmark runs: small sizes, one turn, both sides."""

import json
import subprocess
import sys

import pytest

from tests.kit.peers import REPOSITORY

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]


def test_the_benchmark_prints_ratios() -> None:
    sizes = ["--size-mib", "2", "--files", "20", "--runs", "1"]
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench", *sizes],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    ratios = json.loads(result.stdout)["ratios"]
    assert set(ratios) == {"big", "small"}
    for part in ratios.values():
        assert part["ours-ours against js-js"]["speed"] > 0

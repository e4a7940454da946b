"""The reference peers reach each other across NATs as their figures say, so the lab is fair."""

import json
from pathlib import Path

import pytest

from tests.lab import matrix
from tests.lab.matrix import FAULTS, Conditions, run_pair, summary, table

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(90),
    pytest.mark.usefixtures("js_peers"),
]


@pytest.mark.parametrize(
    ("server", "client", "outcome"),
    [
        ("open", "port-restricted", "direct"),
        ("port-restricted", "port-restricted", "punched"),
        ("symmetric", "symmetric", "failed"),
    ],
)
def test_a_pair_of_reference_peers_fares_as_recorded(
    server: str, client: str, outcome: str
) -> None:
    run = run_pair(server, client, Conditions(delay_ms=10, timeout=20))
    assert run.outcome == outcome, run.error
    cell = summary([run])
    assert cell["outcome"] == outcome
    assert server in table([cell])


def test_the_recorded_figures_cover_every_fault() -> None:
    recorded = json.loads((Path(matrix.__file__).parent / "reference.json").read_text())
    named = {row["fault"] for row in _rows(recorded)}
    assert set(FAULTS) <= named


def _rows(value: object) -> list[dict[str, str]]:
    if isinstance(value, dict):
        if "fault" in value:
            return [value]
        return [row for inner in value.values() for row in _rows(inner)]
    if isinstance(value, list):
        return [row for inner in value for row in _rows(inner)]
    return []

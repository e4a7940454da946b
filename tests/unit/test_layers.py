"""Each import contract holds, and breaks when it is breached: each breach is planted in a copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BREACHES = {
    # contract: where the breach is planted, what it says, and what the linter must name
    "floors: imports point down": (
        "wire/planted_floor.py",
        "import pearbox_edge.net.stream",
        "pearbox_edge.wire.planted_floor -> pearbox_edge.net.stream",
    ),
    "rooms of net": (
        "net/mux/planted_net.py",
        "import pearbox_edge.net.tcp",
        "pearbox_edge.net.mux.planted_net -> pearbox_edge.net.tcp",
    ),
    "rooms of data": (
        "data/storage/planted_data.py",
        "import pearbox_edge.data.core",
        "pearbox_edge.data.storage.planted_data -> pearbox_edge.data.core",
    ),
    "rooms of box": (
        "box/files/planted_box.py",
        "import pearbox_edge.box.sharing",
        "pearbox_edge.box.files.planted_box -> pearbox_edge.box.sharing",
    ),
    "data meets net only at mux and stream": (
        "data/replication/planted_meeting.py",
        "import pearbox_edge.net.tcp",
        "pearbox_edge.data.replication.planted_meeting -> pearbox_edge.net.tcp",
    ),
    "edges see only the box": (
        "lan/planted_edge.py",
        "import pearbox_edge.wire",
        "pearbox_edge.lan.planted_edge -> pearbox_edge.wire",
    ),
    "one home per outside library": (
        "data/core/planted_library.py",
        "import nacl",
        "pearbox_edge.data.core.planted_library -> nacl",
    ),
    "pure rooms": (
        "crypto/planted_impure.py",
        "import asyncio",
        "pearbox_edge.crypto.planted_impure -> asyncio",
    ),
}

NEW_ROOMS = ("planted_floor_room", "net/planted_room", "data/planted_room", "box/planted_room")
"""Packages that no contract knows: `exhaustive` must notice each."""


def lint(folder: Path) -> tuple[int, str]:
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run(
        [linter, "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    return result.returncode, result.stdout + result.stderr


def copy(folder: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pearbox_edge", folder / "pearbox_edge", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says about a copy with every breach in it."""
    folder = copy(tmp_path_factory.mktemp("breached"))
    for path, line, _ in BREACHES.values():
        (folder / "pearbox_edge" / path).write_text(f'"""A breach."""\n\n{line}\n')
    for room in NEW_ROOMS:
        (folder / "pearbox_edge" / room).mkdir()
        (folder / "pearbox_edge" / room / "__init__.py").write_text('"""A room."""\n')
    status, said = lint(folder)
    assert status == 1, said
    return said


def test_the_contracts_hold() -> None:
    status, said = lint(ROOT)
    assert status == 0, said


def test_every_contract_has_a_breach() -> None:
    assert set(BREACHES) == contracts()


@pytest.mark.parametrize("contract", BREACHES)
def test_a_breach_of_a_contract_is_noticed(report: str, contract: str) -> None:
    assert BREACHES[contract][2] in section(report, contract)


@pytest.mark.parametrize(
    ("contract", "module"),
    [
        ("floors: imports point down", "pearbox_edge.planted_floor_room"),
        ("rooms of net", "pearbox_edge.net.planted_room"),
        ("rooms of data", "pearbox_edge.data.planted_room"),
        ("rooms of box", "pearbox_edge.box.planted_room"),
    ],
)
def test_a_room_without_a_place_is_noticed(report: str, contract: str, module: str) -> None:
    assert module in section(report, contract)


def contracts() -> set[str]:
    lines = (ROOT / "pyproject.toml").read_text().partition("[tool.importlinter]")[2].splitlines()
    return {line.split('"')[1] for line in lines if line.startswith("name = ")}


def section(report: str, contract: str) -> str:
    """The part of the linter's report about one broken contract."""
    lines = report.partition("Broken contracts")[2].splitlines()
    start = lines.index(contract)
    others = contracts() - {contract}
    end = next((i for i in range(start + 1, len(lines)) if lines[i] in others), len(lines))
    return "\n".join(lines[start:end])

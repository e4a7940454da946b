"""Rooms are entered by their door: a room's `__init__` is imported, never a file in it.

A room is a folder in a floor (`net`, `data`, `box`) or a folder beside them. Files that lie in no
room (`errors.py`, `net/stream.py`) are for everybody. Within a room imports are relative.
"""

import ast
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pearbox_edge"
FLOORS = ("pearbox_edge", "pearbox_edge.net", "pearbox_edge.data", "pearbox_edge.box")


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
PACKAGES = {name for name, path in FILES.items() if path.name == "__init__.py"}


def room_of(module: str) -> str | None:
    """The room that holds a module; None for files that lie in no room."""
    parts = module.split(".")
    for size in range(len(parts), 1, -1):
        name = ".".join(parts[:size])
        if name in PACKAGES and name not in FLOORS and ".".join(parts[: size - 1]) in FLOORS:
            return name
    return None


@functools.cache
def door(package: str) -> frozenset[str]:
    """The names a package offers: a name may be that of a file in it, as `namespace` in crypto."""
    if package not in PACKAGES:
        return frozenset()
    for node in ast.parse(FILES[package].read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def imports_of(module: str, source: str) -> Iterator[tuple[int, str]]:
    """(line, module of ours) for each import, relative ones resolved."""
    package = module if module in PACKAGES else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            targets = [
                inner if inner in FILES and alias.name not in door(base) else base
                for alias in node.names
                for inner in [f"{base}.{alias.name}"]
            ]
        else:
            continue
        for target in targets:
            if target.split(".")[0] == "pearbox_edge":
                yield node.lineno, target


def breaches(module: str, source: str) -> list[str]:
    """Imports of a file inside another room."""
    own = room_of(module)
    found = []
    for line, target in imports_of(module, source):
        room = room_of(target)
        if room is not None and room not in (own, target):
            found.append(f"{module}:{line} imports {target}: import {room}")
    return found


@pytest.mark.parametrize("module", FILES)
def test_other_rooms_are_entered_by_their_door(module: str) -> None:
    assert breaches(module, FILES[module].read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pearbox_edge.wire.reader",
        "from pearbox_edge.wire.reader import Reader",
        "from pearbox_edge.wire import reader",
        "from pearbox_edge.net.noise.aio import SecretStream",
    ],
)
def test_a_way_around_a_door_is_noticed(line: str) -> None:
    assert breaches("pearbox_edge.data.core.proof", line) != []


@pytest.mark.parametrize(
    "line",
    [
        "from pearbox_edge.wire import Reader",
        "from pearbox_edge.errors import PeerError",
        "from pearbox_edge.net.stream import MessageStream",
        "from .flat_tree import parent",
        "import asyncio",
    ],
)
def test_a_door_is_no_breach(line: str) -> None:
    assert breaches("pearbox_edge.data.core.proof", line) == []


ALONE = """
import asyncio, importlib, os, sys, traceback
import nacl.bindings, sqlite3, rich.progress, zeroconf.asyncio, watchfiles  # outsiders, once
failed = 0
for module in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(module)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("cannot be imported first:", module, file=sys.stderr, flush=True)
        failed = 1
sys.exit(failed)
"""


@pytest.mark.timeout(120)
def test_each_module_can_be_the_first_to_be_imported(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}  # compiled once, and not in the tree
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    result = subprocess.run(
        [sys.executable, "-c", ALONE, *FILES],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("module", sorted(PACKAGES))
def test_a_room_says_what_it_does(module: str) -> None:
    text = ast.get_docstring(ast.parse(FILES[module].read_text()))
    assert text, f"{module} has no docstring"
    if room_of(module) == module:
        assert len(text.splitlines()) >= 5, f"{module}: what, upstream, door, and the next"
        assert "Must not know" in text, module

"""The shape of the repository: names, sizes, mirrors, and what no file may contain."""

import ast
import fnmatch
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TOP_LEVEL = {
    ".ci",
    ".git",
    ".gitattributes",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "pearbox_edge",
    "pyproject.toml",
    "tests",
}
LONGEST = 600
"""Lines of a source file; past it there are two ideas in it."""

REGISTRY_HOSTS = [
    # Put together here, for this file is searched too.
    "npm" + "js.org",
    "npm" + "js.com",
    "yarn" + "pkg.com",
    "py" + "pi.org",
    "python" + "hosted.org",
    "deb" + ".debian.org",
]

MIRRORED = ("wire", "crypto", "net", "data")
NOT_MIRRORED = {
    "data/core/proof.py": "shapes only, no behaviour",
    "data/storage/interface.py": "the contract; every storage is tested against it",
    "net/stream.py": "Protocols only",
}

BUILT_IN_MARKS = {"asyncio", "filterwarnings", "parametrize", "timeout", "usefixtures", "xfail"}


def ignored() -> list[str]:
    lines = (ROOT / ".gitignore").read_text().split()
    return [line.strip("/") for line in lines]


def is_ignored(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every file of the project that is not ignored."""
    patterns = [*ignored(), ".git"]

    def walk(where: Path) -> Iterator[Path]:
        for path in sorted(where.iterdir()):
            if is_ignored(path, patterns):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return walk(folder)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


SOURCES = [path for path in files() if path.suffix in {".py", ".mjs", ".js", ".cjs", ".sh"}]
TESTS = [path for path in files(ROOT / "tests") if path.suffix == ".py"]


def test_the_top_level_holds_only_the_agreed_names() -> None:
    found = {path.name for path in ROOT.iterdir() if not is_ignored(path, ignored())}
    assert found - TOP_LEVEL == set()
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= found


def test_no_file_names_a_package_registry() -> None:
    words = [host.encode() for host in REGISTRY_HOSTS]
    guilty = [relative(path) for path in files() if any(w in path.read_bytes() for w in words)]
    assert guilty == []


def test_lock_files_hold_checksums_and_no_addresses() -> None:
    locks = [path for path in files() if path.name == "package-lock.json"]
    assert locks
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        for name, package in packages.items():
            assert "resolved" not in package, f"{relative(lock)}: {name}"
            assert not name or "integrity" in package, f"{relative(lock)}: {name}"


def test_no_source_file_is_too_long() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: n for path, n in lengths.items() if n > LONGEST} == {}


def test_each_source_file_has_its_test_file() -> None:
    missing = []
    for floor in MIRRORED:
        for path in files(ROOT / "pearbox_edge" / floor):
            place = path.relative_to(ROOT / "pearbox_edge")
            if path.suffix != ".py" or path.name == "__init__.py" or str(place) in NOT_MIRRORED:
                continue
            test = ROOT / "tests" / "unit" / place.with_name(f"test_{path.name}")
            if not test.exists():
                missing.append(relative(test))
    assert not missing, "\n".join(["no such file:", *missing])


def test_each_exception_to_the_mirror_still_exists() -> None:
    gone = [name for name in NOT_MIRRORED if not (ROOT / "pearbox_edge" / name).exists()]
    assert gone == []


def test_each_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in TESTS} - {ROOT / "tests" / "interop" / "holepunch-js"}
    assert [relative(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def marks(path: Path) -> Iterator[str]:
    """Names X of `pytest.mark.X` in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "mark"
        ):
            yield node.attr


def test_every_mark_is_declared() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = {line.split(":")[0] for line in settings["tool"]["pytest"]["ini_options"]["markers"]}
    used = {mark for path in TESTS for mark in marks(path)}
    assert used <= declared | BUILT_IN_MARKS


def test_each_marked_folder_has_its_mark() -> None:
    unmarked = [
        relative(path)
        for kind in ("interop", "lab", "faults")
        for path in files(ROOT / "tests" / kind)
        if path.name.startswith("test_") and path.suffix == ".py" and kind not in marks(path)
    ]
    assert unmarked == []


SKIPS = re.compile(r"pytest\.(skip|importorskip)\b|mark\.skip|unittest\.skip|SkipTest")


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_test_is_ever_skipped(path: Path) -> None:
    if path != Path(__file__):
        assert not SKIPS.search(path.read_text()), "what cannot run is a failure"

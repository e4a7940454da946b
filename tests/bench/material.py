"""What is shared in a measurement: one big file, or many small ones, of bytes without repeats."""

import filecmp
import os
from pathlib import Path

from .processes import BenchFailed

MIB = 1 << 20


def make_big(folder: Path, mib: int) -> Path:
    """A folder with one file."""
    folder.mkdir()
    with (folder / "big.bin").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    return folder


def make_small(folder: Path, count: int, size: int) -> Path:
    """A folder with `count` files of `size` bytes in twenty folders."""
    for number in range(count):
        inner = folder / f"folder-{number % 20:02}"
        inner.mkdir(parents=True, exist_ok=True)
        (inner / f"file-{number:05}.bin").write_bytes(os.urandom(size))
    return folder


def make_empty(folder: Path) -> Path:
    """A folder with nothing in it: what remains is starting the program."""
    folder.mkdir()
    return folder


def must_be_equal(source: Path, copy: Path) -> None:
    """Raise BenchFailed unless both folders hold the same files with the same bytes."""
    names = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    copied = sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file())
    if names != copied:
        raise BenchFailed(f"{len(copied)} files arrived of {len(names)}")
    _, different, unread = filecmp.cmpfiles(source, copy, [str(n) for n in names], shallow=False)
    if different or unread:
        raise BenchFailed(f"not the same bytes: {(different + unread)[:5]}")

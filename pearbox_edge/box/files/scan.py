"""Reading a person's folder: what can go into a drive, and why the rest cannot."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pearbox_edge.errors import InputError

from .paths import UnsafePath, link_target, safe_parts


@dataclass(frozen=True, slots=True)
class Source:
    """A path that a person shares, and the path in the drive that it becomes ("": root)."""

    path: str
    drive_path: str


class Stamp(NamedTuple):
    """What tells, without reading it, that a file is still the one that was read."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    executable: bool


class FoundFile(NamedTuple):
    """A regular file: its path in the drive, where it lies, and its stamp."""

    drive_path: str
    path: str
    stamp: Stamp


class FoundLink(NamedTuple):
    """A symlink that stays inside the folder, with the target as the drive stores it."""

    drive_path: str
    path: str
    target: str


class Skipped(NamedTuple):
    """Something that cannot go into the drive now, and why; `path` is printable.

    What the drive holds at and below `drive_path` from an earlier time stays there.
    """

    drive_path: str
    path: str
    reason: str


Found = FoundFile | FoundLink | Skipped


def printable(path: str) -> str:
    """A path that any terminal and any log can show."""
    return path.encode("utf-8", "backslashreplace").decode()


def stamp_of(info: os.stat_result) -> Stamp:
    """The stamp in what `stat` says of a file."""
    executable = bool(info.st_mode & stat.S_IXUSR)
    return Stamp(info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, executable)


def real_path(path: str) -> str:
    """The absolute path with all links followed: one name for one place."""
    return os.path.realpath(path)


def plan_sources(paths: Sequence[str]) -> list[Source]:
    """Decide where each given path goes: one folder becomes the root, else each keeps its name.

    Raises InputError for a path that is missing, unreadable, or named like another one.
    """
    sources: dict[str, Source] = {}
    for given in paths:
        full = os.path.abspath(given)
        try:
            is_folder = stat.S_ISDIR(Path(full).stat().st_mode)
            readable = os.access(full, os.R_OK | os.X_OK if is_folder else os.R_OK)
        except OSError as error:
            raise InputError(
                f"cannot share {printable(given)}: {(error.strerror or str(error)).lower()}"
            ) from error
        if not readable:
            raise InputError(f"cannot share {printable(given)}: permission denied")
        name = Path(full).name
        drive_path = "" if is_folder and len(paths) == 1 else f"/{name}"
        if drive_path in sources:
            raise InputError(f"two of the paths are named {printable(name)}: share their folder")
        sources[drive_path] = Source(full, drive_path)
    return list(sources.values())


def scan(source: Source, *, excluded: Sequence[str] = ()) -> Iterator[Found]:
    """All files and links under one source, folders in name order, without following links.

    excluded: folders that never go into a drive (the data directory), by real path.
    A file that vanishes while we look is left out silently: it is gone.
    """
    try:
        info = os.stat(source.path, follow_symlinks=True)
    except OSError as error:
        # Also when it is gone: a disk that was unplugged must not empty the drive.
        yield Skipped(source.drive_path, printable(source.path), _reason(error))
        return
    if stat.S_ISDIR(info.st_mode):
        yield from _scan_folder(source.path, source.drive_path, frozenset(excluded), depth=0)
    else:
        yield _file(source.drive_path, source.path, info)


def scan_below(source: Source, path: str, *, excluded: Sequence[str] = ()) -> Iterator[Found]:
    """The same for one path inside a source, as it is now; nothing if it is gone."""
    relative = os.path.relpath(path, source.path)
    if relative == ".":
        yield from scan(source, excluded=excluded)
        return
    drive_path = f"{source.drive_path}/{relative}"
    name = relative.rpartition("/")[2]
    yield from _scan_entry(path, name, drive_path, frozenset(excluded), drive_path.count("/"))


def _scan_folder(
    folder: str, drive_path: str, excluded: frozenset[str], depth: int
) -> Iterator[Found]:
    try:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Skipped(drive_path, printable(folder), _reason(error))
        return
    if excluded and os.path.realpath(folder) in excluded:
        return
    for name in names:
        yield from _scan_entry(
            f"{folder}/{name}", name, f"{drive_path}/{name}", excluded, depth + 1
        )


def _scan_entry(
    path: str, name: str, drive_path: str, excluded: frozenset[str], depth: int
) -> Iterator[Found]:
    try:
        name.encode()
    except UnicodeEncodeError:
        yield Skipped(
            printable(drive_path), printable(path), "its name is not UTF-8; rename it to share it"
        )
        return
    if "\\" in name:
        # Drives take a backslash for a folder border: the file would come out elsewhere.
        yield Skipped(
            printable(drive_path),
            printable(path),
            "its name has a backslash; rename it to share it",
        )
        return
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            yield _link(drive_path, path, os.readlink(path))
        elif stat.S_ISDIR(info.st_mode):
            yield from _scan_folder(path, drive_path, excluded, depth)
        elif stat.S_ISREG(info.st_mode):
            yield _file(drive_path, path, info)
        else:
            yield Skipped(
                printable(drive_path), printable(path), "it is neither a file, a folder nor a link"
            )
    except FileNotFoundError:
        return
    except OSError as error:
        yield Skipped(printable(drive_path), printable(path), _reason(error))


def _file(drive_path: str, path: str, info: os.stat_result) -> Found:
    try:
        safe_parts(drive_path)
    except UnsafePath as error:
        return Skipped(printable(drive_path), printable(path), str(error))
    if not os.access(path, os.R_OK):
        return Skipped(printable(drive_path), printable(path), "permission denied")
    return FoundFile(drive_path, path, stamp_of(info))


def _link(drive_path: str, path: str, target: str) -> Found:
    root = path[: len(path) - len(drive_path)] if path.endswith(drive_path) else None
    if target.startswith("/") and root is not None and target.startswith(f"{root}/"):
        target = target[len(root) :]
    elif target.startswith("/"):
        return Skipped(
            printable(drive_path), printable(path), "it is a link that leads out of the folder"
        )
    try:
        link_target(drive_path, target)
    except UnsafePath as error:
        return Skipped(printable(drive_path), printable(path), str(error))
    return FoundLink(drive_path, path, target)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

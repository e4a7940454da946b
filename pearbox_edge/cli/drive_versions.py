"""`drive history`, `diff` and `restore`: what a drive was."""

import argparse
from dataclasses import replace

from pearbox_edge.box.drives import Library
from pearbox_edge.data.drive import Entry, normalise_folder
from pearbox_edge.errors import InputError

from .drive import at_version, path_in, to_write
from .events import in_units, readable
from .output import Field, Line, Output

PAGE = 500  # TUNING: lines written at once


async def history(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """List the operations, newest first."""
    drive = await library.find(arguments.drive)
    folder = normalise_folder(path_in(arguments.drive, arguments.path))
    lines: list[Line] = []
    told = 0
    async for step in drive.snapshot().history(end=arguments.before, reverse=True):
        if told == arguments.limit:
            break
        if step.path != folder and not step.path.startswith(f"{folder}/"):
            continue
        fields: dict[str, Field] = {"version": step.seq + 1, "path": step.path}
        fields |= _fields("delete" if step.entry is None else "put", step.entry)
        what = "deleted" if step.entry is None else _size(step.entry)
        lines.append((f"{f'v{step.seq + 1}':<9}{what:>12}  {readable(step.path)}", fields))
        told += 1
        if len(lines) >= PAGE:
            output.lines("operation", lines)
            lines = []
    output.lines("operation", lines)
    output.event("done", operations=told, version=drive.version)
    return 0


async def diff(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """List what differs between two versions."""
    drive = await library.find(arguments.drive)
    newest = drive.version
    for version in (arguments.a, arguments.b or newest):
        if version > newest:
            raise InputError(f"there is no version {version}; the newest is {newest}")
    later = await at_version(drive, arguments.b)
    added = changed = removed = 0
    lines: list[Line] = []
    folder = path_in(arguments.drive, arguments.path)
    async for change in later.diff(arguments.a, folder):
        entry = change.left or change.right
        if entry is None or _is_same(change.left, change.right):
            continue  # written again as it was
        op = "remove" if change.left is None else "add" if change.right is None else "change"
        added, changed, removed = (
            added + (op == "add"),
            changed + (op == "change"),
            removed + (op == "remove"),
        )
        fields: dict[str, Field] = {"path": entry.path, **_fields(op, change.left)}
        sign = {"add": "+", "change": "~", "remove": "-"}[op]
        lines.append((f"{sign} {readable(entry.path)}", fields))
        if len(lines) >= PAGE:
            output.lines("change", lines)
            lines = []
    output.lines("change", lines)
    output.event("done", a=arguments.a, b=later.version, add=added, change=changed, remove=removed)
    return 0


async def restore(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Bring a file back by one entry."""
    drive = await to_write(arguments, library)
    entry = await drive.restore(arguments.path, arguments.at_version)
    output.event(
        "done",
        f"{readable(entry.path)} is as it was at version {arguments.at_version} "
        f"({_size(entry)}); the drive is at version {drive.version}",
        path=entry.path,
        bytes=entry.size,
        version=drive.version,
    )
    return 0


def _is_same(one: Entry | None, other: Entry | None) -> bool:
    return one is not None and other is not None and replace(one, seq=other.seq) == other


def _size(entry: Entry) -> str:
    if entry.linkname is not None:
        return "link"
    return "mapped" if entry.size is None else in_units(entry.size)


def _fields(op: str, entry: Entry | None) -> dict[str, Field]:
    if entry is None:
        return {"op": op}
    fields: dict[str, Field] = {"op": op, "bytes": entry.size, "executable": entry.executable}
    if entry.linkname is not None:
        fields["target"] = entry.linkname
    return fields

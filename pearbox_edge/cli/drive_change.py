"""`drive put`, `rm`, `mv` and `cp`: changes of a drive that is ours."""

import argparse
import asyncio
import sys

from pearbox_edge.box.drives import Library, import_file
from pearbox_edge.data.drive import Hyperdrive, normalise, normalise_folder
from pearbox_edge.errors import InputError
from pearbox_edge.wire import format_link

from .drive import to_write
from .events import in_units, readable
from .output import Output


async def put(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Write one file of the disk, or standard input, into a drive."""
    file, given = arguments.file, arguments.path
    if file == "-" and (given is None or given.endswith("/")):
        raise InputError("say which PATH of the drive standard input becomes")
    name = file.rpartition("/")[2]
    path = normalise(name if given is None else given + name if given.endswith("/") else given)
    drive = await to_write(arguments, library)
    before = await _blocks(drive)
    if file == "-":
        size = 0

        async def source(wanted: int) -> bytes:
            nonlocal size
            chunk: bytes = await asyncio.to_thread(sys.stdin.buffer.read, wanted)
            size += len(chunk)
            return chunk

        await drive.put_stream(path, source)
    else:
        size = await import_file(drive, file, path)
    blocks = await _blocks(drive) - before
    output.event(
        "done",
        f"{readable(path)}: {in_units(size)}, version {drive.version}"
        + ("" if blocks or not size else " (the drive had these bytes)"),
        path=path,
        bytes=size,
        blocks=blocks,
        version=drive.version,
        link=format_link(drive.key),
    )
    return 0


async def rm(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Take paths away, all or none."""
    drive = await to_write(arguments, library)
    gone: dict[str, None] = {}
    for given in arguments.paths:
        found = await _at_or_below(drive, given)
        if not found:
            raise InputError(f"there is no {readable(given)} in this drive")
        if found != [normalise_folder(given)] and not arguments.recursive:
            raise InputError(f"{readable(given)} is a folder: rm -r takes it away")
        gone.update(dict.fromkeys(found))
    async with await drive.batch() as batch:
        for path in gone:
            await batch.delete(path)
    files = "1 file" if len(gone) == 1 else f"{len(gone)} files"
    output.event(
        "done", f"{files} removed, version {drive.version}", files=len(gone), version=drive.version
    )
    return 0


async def mv(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Give files new names."""
    return await _transfer(arguments, output, library, keep=False)


async def cp(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Give files second names."""
    return await _transfer(arguments, output, library, keep=True)


async def _transfer(
    arguments: argparse.Namespace, output: Output, library: Library, *, keep: bool
) -> int:
    drive = await to_write(arguments, library)
    source, target = normalise(arguments.source), arguments.target
    if target.endswith("/"):
        target += source.rpartition("/")[2]
    target = normalise(target)
    found = await _at_or_below(drive, source)
    if not found:
        raise InputError(f"there is no {readable(source)} in this drive")
    if target.startswith(f"{source}/"):
        raise InputError("a folder cannot go into itself")
    async with await drive.batch() as batch:
        for path in found:
            to = target + path[len(source) :]
            await (batch.copy(path, to) if keep else batch.rename(path, to))
    files = "1 file" if len(found) == 1 else f"{len(found)} files"
    done = "copied" if keep else "moved"
    text = f"{files} {done} to {readable(target)}, version {drive.version}"
    output.event("done", text, files=len(found), path=target, version=drive.version)
    return 0


async def _at_or_below(drive: Hyperdrive, path: str) -> list[str]:
    """The file of this path and all files below it."""
    folder = normalise_folder(path)
    own = [folder] if folder and await drive.entry(folder) is not None else []
    return own + [entry.path async for entry in drive.list(folder or "/")]


async def _blocks(drive: Hyperdrive) -> int:
    return (await drive.get_blobs()).core.length

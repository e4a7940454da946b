"""`drive ls`, `drive info` and `drive cat`: they only read, so they work on any drive held here."""

import argparse
import asyncio
import base64
import sys
from collections.abc import AsyncIterator

from pearbox_edge.box.drives import Library
from pearbox_edge.data.drive import DriveReader, Entry, Hyperdrive, normalise_folder
from pearbox_edge.errors import InputError, UnavailableError
from pearbox_edge.wire import Buffer, format_link

from .drive import at_version, path_in
from .events import in_units, readable
from .output import Field, Line, Output

PAGE = 500  # TUNING: lines written at once


async def ls(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """List a folder, or a file."""
    drive = await library.find(arguments.drive)
    view = await at_version(drive, arguments.at_version)
    path = path_in(arguments.drive, arguments.path)
    listing = _all_below if arguments.recursive else _names
    lines: list[Line] = []
    told, last, more = 0, None, False
    async for shown, entry, is_folder in listing(view, path, arguments.after):
        if arguments.limit is not None and told >= arguments.limit:
            more = True
            break
        lines.append(_line(shown, entry, is_folder=is_folder, long=arguments.long))
        told, last = told + 1, shown
        if len(lines) >= PAGE:
            output.lines("entry", lines)
            lines = []
    output.lines("entry", lines)
    if not told and arguments.after is None and normalise_folder(path):
        raise InputError(f"there is no {readable(path)} in this drive")
    text = f"more: --after {readable(last)}" if more and last else ""
    output.event("done", text, entries=told, version=view.version, next=last if more else None)
    return 0


Shown = tuple[str, Entry, bool]
"""What to show, an entry (of a folder: the first one below it), whether it is a folder."""


async def _all_below(view: DriveReader, path: str, after: str | None) -> AsyncIterator[Shown]:
    if after is None and normalise_folder(path):
        entry = await view.entry(path)
        if entry is not None:
            yield entry.path, entry, False
    async for entry in view.list(path, after=after):
        yield entry.path, entry, False


async def _names(view: DriveReader, path: str, after: str | None) -> AsyncIterator[Shown]:
    found = False
    async for child in view.children(path, after=after):
        found = True
        yield child.name + ("/" if child.is_folder else ""), child.entry, child.is_folder
    if not found and after is None and normalise_folder(path):
        entry = await view.entry(path)
        if entry is not None:
            yield entry.path, entry, False


def _line(shown: str, entry: Entry, *, is_folder: bool, long: bool) -> Line:
    fields: dict[str, Field] = {"path": shown, "type": "folder"}
    if is_folder:
        text = f"{'d':<2}{'':>12}{'':>9}  {readable(shown)}"
        return (text if long else readable(shown)), fields
    size = entry.size
    kind = "file" if entry.linkname is None else "link"
    fields |= {"type": kind, "bytes": size, "executable": entry.executable}
    fields |= {"version": entry.seq + 1}
    name = readable(shown)
    if entry.linkname is not None:
        fields["target"] = entry.linkname
        name += f" -> {readable(entry.linkname)}"
    if not long:
        return name, fields
    mode = "l" if entry.linkname is not None else "x" if entry.executable else "-"
    told = "" if entry.linkname is not None else "?" if size is None else in_units(size)
    return f"{mode:<2}{told:>12}{f'v{entry.seq + 1}':>9}  {name}", fields


async def info(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Tell about one drive; without one, which drives are ours."""
    if arguments.drive is None:
        lines: list[Line] = []
        for own in await library.ours():
            what = own.name or " ".join(own.paths)
            fields: dict[str, Field] = {"link": format_link(own.key), "name": own.name or None}
            fields["paths"] = "\n".join(own.paths) or None
            lines.append((f"{format_link(own.key)}  {readable(what)}", fields))
        output.lines("drive", lines)
        output.event("done", "" if lines else "no drive here is ours", drives=len(lines))
        return 0
    drive = await library.find(arguments.drive)
    files, links, size = await _count(drive)
    blobs = await _blocks(drive)
    core = drive.core
    link = format_link(drive.key)
    rows: list[tuple[str, Field]] = [
        ("link", link),
        ("version", drive.version),
        ("ours", "yes" if drive.writable else "no: it can only be read"),
        ("files", "not all entries are here" if files is None else f"{files} and {links} links"),
        ("content", None if size is None else in_units(size)),
        ("entries held", f"{_held(drive)} of {core.length} blocks"),
        ("content held", "unknown" if blobs is None else f"{blobs[0]} of {blobs[1]} blocks"),
    ]
    text = "\n".join(f"{name + ':':<14}{value}" for name, value in rows if value is not None)
    output.event(
        "info",
        text,
        link=link,
        key=drive.key.hex(),
        discovery_key=drive.discovery_key.hex(),
        content_key=drive.content_key.hex() if drive.content_key else None,
        version=drive.version,
        fork=core.fork,
        writable=drive.writable,
        files=files,
        links=links,
        bytes=size,
        entry_blocks=core.length,
        entry_blocks_held=_held(drive),
        content_blocks=None if blobs is None else blobs[1],
        content_blocks_held=None if blobs is None else blobs[0],
    )
    return 0


def _held(drive: Hyperdrive) -> int:
    core = drive.core
    return sum(end - start for start, end in core.bitfield.runs(0, core.length))


async def _blocks(drive: Hyperdrive) -> tuple[int, int] | None:
    try:
        core = (await drive.get_blobs()).core
    except UnavailableError:
        return None
    return sum(end - start for start, end in core.bitfield.runs(0, core.length)), core.length


async def _count(drive: Hyperdrive) -> tuple[int | None, int | None, int | None]:
    files = links = size = 0
    try:
        async for entry in drive.list("/"):
            links += entry.linkname is not None
            files += entry.linkname is None
            size += entry.size or 0
    except UnavailableError:
        return None, None, None
    return files, links, size


async def cat(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Write a file's bytes to standard output; with --json in lines of base64."""
    drive = await library.find(arguments.drive)
    view = await at_version(drive, arguments.at_version)
    path = path_in(arguments.drive, arguments.path)
    entry = await view.entry(path, follow=True)
    if entry is None:
        raise InputError(f"there is no {readable(path)} in this drive")
    start, length = arguments.range or (0, None)
    place = start
    async for parts in view.read_runs(entry, start, length):
        if arguments.json:
            data = b"".join(parts)
            text = base64.b64encode(data).decode()
            output.event("data", offset=place, base64=text)
        else:
            await asyncio.to_thread(_write, parts)
        place += sum(map(len, parts))
    if arguments.json:
        output.event("done", bytes=place - start, path=entry.path, version=view.version)
    return 0


def _write(parts: list[Buffer]) -> None:
    for part in parts:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()

"""`drive mirror`: a folder becomes a drive, a drive a folder or another drive."""

import argparse
from contextlib import aclosing

from pearbox_edge.box.drives import DriveEnd, End, FolderEnd, Library, MirrorOptions, Selection
from pearbox_edge.box.drives import mirror as make_equal
from pearbox_edge.box.files import Skipped, real_path
from pearbox_edge.data.drive import MirrorCount, MirrorStep
from pearbox_edge.errors import InputError
from pearbox_edge.wire import parse_link

from .arguments import data_directory
from .drive import at_version
from .events import in_units, readable, tell_skipped
from .output import Output

_SIGNS = {
    MirrorStep.ADD: "+",
    MirrorStep.CHANGE: "~",
    MirrorStep.REMOVE: "-",
    MirrorStep.EQUAL: "=",
}


async def mirror(arguments: argparse.Namespace, output: Output, library: Library) -> int:
    """Carry a mirror out and tell each step."""
    selection = Selection.of(arguments.only, arguments.ignore)
    skipped = 0

    def on_skip(item: Skipped) -> None:
        nonlocal skipped
        skipped += 1
        tell_skipped(output, item)

    excluded = [real_path(str(data_directory(arguments.data)))]

    async def end(text: str, *, version: int | None, new: bool) -> End:
        if await _is_drive(text, library):
            drive = await library.find(text)
            return DriveEnd(
                drive if version is None else await at_version(drive, version), selection
            )
        if new and "/" not in text:
            return DriveEnd(await library.named(text), selection)
        if version is not None:
            raise InputError("--version is for a SRC that is a drive")
        return FolderEnd(text, selection, excluded=excluded, on_skip=on_skip)

    source = await end(arguments.source, version=arguments.at_version, new=False)
    target = await end(arguments.target, version=None, new=arguments.new)
    if isinstance(source, FolderEnd) and isinstance(target, FolderEnd):
        # A path that was shared is a folder, unless it must be the drive.
        if await library.has_paths([arguments.source]):
            source = DriveEnd(await library.find(arguments.source), selection)
        elif await library.has_paths([arguments.target]):
            target = DriveEnd(await library.find(arguments.target), selection)
    options = MirrorOptions(
        prune=arguments.prune,
        dry_run=arguments.dry_run,
        include_equal=arguments.all,
        on_skip=on_skip,
    )
    count = MirrorCount()
    added = removed = 0
    async with aclosing(make_equal(source, target, options, count)) as steps:
        async for step in steps:
            added += step.bytes_added
            removed += step.bytes_removed
            output.event(
                "step",
                f"{_SIGNS[step.step]} {readable(step.path)}",
                op=step.step.value,
                path=step.path,
                bytes_added=step.bytes_added,
                bytes_removed=step.bytes_removed,
            )
    would = "would be " if arguments.dry_run else ""
    output.event(
        "done",
        f"{count.files} files: {count.add} {would}added, {count.change} {would}changed, "
        f"{count.remove} {would}removed ({in_units(added)} in, {in_units(removed)} out)",
        files=count.files,
        add=count.add,
        change=count.change,
        remove=count.remove,
        bytes_added=added,
        bytes_removed=removed,
        skipped=skipped,
        dry_run=arguments.dry_run,
        version=target.reader.version if isinstance(target, DriveEnd) else None,
    )
    return 0


async def _is_drive(text: str, library: Library) -> bool:
    """Links and names are drives, all else is a folder (./NAME if a drive has its name)."""
    try:
        parse_link(text)
    except InputError:
        if "://" in text:
            raise
        return await library.has_name(text)
    return True

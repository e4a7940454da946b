"""`pearbox-edge drive`: which command it is, on which drive."""

import argparse
from collections.abc import Callable, Coroutine
from importlib import import_module

from pearbox_edge.app import open_library
from pearbox_edge.box.drives import Library
from pearbox_edge.data.drive import DriveReader, Hyperdrive
from pearbox_edge.errors import InputError
from pearbox_edge.wire import parse_link

from .arguments import data_directory
from .output import Output
from .signals import stop_event, unless_stopped

Command = Callable[[argparse.Namespace, Output, Library], Coroutine[object, object, int]]

_MODULES = {
    "ls": "drive_look",
    "info": "drive_look",
    "cat": "drive_look",
    "put": "drive_change",
    "rm": "drive_change",
    "mv": "drive_change",
    "cp": "drive_change",
    "history": "drive_versions",
    "diff": "drive_versions",
    "restore": "drive_versions",
    "mirror": "drive_mirror",
    "verify": "drive_verify",
}
"""Where each command is; only its module is loaded."""


async def run(arguments: argparse.Namespace, output: Output) -> int:
    """Run one of the commands on the data directory; gives its exit code."""
    name = arguments.drive_command
    if name == "rebuild":  # the one that cannot wait for the database to be opened
        from .drive_rebuild import rebuild

        return await rebuild(arguments, output)
    command: Command = getattr(import_module(f"{__package__}.{_MODULES[name]}"), name)
    make = getattr(arguments, "new", False)
    with stop_event() as stop:
        async with open_library(data_directory(arguments.data), make=make) as library:
            return await unless_stopped(stop, command(arguments, output, library))


async def to_write(arguments: argparse.Namespace, library: Library) -> Hyperdrive:
    """The drive that was asked for, as one that is ours."""
    text = arguments.drive
    if getattr(arguments, "new", False) and "/" not in text and not await library.has_name(text):
        return await library.named(text)
    drive = await library.find(text)
    drive.must_be_writable()
    return drive


async def at_version(drive: Hyperdrive, version: int | None) -> DriveReader:
    """The drive at the version that was asked for, held fast. InputError if there is none."""
    return drive.snapshot() if version is None else drive.checkout(version)


def path_in(drive: str, path: str) -> str:
    """A path, below the one that the link of the drive may end with."""
    try:
        base = parse_link(drive).path
    except InputError:
        return path
    return f"{base}/{path}" if base else path

"""What can be typed after `pearbox-edge drive`."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no other name)

DRIVE = "a link or key, the --name of a drive, or the path it was shared from"


def add_drive(commands: "Commands", common: argparse.ArgumentParser) -> None:
    """Add `drive` and its commands to a parser."""
    drive = commands.add_parser(
        "drive",
        help="look into drives and change them",
        description="Look into the drives of a data directory, and change those that are ours.",
    )
    below = drive.add_subparsers(dest="drive_command", required=True, metavar="COMMAND")

    def add(name: str, what: str, *, drive: bool = True) -> argparse.ArgumentParser:
        parser = below.add_parser(name, parents=[common], help=what, description=f"{what}.")
        if drive:
            parser.add_argument("drive", metavar="DRIVE", help=DRIVE)
        return parser

    ls = add("ls", "list files and folders")
    ls.add_argument("path", nargs="?", default="/", metavar="PATH", help="default: /")
    ls.add_argument("-R", "--recursive", action="store_true", help="all below, not only names")
    ls.add_argument("-l", "--long", action="store_true", help="with mode, size and version")
    ls.add_argument("--limit", type=count, metavar="N", help="at most so many")
    ls.add_argument("--after", metavar="PATH", help="go on behind this one (from `next`)")
    _version(ls)

    info = add("info", "tell about one drive, or which drives are ours", drive=False)
    info.add_argument("drive", nargs="?", metavar="DRIVE", help=DRIVE)

    put = add("put", "write a file of the disk into a drive")
    put.add_argument("file", metavar="FILE", help="- reads standard input")
    put.add_argument("path", nargs="?", metavar="PATH", help="default: /NAME; a/ keeps the name")
    _new(put)

    cat = add("cat", "write the bytes of a file to standard output")
    cat.add_argument("path", metavar="PATH")
    cat.add_argument(
        "--range", type=byte_range, metavar="FROM-TO", help="bytes FROM to TO, both included"
    )
    _version(cat)

    rm = add("rm", "take files out of a drive (earlier versions keep them)")
    rm.add_argument("paths", nargs="+", metavar="PATH")
    rm.add_argument("-r", "--recursive", action="store_true", help="folders too")

    for name, what in (("mv", "move or rename a file or folder"), ("cp", "copy one")):
        move = add(name, f"{what}: entries only, no bytes")
        move.add_argument("source", metavar="FROM")
        move.add_argument("target", metavar="TO", help="a/ keeps the name")

    history = add("history", "list what was done, newest first")
    history.add_argument("path", nargs="?", default="/", metavar="PATH", help="a file or folder")
    history.add_argument("--limit", type=count, metavar="N", help="at most so many")
    history.add_argument("--before", type=count, metavar="N", help="only what version N has")

    diff = add("diff", "list what changed from version A to version B")
    diff.add_argument("a", type=count, metavar="A")
    diff.add_argument("b", type=count, nargs="?", metavar="B", help="default: the newest")
    diff.add_argument("--path", default="/", metavar="FOLDER", help="only below this folder")

    restore = add("restore", "bring a file back as it was at a version")
    restore.add_argument("path", metavar="PATH")
    restore.add_argument("--version", dest="at_version", type=count, metavar="N", required=True)

    mirror = add("mirror", "make DST equal to SRC; drives or folders", drive=False)
    mirror.add_argument("source", metavar="SRC", help=f"a folder, or {DRIVE}")
    mirror.add_argument("target", metavar="DST", help="as SRC; a folder is made if missing")
    mirror.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    mirror.add_argument(
        "--no-prune", dest="prune", action="store_false", help="keep what only DST has"
    )
    mirror.add_argument(
        "--only", action="append", default=[], metavar="PATH", help="this file or folder (repeat)"
    )
    mirror.add_argument(
        "--ignore", action="append", default=[], metavar="PATH", help="not this one (repeat)"
    )
    mirror.add_argument("--all", action="store_true", help="tell of equal files too")
    mirror.add_argument(
        "--version", dest="at_version", type=count, metavar="N", help="of the drive SRC"
    )
    _new(mirror)

    verify = add("verify", "re-read everything held of a drive and name what is wrong")
    verify.add_argument(
        "--repair", action="store_true", help="let go of what is damaged, to be fetched again"
    )
    add("rebuild", "make a new database of what can be read of a damaged one", drive=False)


def _version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--version", dest="at_version", type=count, metavar="N", help="as it was then"
    )


def _new(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--new", action="store_true", help="make the drive if none has this name")


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or not 1 <= len(text) <= 15 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def byte_range(text: str) -> tuple[int, int | None]:
    """FROM-TO or FROM- as (first byte, number of bytes or None)."""
    first, dash, last = text.partition("-")
    if dash and all(part.isascii() and part.isdigit() for part in (first, last or "0")):
        start = int(first)
        if not last:
            return start, None
        if int(last) >= start:
            return start, int(last) - start + 1
    raise argparse.ArgumentTypeError(f"{text!r} is not FROM-TO (bytes, from 0)")

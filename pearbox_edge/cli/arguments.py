"""What can be typed."""

import argparse
import os
from pathlib import Path

from pearbox_edge.errors import InputError

from .drive_arguments import add_drive

ANYWHERE = ("0.0.0.0", 0)  # noqa: S104 (to be reached from the LAN is what sharing is for)


def make_parser() -> argparse.ArgumentParser:
    """The parser of `pearbox-edge`, with help for each command."""
    parser = argparse.ArgumentParser(
        prog="pearbox-edge", description="Share files between peers, with no central server."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--data", metavar="DIR", help="keep all data here instead of the usual place"
    )
    common.add_argument("--json", action="store_true", help="one JSON object a line, for programs")
    common.add_argument("--debug", action="store_true", help="log everything, show tracebacks")
    network = argparse.ArgumentParser(add_help=False)
    network.add_argument(
        "--no-lan", dest="lan", action="store_false", help="no discovery on the LAN"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    share = commands.add_parser(
        "share",
        parents=[common, network],
        help="share files or folders until stopped",
        description="Put files or folders in a drive, print its link, and serve it until stopped. "
        "The same paths again keep the link and add only what changed.",
    )
    share.add_argument("paths", nargs="+", metavar="PATH")
    share.add_argument(
        "--name", help="name of the drive in the data directory (default: the paths)"
    )
    share.add_argument(
        "--listen", type=address, default=ANYWHERE, metavar="HOST:PORT", help="default: any"
    )

    get = commands.add_parser(
        "get",
        parents=[common, network],
        help="fetch a drive, or one path of it",
        description="Fetch a drive or one path of it into a folder. Verified, and resumable: the "
        "same command again goes on where it stopped.",
    )
    get.add_argument("link", metavar="LINK[/path]", help="a pear:// link, or a key in z32 or hex")
    get.add_argument(
        "destination", nargs="?", metavar="DEST", help="default: a folder named like the key"
    )
    get.add_argument(
        "--peer",
        dest="peers",
        type=address,
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="a machine that has it (may repeat)",
    )
    get.add_argument(
        "--version", dest="at_version", type=positive, metavar="N", help="as it was then"
    )
    get.add_argument("--watch", action="store_true", help="go on: mirror each new version")
    get.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="S",
        help="give up after so many seconds in which nothing arrived (default: 60)",
    )
    add_drive(commands, common)
    return parser


class _Version(argparse.Action):
    """Tell the version; looking it up takes longer than most commands."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser.exit(0, f"{version('pearbox-edge')}\n")


def address(text: str) -> tuple[str, int]:
    """HOST:PORT, with an IPv6 host in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def data_directory(given: str | None) -> Path:
    """`--data`, else $PEARBOX_DATA, else `pearbox-edge` under the XDG data home."""
    chosen = given or os.environ.get("PEARBOX_DATA")
    if chosen:
        return Path(chosen).absolute()
    home = os.environ.get("XDG_DATA_HOME")
    try:
        base = Path(home) if home and home.startswith("/") else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise InputError(
            "there is no home directory: say where to keep data with --data"
        ) from error
    return base / "pearbox-edge"

"""Logging set-up and the short form of keys: secrets and file names never reach a log."""

import logging
import sys


def short(key: bytes) -> str:
    """Eight hex digits of a key: enough to follow one in a log, too few to use it."""
    return key[:4].hex()


def set_up(*, debug: bool = False) -> None:
    """Send everything to standard error with `debug`, else nothing.

    A command tells its own failure in one line; a log beside it would be a second one.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger("pearbox_edge")
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.CRITICAL + 1)
    root.propagate = False

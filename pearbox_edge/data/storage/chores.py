"""What the data files still owe once a step is committed: space to give back.

A chore is written down in the step's own transaction and struck out in the next one, so a crash in
between only means that it is done once more when the directory is opened again.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from pearbox_edge.errors import StorageError
from pearbox_edge.ids import DiscoveryKey

from .files import DataFiles


class ChoreKind(IntEnum):
    """What is to be done; the numbers are in the database."""

    PUNCH = 1
    CUT = 2
    REMOVE = 3


class Chore(NamedTuple):
    """One thing to do to one data file: a range to free, an end to cut at, or the whole file."""

    kind: ChoreKind
    discovery_key: DiscoveryKey
    byte_offset: int = 0
    size: int = 0


def do_chores(files: DataFiles, chores: Iterable[Chore]) -> None:
    """Give the space back. A failure costs room and nothing else, so it is let pass. Blocking."""
    for kind, core, byte_offset, size in chores:
        try:
            if kind is ChoreKind.PUNCH:
                files.punch(core, byte_offset, size)
            elif kind is ChoreKind.CUT:
                files.cut(core, byte_offset)
            else:
                files.remove(core)
        except StorageError:
            continue

"""Giving files that are here whole their place in the destination; runs in a thread."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pearbox_edge.box.files import Blob, Destination, UnsafePath

from .plan import Item


class Ready(NamedTuple):
    """An item whose bytes are on the disk as one piece (None: a link, or an empty file)."""

    item: Item
    blob: Blob | None


def write_all(destination: Destination, ready: Iterable[Ready]) -> Iterator[tuple[Item, str]]:
    """Write each one; yields those that must not be written, and why.

    What is there already and equal is left as it is. Raises StorageError if the disk refuses.
    """
    for item, blob in ready:
        entry = item.entry
        try:
            if entry.linkname is not None:
                destination.write_link(item.target, entry.linkname)
            elif not destination.is_same(item.target, blob, executable=entry.executable):
                destination.write_blob(item.target, blob, executable=entry.executable)
        except UnsafePath as error:
            yield item, str(error)


def remove_all(destination: Destination, items: Iterable[Item]) -> Iterator[tuple[Item, str]]:
    """Remove what the drive has removed, where it still is as the drive had it; yields as above."""
    for item in items:
        try:
            size = destination.size(item.target)
            if item.entry.linkname is not None or size == item.entry.size:
                destination.remove(item.target)
        except UnsafePath as error:
            yield item, str(error)

"""Which entries of a drive go where in the destination, and in what order they are fetched."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pearbox_edge.data.drive import Entry

BATCH_BYTES = 8 << 20  # TUNING: written in one turn of a thread; what is fetched meanwhile waits
BATCH_FILES = 256  # TUNING: the same for small files


class Item(NamedTuple):
    """One entry and the path it gets below the destination (`/a/b`)."""

    target: str
    entry: Entry

    @property
    def size(self) -> int:
        """Bytes of its blob, as the entry tells (of a mapped one, of its map)."""
        return self.entry.blob.byte_length if self.entry.blob else 0


def place(entries: Iterable[Entry], wanted: str) -> list[Item]:
    """Give each entry its path below the destination.

    wanted: "" or "/" for all, else a file (which keeps its name) or a folder (whose content goes
    into the destination itself).
    """
    root = wanted.rstrip("/")
    items = []
    for entry in entries:
        if entry.path == root:
            items.append(Item("/" + root.rpartition("/")[2], entry))
        elif entry.path.startswith(root + "/"):
            items.append(Item(entry.path[len(root) :], entry))
    return items


def in_order_of_blocks(items: Iterable[Item]) -> list[Item]:
    """Files as their bytes lie in the blobs core, so that one long run is fetched; links first."""
    return sorted(items, key=lambda item: item.entry.blob.block_offset if item.entry.blob else -1)


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut into groups small enough to be written in one turn; a big file is a group alone."""
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += item.size
        if size >= BATCH_BYTES or len(group) >= BATCH_FILES:
            yield group
            group, size = [], 0
    if group:
        yield group

"""What it takes to make one tree of files equal another: compared here, carried out elsewhere.

Upstream: npm mirror-drive 1.14.2, its records and counts.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from pearbox_edge.data.blobs import Json


class MirrorFile(NamedTuple):
    """One file or link of either side. `size` is None if there is no content.

    With `mapped` sizes say nothing about equality: contents are compared.
    """

    path: str
    size: int | None = None
    executable: bool = False
    linkname: str | None = None
    metadata: Json = None
    mapped: bool = False


class MirrorSide(Protocol):
    """A tree of files."""

    def files(self) -> AsyncIterator[MirrorFile]:
        """All files, sorted by the UTF-8 bytes of their paths."""
        ...


class MirrorStep(Enum):
    """What happens to one path."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    EQUAL = "equal"


class MirrorRecord(NamedTuple):
    """One step; `metadata_only` changes keep the content that is there."""

    step: MirrorStep
    path: str
    bytes_removed: int = 0
    bytes_added: int = 0
    metadata_only: bool = False


@dataclass(slots=True)
class MirrorCount:
    """How many files the source has, and how many of each step came out."""

    files: int = 0
    add: int = 0
    remove: int = 0
    change: int = 0


SameContent = Callable[[MirrorFile, MirrorFile], Awaitable[bool]]
"""Compares the bytes of two files of equal size."""


async def plan_mirror(
    source: MirrorSide,
    destination: MirrorSide,
    same_content: SameContent,
    *,
    prune: bool = True,
    include_equal: bool = False,
    compare_metadata: bool = True,
    count: MirrorCount | None = None,
) -> AsyncIterator[MirrorRecord]:
    """Iterate over the steps that make `destination` equal `source`: first removals, then the rest.

    compare_metadata: False if one side keeps none. count: filled in on the way.
    """
    count = MirrorCount() if count is None else count
    if prune:
        async for theirs, ours in _pairs(source, destination):
            if theirs is None and ours is not None:
                count.remove += 1
                yield MirrorRecord(MirrorStep.REMOVE, ours.path, ours.size or 0)
    async for theirs, ours in _pairs(source, destination):
        if theirs is None:
            continue
        count.files += 1
        size = theirs.size or 0
        if ours is None:
            count.add += 1
            yield MirrorRecord(MirrorStep.ADD, theirs.path, 0, size)
            continue
        equal, same_bytes = await _compare(theirs, ours, same_content, compare_metadata)
        if not equal:
            count.change += 1
            removed, added = (0, 0) if same_bytes else (ours.size or 0, size)
            yield MirrorRecord(MirrorStep.CHANGE, theirs.path, removed, added, same_bytes)
        elif include_equal:
            yield MirrorRecord(MirrorStep.EQUAL, theirs.path)


async def _compare(
    theirs: MirrorFile, ours: MirrorFile, same_content: SameContent, compare_metadata: bool
) -> tuple[bool, bool]:
    """(equal in all, equal in content)."""
    if theirs.linkname or ours.linkname:
        return theirs.linkname == ours.linkname, False
    if theirs.size is None or ours.size is None:
        same_bytes = theirs.size is ours.size
    elif theirs.size != ours.size and not (theirs.mapped or ours.mapped):
        same_bytes = False
    else:
        same_bytes = await same_content(theirs, ours)
    equal = same_bytes and theirs.executable == ours.executable
    if equal and compare_metadata:
        equal = (theirs.metadata or None) == (ours.metadata or None)
    return equal, same_bytes


async def _pairs(
    source: MirrorSide, destination: MirrorSide
) -> AsyncIterator[tuple[MirrorFile | None, MirrorFile | None]]:
    """Both sides merged by path, None where one lacks it."""
    left, right = source.files(), destination.files()
    theirs, ours = await anext(left, None), await anext(right, None)
    while theirs is not None or ours is not None:
        before = ours is None or (theirs is not None and theirs.path.encode() < ours.path.encode())
        if before:
            yield theirs, None
            theirs = await anext(left, None)
        elif theirs is not None and ours is not None and theirs.path == ours.path:
            yield theirs, ours
            theirs, ours = await anext(left, None), await anext(right, None)
        else:
            yield None, ours
            ours = await anext(right, None)

"""The shim between a process and its disk: compiling it, steering it, and replaying its records."""

import ctypes
import os
import random
import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[1] / "faults" / "shim.c"
_HEAD = struct.Struct("<cHQQI")
_SECTOR = 512
"""Bytes that a disk writes whole or not at all."""


def compile_shim(folder: Path) -> Path:
    """Build the shared library; needs gcc."""
    library = folder / "shim.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", str(library), str(SOURCE), "-lpthread"], check=True)
    return library


def shim_environment(library: Path) -> dict[str, str]:
    """What a process must be started with, to have the shim inside."""
    return {**os.environ, "LD_PRELOAD": str(library)}


class Shim:
    """The shim inside this process."""

    def __init__(self) -> None:
        self._calls = ctypes.CDLL(None)
        self._calls.shim_count.restype = ctypes.c_long

    def watch(self, folder: Path, log: Path | None = None) -> None:
        """Record, count and fail what is done below a folder from now on."""
        self._calls.shim_watch(bytes(folder), b"" if log is None else bytes(log))

    def fail(self, at: int, error: int, *, for_good: bool = False) -> None:
        """Let the operation number `at` from now on fail (0: none), or all from it on."""
        self._calls.shim_fail(ctypes.c_long(at), error, ctypes.c_long(for_good))

    def count_reads(self) -> None:
        """Let reads count, and fail, like everything else."""
        self._calls.shim_reads(ctypes.c_long(1))

    def kill(self, at: int) -> None:
        """End this process at the operation number `at` from now on; a write is done by half."""
        self._calls.shim_kill(ctypes.c_long(at))

    def mark(self, text: str) -> None:
        """Put a line in the record."""
        data = text.encode()
        self._calls.shim_mark(data, ctypes.c_long(len(data)))

    @property
    def count(self) -> int:
        """Operations so far, since the last call of `watch`, `fail` or `kill`."""
        return int(self._calls.shim_count())


class Record(NamedTuple):
    """One thing that was done: see shim.c for kinds and numbers."""

    kind: str
    name: str
    a: int
    b: int
    data: bytes


def read_log(path: Path) -> list[Record]:
    """All records, in order."""
    log, at = path.read_bytes(), 0
    records = []
    while at < len(log):
        kind, length, a, b, size = _HEAD.unpack_from(log, at)
        at += _HEAD.size
        name = log[at : at + length].decode()
        at += length
        records.append(Record(kind.decode(), name, a, b, log[at : at + size]))
        at += size
    return records


@dataclass(eq=False)
class _File:
    """A file as it is on disk for sure, and what was done to it since it was last synced."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Record] = field(default_factory=list)

    def sync(self) -> None:
        for record in self.pending:
            _apply(self.durable, record)
        self.pending.clear()

    def after_cut(self, chance: random.Random) -> bytearray:
        """One of the ways it may look: some of what was not synced is there, some in parts."""
        found = bytearray(self.durable)
        keep = chance.choice([0.0, 0.3, 0.7, 1.0])
        for record in self.pending:
            if chance.random() >= keep:
                continue
            if record.kind == "W" and chance.random() < 0.5:
                for part in _torn(record, chance):
                    _apply(found, part)
            else:
                _apply(found, record)
        return found


class Disk:
    """Feed it records; `after_cut` is what a power cut at that moment may leave.

    Only what was synced is sure: bytes by a sync of their file, names by one of their folder. Of
    the rest any part may be there: whole, by sectors, or not; later ones without earlier ones.
    Names change in order, as journals of filesystems see to.
    """

    def __init__(self) -> None:
        self._names: dict[str, _File | None] = {}  # None: a folder
        self._durable: dict[str, _File | None] = {}
        self._changes: list[Record] = []
        self._made: dict[int, _File] = {}

    def feed(self, record: Record) -> None:
        """The next thing that was done."""
        match record.kind:
            case "M":
                return
            case "C" | "D" | "R" | "U" | "L":
                if record.kind == "C":
                    self._made[id(record)] = _File()
                self._rename(self._names, record)
                self._changes.append(record)
            case "S" if record.name in self._names and self._names[record.name] is not None:
                file = self._names[record.name]
                assert file is not None
                file.sync()
            case "S":
                # A folder. A journal commits all name changes up to the last one in it.
                inside = [c for c in self._changes if _parent(c.name) == record.name]
                if inside:
                    last = self._changes.index(inside[-1])
                    for change in self._changes[: last + 1]:
                        self._rename(self._durable, change)
                    del self._changes[: last + 1]
            case _:
                file = self._names[record.name]
                assert file is not None
                file.pending.append(record)

    def _rename(self, names: dict[str, _File | None], record: Record) -> None:
        match record.kind:
            case "C":
                names[record.name] = self._made[id(record)]
            case "D":
                names[record.name] = None
            case "U":
                names.pop(record.name, None)
            case "R":
                names[record.data.decode()] = names.pop(record.name)
            case "L":
                names[record.data.decode()] = names[record.name]

    def after_cut(self, chance: random.Random) -> dict[str, bytes | None]:
        """Files and folders (None) that may be there after a power cut now."""
        names = dict(self._durable)
        for change in self._changes[: chance.randrange(len(self._changes) + 1)]:
            self._rename(names, change)
        return {
            name: None if file is None else bytes(file.after_cut(chance))
            for name, file in names.items()
        }


def write_tree(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Make these files and folders."""
    folder.mkdir()
    for name, data in sorted(files.items()):
        path = folder / name if name else folder
        if data is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _apply(data: bytearray, record: Record) -> None:
    if record.kind == "W":
        _grow(data, record.a)
        data[record.a : record.a + len(record.data)] = record.data
    elif record.kind == "T":
        _grow(data, record.a)
        del data[record.a :]
    elif record.kind == "P":
        end = min(len(data), record.a + record.b)
        if record.a < end:
            data[record.a : end] = bytes(end - record.a)


def _grow(data: bytearray, size: int) -> None:
    if len(data) < size:
        data += bytes(size - len(data))


def _torn(record: Record, chance: random.Random) -> Iterator[Record]:
    """Some sectors of a write, in any order."""
    end = record.a + len(record.data)
    parts = []
    at = record.a
    while at < end:
        stop = min(end, at - at % _SECTOR + _SECTOR)
        if chance.random() < 0.5:
            parts.append(record._replace(a=at, data=record.data[at - record.a : stop - record.a]))
        at = stop
    chance.shuffle(parts)
    yield from parts

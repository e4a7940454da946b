"""The measurements: transfers between two fresh processes, and imports from disk."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .material import must_be_equal
from .processes import Program
from .sides import Side


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer.

    seconds: from starting the fetching program to its `done`, with everything written to disk.
    reported_seconds: by its own account, from its first connection. share_cpu_seconds: while it
    served; fetch_cpu_seconds: in its whole life.
    """

    seconds: float
    reported_seconds: float
    share_peak_rss_mib: float
    fetch_peak_rss_mib: float
    share_cpu_seconds: float
    fetch_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Import:
    """One import: from starting the program to `ready`."""

    seconds: float
    peak_rss_mib: float
    cpu_seconds: float


FEW_FILES = 100


def measure_import(side: Side, source: Path, data: Path) -> Import:
    """Import a folder into the data directory (which is kept)."""
    os.sync()
    with Program(side.importing(source, data)) as program:
        seconds, _ = program.wait("ready")
        cost = program.cost()
        program.end(stop=side.name == "ours")
    return Import(seconds, cost.peak_rss_mib, cost.cpu_seconds)


def measure_transfer(share: Side, fetch: Side, source: Path, data: Path, work: Path) -> Transfer:
    """Serve what `share` imported into `data` and fetch it with `fetch`; bytes are compared.

    Many small files stay until the end: for some seconds after thousands of files were removed,
    ext4 makes new ones twenty times slower, whoever asks.
    """
    place = Path(tempfile.mkdtemp(dir=work))
    replica, out = place / "replica", place / "out"
    os.sync()
    with Program(share.serving(source, data)) as sharer:
        _, ready = sharer.wait("ready")
        before = sharer.cost()
        with Program(fetch.fetching(ready, replica, out)) as fetcher:
            seconds, done = fetcher.wait("done")
            fetch_cost = fetcher.end()
        share_cost = sharer.cost()
        sharer.end(stop=True)
    must_be_equal(source, out)
    if size_of(source)[1] < FEW_FILES:
        shutil.rmtree(place)
    return Transfer(
        seconds=seconds,
        reported_seconds=done["seconds"] + done.get("metadataMs", 0) / 1000,
        share_peak_rss_mib=share_cost.peak_rss_mib,
        fetch_peak_rss_mib=fetch_cost.peak_rss_mib,
        share_cpu_seconds=share_cost.cpu_seconds - before.cpu_seconds,
        fetch_cpu_seconds=fetch_cost.cpu_seconds,
    )


@dataclass(frozen=True, slots=True)
class Local:
    """Work on a drive without a network, by the program's own account: milliseconds, MiB."""

    open_ms: float
    list_ms: float
    list_again_ms: float
    read_seconds: float
    list_peak_rss_mib: float
    read_peak_rss_mib: float


def measure_local(side: Side, source: Path, data: Path) -> Local:
    """List the drive and read all of it, each in a fresh process."""
    with Program(side.local("list", source, data)) as program:
        _, listed = program.wait("done")
        list_cost = program.end()
    with Program(side.local("read", source, data)) as program:
        _, read = program.wait("done")
        read_cost = program.end()
    return Local(
        open_ms=listed["openMs"],
        list_ms=listed["listMs"],
        list_again_ms=listed["listAgainMs"],
        read_seconds=read["seconds"],
        list_peak_rss_mib=list_cost.peak_rss_mib,
        read_peak_rss_mib=read_cost.peak_rss_mib,
    )


def on_disk(folder: Path) -> int:
    """Bytes that a folder takes on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


Results = Sequence[Transfer] | Sequence[Import] | Sequence[Local]


def medians(results: Results) -> dict[str, float]:
    """The median of every field."""
    names = [field.name for field in fields(results[0])]
    return {n: round(statistics.median(getattr(r, n) for r in results), 4) for n in names}


def summary(results: Sequence[Transfer] | Sequence[Import], size: int, files: int) -> Any:
    """Medians, rates, and each run for the reader who wants to see the noise."""
    middle = medians(results)
    return {
        **middle,
        "mib_per_second": round(size / (1 << 20) / middle["seconds"], 1),
        "files_per_second": round(files / middle["seconds"], 1),
        "runs": [{name: round(v, 4) for name, v in asdict(r).items()} for r in results],
    }


def ratio(numerator: float, denominator: float) -> float | None:
    """Rounded; None when there is nothing to divide by."""
    return round(numerator / denominator, 3) if denominator > 0 else None


def local_ratios(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float | None]:
    """Speeds: above 1 is faster than the reference."""
    return {
        "open_and_list_speed": ratio(
            theirs["open_ms"] + theirs["list_ms"], ours["open_ms"] + ours["list_ms"]
        ),
        "list_again_speed": ratio(theirs["list_again_ms"], ours["list_again_ms"]),
        "read_speed": ratio(theirs["read_seconds"], ours["read_seconds"]),
        "read_peak_rss": ratio(ours["read_peak_rss_mib"], theirs["read_peak_rss_mib"]),
    }


def transfer_ratios(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float | None]:
    """`speed` above 1 is faster than the reference; memory and CPU below 1 are less."""

    def cpu(result: dict[str, float]) -> float:
        return result["share_cpu_seconds"] + result["fetch_cpu_seconds"]

    return {
        "speed": ratio(theirs["seconds"], ours["seconds"]),
        "reported_speed": ratio(theirs["reported_seconds"], ours["reported_seconds"]),
        "share_peak_rss": ratio(ours["share_peak_rss_mib"], theirs["share_peak_rss_mib"]),
        "fetch_peak_rss": ratio(ours["fetch_peak_rss_mib"], theirs["fetch_peak_rss_mib"]),
        "cpu_seconds_both_ends": ratio(cpu(ours), cpu(theirs)),
    }


def size_of(folder: Path) -> tuple[int, int]:
    """(bytes, files) of a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def rotated(items: Iterable[str], turn: int) -> list[str]:
    """The items in an order that differs from turn to turn, so that none always goes first."""
    order = list(items)
    start = turn // 2 % len(order)
    order = order[start:] + order[:start]
    return order[::-1] if turn % 2 else order

"""`python -m tests.bench`: this project and the Node peers in turn on one machine, ratios as JSON.

Only loopback is used; everything is made in a temporary folder and removed. Other work on the
machine shows in the seconds: look at the ratios, the medians and the load average.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.kit.peers import install_js_peers

from .limit import measure_limit
from .material import make_big, make_empty, make_small
from .measures import (
    Import,
    Local,
    Transfer,
    local_ratios,
    measure_import,
    measure_local,
    measure_transfer,
    medians,
    on_disk,
    ratio,
    rotated,
    size_of,
    summary,
    transfer_ratios,
)
from .sides import SIDES

PAIRS = {
    "ours-ours": ("ours", "ours"),
    "js-js": ("js", "js"),
    "ours-js": ("ours", "js"),
    "js-ours": ("js", "ours"),
}
"""Who shares, who fetches."""


TIMER = 0.01
"""Seconds below which a difference of two starts of a program says nothing."""


def say(line: str) -> None:
    """Progress for the person; the result alone goes to stdout."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def imports(source: Path, work: Path, runs: int) -> dict[str, list[Import]]:
    """Import the folder with each side; the last import of each stays in work/SIDE."""
    results: dict[str, list[Import]] = {name: [] for name in SIDES}
    for turn in range(runs):
        for name in rotated(SIDES, turn):
            shutil.rmtree(work / name, ignore_errors=True)
            results[name].append(measure_import(SIDES[name], source, work / name))
            say(f"  import {name}: {results[name][-1].seconds:.2f} s")
    return results


def transfers(source: Path, work: Path, runs: int, pairs: list[str]) -> dict[str, list[Transfer]]:
    """Transfer what work/SIDE holds, for each pair."""
    results: dict[str, list[Transfer]] = {pair: [] for pair in pairs}
    for turn in range(runs):
        for pair in rotated(pairs, turn):
            share, fetch = PAIRS[pair]
            result = measure_transfer(SIDES[share], SIDES[fetch], source, work / share, work)
            results[pair].append(result)
            say(f"  transfer {pair}: {result.seconds:.2f} s")
    return results


def section(source: Path, work: Path, runs: int, pairs: list[str]) -> dict[str, Any]:
    """Everything about one folder."""
    size, files = size_of(source)
    say(f"{source.name}: {files} files, {size / (1 << 20):.0f} MiB")
    imported = imports(source, work, runs)
    fresh = {name: on_disk(work / name) for name in SIDES}
    again = [measure_import(SIDES["ours"], source, work / "ours") for _ in range(runs)]
    moved = transfers(source, work, runs, pairs)
    local: dict[str, list[Local]] = {name: [] for name in SIDES}
    for turn in range(runs):
        for name in rotated(SIDES, turn):
            local[name].append(measure_local(SIDES[name], source, work / name))
    taken = {name: on_disk(work / name) for name in SIDES}
    for name in SIDES:
        shutil.rmtree(work / name, ignore_errors=True)
    return {
        "bytes": size,
        "disk_bytes_after_import": fresh,
        "disk_bytes": taken,
        "local": {name: medians(results) for name, results in local.items()},
        "import": {name: summary(results, size, files) for name, results in imported.items()},
        "import_again": {"ours": summary(again, size, files)},
        "transfer": {pair: summary(results, size, files) for pair, results in moved.items()},
    }


def ratios(result: dict[str, Any], startup: dict[str, Any]) -> dict[str, Any]:
    """Ours against the reference; imports without the time that starting the program takes."""
    transfer = result["transfer"]
    found = {
        f"{pair} against js-js": transfer_ratios(transfer[pair], transfer["js-js"])
        for pair in transfer
        if pair != "js-js" and "js-js" in transfer
    }
    net = {
        name: max(TIMER, result["import"][name]["seconds"] - startup[name]["seconds"])
        for name in SIDES
    }
    again = max(TIMER, result["import_again"]["ours"]["seconds"] - startup["ours"]["seconds"])
    peaks = {name: result["import"][name]["peak_rss_mib"] for name in SIDES}
    disk, fresh = result["disk_bytes"], result["disk_bytes_after_import"]
    return {
        **found,
        "local": local_ratios(result["local"]["ours"], result["local"]["js"]),
        "disk": {
            "against_content": ratio(disk["ours"], result["bytes"]),
            "against_js": ratio(disk["ours"], disk["js"]),
            "against_js_after_import": ratio(fresh["ours"], fresh["js"]),
        },
        "import": {
            "speed": ratio(net["js"], net["ours"]),
            "peak_rss": ratio(peaks["ours"], peaks["js"]),
            "second_against_first": ratio(again, net["ours"]),
        },
    }


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size-mib", type=int, default=256, help="the big file")
    parser.add_argument("--files", type=int, default=2000, help="number of small files")
    parser.add_argument("--file-bytes", type=int, default=4096)
    parser.add_argument("--pairs", default=",".join(PAIRS), help="who shares - who fetches")
    parser.add_argument("--only", choices=("big", "small"), help="only one of the two folders")
    parser.add_argument("--work", type=Path, help="make the temporary folder in here")
    return parser.parse_args()


def main() -> int:
    """Measure and print one JSON object."""
    args = parse()
    pairs = args.pairs.split(",")
    if unknown := set(pairs) - set(PAIRS):
        say(f"unknown pairs: {', '.join(sorted(unknown))}; know {', '.join(PAIRS)}")
        return 2
    install_js_peers()
    result: dict[str, Any] = {
        "runs": args.runs,
        "cpus": os.cpu_count(),
        "load_average_before": os.getloadavg(),
    }
    with tempfile.TemporaryDirectory(prefix="pearbox-bench-", dir=args.work) as name:
        work = Path(name)
        # As an installed program: its byte code is there from the second start on.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(work / "bytecode")
        say("starting the programs")
        started = imports(make_empty(work / "empty"), work, args.runs)
        startup = {side: summary(found, 0, 0) for side, found in started.items()}
        result["startup"] = startup
        result["limit"] = measure_limit(work / "limit", args.size_mib)
        if args.only != "small":
            big = make_big(work / "big", args.size_mib)
            result["big"] = section(big, work, args.runs, pairs)
            shutil.rmtree(big)
        if args.only != "big":
            small = make_small(work / "small", args.files, args.file_bytes)
            result["small"] = section(small, work, args.runs, pairs)
    measured = [part for part in ("big", "small") if part in result]
    result["load_average_after"] = os.getloadavg()
    result["ratios"] = {part: ratios(result[part], startup) for part in measured}
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

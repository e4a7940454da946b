"""Times local work on a drive, one task a process: the counterpart of the Node peers' local.mjs.

    python -m tests.bench.local --data DIR --source FOLDER --task read|list|copy

Prints one JSON line, `done`.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from pearbox_edge.app import open_node
from pearbox_edge.data.drive import Hyperdrive

WHOLE = 1 << 16
"""Files up to here are read at once, as local.mjs does."""


async def read(drive: Hyperdrive) -> dict[str, float]:
    """Every byte of every file."""
    started = time.perf_counter()
    files = size = 0
    async for entry in drive.list():
        if entry.blob is None:
            continue
        files += 1
        if entry.blob.byte_length <= WHOLE:
            size += len(await drive.get(entry) or b"")
        else:
            async for parts in drive.read_runs(entry):
                size += sum(len(part) for part in parts)
    return {"files": files, "bytes": size, "seconds": time.perf_counter() - started}


async def listing(drive: Hyperdrive) -> dict[str, float]:
    """All entries, twice, and the first page as a person sees it."""
    started = time.perf_counter()
    first = await drive.page(limit=100)
    paged = time.perf_counter()
    files = len([entry async for entry in drive.list()])
    listed = time.perf_counter()
    again = len([entry async for entry in drive.list()])
    return {
        "files": files,
        "page": len(first),
        "pageMs": (paged - started) * 1e3,
        "listMs": (listed - started) * 1e3,
        "listAgainMs": (time.perf_counter() - listed) * 1e3,
        "again": again,
    }


async def copy(drive: Hyperdrive) -> dict[str, float]:
    """A copy of the first file, by reference; counts the blocks that it wrote."""
    (entry,) = await drive.page(limit=1)
    blobs = await drive.get_blobs()
    before = blobs.core.length
    started = time.perf_counter()
    await drive.put_entry("/copied.bin", executable=entry.executable, blob=entry.blob)
    return {"blocks": blobs.core.length - before, "seconds": time.perf_counter() - started}


TASKS = {"read": read, "list": listing, "copy": copy}


async def run(arguments: argparse.Namespace) -> None:
    """Open the drive that `pearbox-edge share SOURCE` made, and do one task on it."""
    started = time.perf_counter()
    async with open_node(arguments.data, lambda _: None, lan=False) as node:
        drive = await node.shared_drive([str(arguments.source)], None)
        opened = (time.perf_counter() - started) * 1e3
        done = await TASKS[arguments.task](drive)
        await drive.close()
    sys.stdout.write(json.dumps({"event": "done", "openMs": opened, **done}) + "\n")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()

"""What no implementation on this machine can beat: hashing, ciphers and the disk, each alone.

A fetch must decrypt, hash and store every byte, and write it to its file; a sharer must read and
encrypt it. Measured in one thread, in 64 KiB blocks, with the libraries that the project uses.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from pearbox_edge.crypto import SEAL_SIZE, Opener, Sealer, leaf_hash

BLOCK = 1 << 16
ROUND = 64
"""Blocks between two syncs: 4 MiB, as a commit has."""


def measure_limit(folder: Path, mib: int) -> dict[str, float]:
    """Seconds that `mib` MiB take in each step, and the rate of a fetch that did them in turn."""
    folder.mkdir()
    sealer, opener = Sealer(bytes(32), bytes(24)), Opener(bytes(32), bytes(24))
    frames = [bytearray(BLOCK + SEAL_SIZE) for _ in range(ROUND)]
    block = os.urandom(BLOCK)
    seal = unseal = 0.0
    for _ in range(mib * (1 << 20) // BLOCK // ROUND):
        started = time.perf_counter()
        for frame in frames:
            sealer.seal(memoryview(frame))
        sealed = time.perf_counter()
        for frame in frames:
            opener.open(memoryview(frame))
        seal += sealed - started
        unseal += time.perf_counter() - sealed
    count = mib * (1 << 20) // BLOCK
    steps = {
        "seal": seal,
        "open": unseal,
        "hash": _timed(lambda: [leaf_hash(block) for _ in range(count)]),
        "store": _timed(lambda: _store(folder / "stored", block, count)),
        "copy": _timed(lambda: _copy(folder / "stored", folder / "copied")),
    }
    fetch = sum(seconds for name, seconds in steps.items() if name != "seal")
    return {
        **{f"{name}_seconds": round(seconds, 4) for name, seconds in steps.items()},
        "fetch_seconds": round(fetch, 4),
        "fetch_mib_per_second": round(mib / fetch, 1),
    }


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _store(path: Path, block: bytes, count: int) -> None:
    with path.open("wb", buffering=0) as file:
        for number in range(count):
            file.write(block)
            if number % ROUND == ROUND - 1:
                os.fdatasync(file.fileno())


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as from_file, target.open("wb") as to_file:
        while os.copy_file_range(from_file.fileno(), to_file.fileno(), 8 << 20):
            pass

"""Processes that play the scene with the shim inside. Each prints what the tests ask for.

record FOLDER LOG SEED ROUNDS               writes the shim's record, with marks
rebuild FOLDER LOG SEED ROUNDS              the same, and rebuilds the database at the end
fail FOLDER SEED ROUNDS FIRST STEP ERROR WAY
                                            fails each STEPth operation from FIRST on, in turn;
                                            WAY: once, for-good, or reads (once, reads count)
kill FOLDER SEED KILLS                      ends a child process of its own so many times
"""

import asyncio
import os
import random
import select
import shutil
import signal
import sys
import time
from pathlib import Path

from pearbox_edge.data.storage import SqliteStorage
from pearbox_edge.errors import PearboxError, StorageError, UnavailableError
from tests.faults.scene import Journal, look, run_scene
from tests.kit.shim import Shim

FRESH_EVERY = 25
"""Kills until a new directory is begun: checking an old one takes longer and longer."""

MAX_OPERATIONS = 300
MAX_SECONDS = 0.3


def record(folder: Path, log: Path, seed: str, rounds: int, *, rebuild: bool) -> None:
    shim = Shim()
    shim.watch(folder, log)
    run_scene(folder, seed, rounds, shim.mark)
    if rebuild:
        asyncio.run(SqliteStorage.rebuild(folder))


# --- failing ---


def fail(folder: Path, seed: str, rounds: int, first: int, step: int, error: int, way: str) -> None:
    """One line at the end: how many operations failed in turn, of how many."""
    shim = Shim()
    if way == "reads":
        shim.count_reads()
    at = first
    failed = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        journal = Journal()
        shim.watch(folder)
        shim.fail(at, error, for_good=way == "for-good")
        caught: BaseException | None = None
        try:
            run_scene(folder, seed, rounds, journal.read)
        except BaseException as problem:  # noqa: BLE001 (looked at below)
            caught = problem
        reached = shim.count
        shim.fail(0, 0)
        if reached < at:
            assert caught is None, caught
            break
        failed += 1
        # One read that fails under replication costs an answer: then it is said to try again.
        clear = (StorageError, UnavailableError) if way == "reads" else StorageError
        for cause in leaves(caught):
            if not (isinstance(cause, clear) and len(str(cause)) > 20):
                raise AssertionError(f"operation {at}: no clear error") from cause
        journal.compare(asyncio.run(look(folder)))
        at += step
    print(failed, reached)  # noqa: T201


def leaves(error: BaseException | None) -> list[BaseException]:
    """The errors in a group, or the one."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [] if error is None else [error]


# --- killing ---


def kill(folder: Path, seed: str, kills: int) -> None:
    """One line at the end: how many were killed, and how much was acknowledged till then."""
    chance = random.Random(seed)
    journal, acknowledged, killed = Journal(), 0, 0
    for number in range(kills):
        if number % FRESH_EVERY == 0:
            shutil.rmtree(folder, ignore_errors=True)
            journal = Journal()
        killed += kill_one(folder, f"{seed} {number}", chance, journal)
        acknowledged += journal.acknowledged
        found = asyncio.run(look(folder))
        try:
            journal.compare(found)
        except AssertionError as error:
            raise AssertionError(f"kill {number} of {seed!r}") from error
        journal.restart(found)
    print(killed, acknowledged)  # noqa: T201


def kill_one(folder: Path, seed: str, chance: random.Random, journal: Journal) -> bool:
    """Half are killed at an operation, in the middle of a write if it is one; half at a moment."""
    at = chance.randrange(1, MAX_OPERATIONS) if chance.random() < 0.5 else 0
    ends, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ends)
        play(folder, seed, at, mouth)
    os.close(mouth)
    heard = b""
    over = time.monotonic() + (chance.uniform(0, MAX_SECONDS) if not at else 60)
    try:
        while (left := over - time.monotonic()) > 0:
            if select.select([ends], [], [], left)[0]:
                data = os.read(ends, 1 << 16)
                if not data:
                    break
                heard += data
        os.kill(child, signal.SIGKILL)
        while data := os.read(ends, 1 << 16):
            heard += data
    finally:
        _, status = os.waitpid(child, 0)
        os.close(ends)
    assert os.WIFSIGNALED(status), f"{seed}: the child ended by itself, with {status}"
    for line in heard.decode().splitlines(keepends=True):
        if line.endswith("\n"):
            journal.read(line[:-1])
    return True


def play(folder: Path, seed: str, at: int, mouth: int) -> None:
    """In the child: go on until the end comes."""

    def say(line: str) -> None:
        os.write(mouth, f"{line}\n".encode())

    try:
        shim = Shim()
        shim.watch(folder)
        shim.kill(at)
        run_scene(folder, seed, 100_000, say)
    except PearboxError as error:
        sys.stderr.write(f"{error!r}\n")
    finally:
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    verb, place, *rest = sys.argv[1:]
    match verb, rest:
        case "record" | "rebuild", [log_, seed_, rounds_]:
            record(Path(place), Path(log_), seed_, int(rounds_), rebuild=verb == "rebuild")
        case "fail", [seed_, rounds_, first_, step_, error_, way_]:
            numbers = (int(rounds_), int(first_), int(step_), int(error_))
            fail(Path(place), seed_, *numbers, way_)
        case "kill", [seed_, kills_]:
            kill(Path(place), seed_, int(kills_))
        case _:
            sys.exit(2)

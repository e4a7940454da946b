"""The power goes at any moment: what was not synced is lost, torn or there without what was before.

All that a process does to its files, SQLite's too, is recorded; directories are made of prefixes of
the record, as a disk may show them after a power cut then.
"""

import asyncio
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pearbox_edge.data.storage import SqliteStorage
from pearbox_edge.errors import StorageError
from tests.faults.scene import Journal, look
from tests.kit.shim import Disk, Record, read_log, shim_environment, write_tree

pytestmark = [pytest.mark.faults, pytest.mark.timeout(60)]

ROOT = Path(__file__).parents[2]
ROUNDS = 10
CUTS = 100
EARLY = 30
"""So many of the cuts are among the first operations, where everything is being made."""


def record(folder: Path, library: Path, seed: str, verb: str = "record") -> Path:
    """Play the scene; the record of it."""
    log = folder / "log"
    runner = [sys.executable, "-m", "tests.faults.scene_runner"]
    subprocess.run(
        [*runner, verb, str(folder / "data"), str(log), seed, str(ROUNDS)],
        env=shim_environment(library),
        cwd=ROOT,
        check=True,
        timeout=30,
    )
    return log


def cut_often(tmp_path: Path, records: list[Record], seed: str) -> int:
    """Cut the power at many moments and compare; how much was acknowledged before them, in all."""
    chance = random.Random(seed)
    cuts = {*chance.sample(range(150), EARLY), *chance.sample(range(len(records)), CUTS - EARLY)}
    disk, journal = Disk(), Journal()
    promised = 0
    for number, step in enumerate(records):
        disk.feed(step)
        if step.kind == "M":
            journal.read(step.data.decode())
        if number in cuts:
            place = tmp_path / f"cut-{number}"
            write_tree(place, disk.after_cut(chance))
            found = asyncio.run(look(place))
            try:
                journal.compare(found)
            except AssertionError as error:
                raise AssertionError(f"cut after operation {number}") from error
            promised += len(journal.done)
            shutil.rmtree(place)
    return promised


@pytest.mark.parametrize("seed", ["one", "two", "three", "four"])
def test_nothing_acknowledged_is_lost_by_a_power_cut(
    tmp_path: Path, shim_library: Path, seed: str
) -> None:
    records = read_log(record(tmp_path, shim_library, seed))
    assert len(records) > 300
    assert sum(step.kind == "W" and step.name.endswith("-wal") for step in records) > 100
    assert {step.kind for step in records} >= set("CDWSTPRM")
    assert cut_often(tmp_path, records, seed) > CUTS


@pytest.mark.parametrize("deaf", ["cores/", "pearbox.db-wal"])
def test_a_disk_that_does_not_sync_is_noticed(
    tmp_path: Path, shim_library: Path, deaf: str
) -> None:
    records = read_log(record(tmp_path, shim_library, "one"))
    unsynced = [s for s in records if not (s.kind == "S" and s.name.startswith(deaf))]
    with pytest.raises((AssertionError, StorageError)):
        cut_often(tmp_path, unsynced, "one")


def test_a_rebuild_is_whole_or_goes_on_after_a_power_cut(
    tmp_path: Path, shim_library: Path
) -> None:
    records = read_log(record(tmp_path, shim_library, "one", "rebuild"))
    begin = next(at for at, step in enumerate(records) if step.name.startswith("damaged-1"))
    chance = random.Random("rebuild")
    disk, journal = Disk(), Journal()
    interrupted = 0
    for number, step in enumerate(records):
        disk.feed(step)
        if step.kind == "M":
            journal.read(step.data.decode())
        if number < begin:
            continue
        for again in range(3):
            place = tmp_path / f"cut-{number}-{again}"
            write_tree(place, disk.after_cut(chance))
            try:
                found = asyncio.run(look(place))
            except StorageError as error:
                assert "drive rebuild" in str(error)  # noqa: PT017 (it need not be raised)
                interrupted += 1
                asyncio.run(SqliteStorage.rebuild(place))
                found = asyncio.run(look(place))
            journal.compare(found)
    assert len(records) - begin > 15
    assert interrupted

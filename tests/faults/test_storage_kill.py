"""SIGKILL at any moment: the directory opens again, and all that was acknowledged is there."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pearbox_edge.data.storage import Head, SqliteStorage
from tests.faults.storage_writer import CORES, Log, check

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

KILLS = 20
ROOT = Path(__file__).parents[2]


def write_until_killed(
    folder: Path, seed: str, delay: float, *, while_opening: bool = False
) -> dict[int, tuple[int, Head]]:
    """Run the writer, kill it `delay` seconds after its first step; what it acknowledged last.

    while_opening: count from the start of the process.
    """
    command = [sys.executable, "-m", "tests.faults.storage_writer", str(folder), seed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        first = b"" if while_opening else process.stdout.readline()
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        lines = [first, *process.stdout.read().splitlines(keepends=True)]
    assert process.returncode == -9, "the writer ended by itself"
    acknowledged: dict[int, tuple[int, Head]] = {}
    for line in lines:
        if line.endswith(b"\n"):
            number, count, length, byte_length, fork = map(int, line.split())
            acknowledged[number] = (count, Head(length, byte_length, fork))
    return acknowledged


def heads(log: Log, seed: str, upto: int) -> list[Head]:
    """The heads that the writer's steps lead to, from where it began."""
    chance = random.Random(f"{seed} {log.number}")
    found = [log.head]
    for _ in range(upto):
        log.step(chance)
        found.append(log.head)
    return found


async def read_back(folder: Path) -> list[Log]:
    async with await SqliteStorage.open(folder) as storage:
        return [await check(storage, number) for number in range(CORES)]


def test_what_was_acknowledged_outlives_any_kill(tmp_path: Path) -> None:
    chance = random.Random("kill")
    before = [Log(number) for number in range(CORES)]
    steps = 0
    for kill in range(KILLS):
        seed = f"run {kill}"
        delay = chance.uniform(0, 0.25)
        acknowledged = write_until_killed(tmp_path, seed, delay, while_opening=kill % 4 == 3)
        after = asyncio.run(read_back(tmp_path))
        for number, log in enumerate(after):
            count, head = acknowledged.get(number, (0, before[number].head))
            # Steps given but not acknowledged may be there or not, but only in order.
            expected = heads(before[number], seed, count + 2)
            assert expected[count] == head
            assert log.head in expected[count:]
            steps += count
        before = after
    assert steps > 10 * KILLS


def test_the_check_itself_notices_a_changed_block(tmp_path: Path) -> None:
    write_until_killed(tmp_path, "changed", 0.2)
    logs = asyncio.run(read_back(tmp_path))
    log = next(log for log in logs if log.held)
    index = max(log.held)
    offset = sum(log.sizes[:index])
    name = (bytes([log.number]) * 32).hex()
    path = tmp_path / "cores" / name[:2] / name
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(AssertionError, match="differs"):
        asyncio.run(read_back(tmp_path))

"""`kill -9` of either side at any moment, then the same again: every byte right, none twice."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.kit.copying import Side, fetch, share, snapshot, write
from tests.kit.proxy import Proxy

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]

MIB = 1 << 20
SIZE = 64 * MIB
HELD = 40 * MIB
"""Bytes that come through before the line stalls."""

UNDER_WAY = 20 * MIB
"""What may be lost by a kill: blocks that have arrived but are not on disk yet, and the tree."""


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    write(folder / "a.bin", os.urandom(SIZE // 2))
    write(folder / "sub" / "b.bin", os.urandom(SIZE // 2))
    return folder


@pytest.mark.parametrize("side", ["ours", "js"])
async def test_a_killed_fetch_goes_on_where_it_was(side: Side, tmp_path: Path) -> None:
    folder, out, data = folder_of(tmp_path), tmp_path / "out", tmp_path / "fetch"
    async with share(side, folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready", timeout=60)
        async with Proxy(ready["tcp"], hold_after=HELD) as line:
            async with fetch("ours", ready, out, data, peer=line.address) as fetcher:
                await asyncio.wait_for(line.held.wait(), 30)
                await asyncio.sleep(1)  # the line is idle: what has arrived reaches the disk
                await fetcher.kill()
            assert not [p for p in out.rglob("*.bin") if p.stat().st_size != SIZE // 2], "partial"
            before = line.passed
            line.release()
            async with fetch("ours", ready, out, data, peer=line.address) as fetcher:
                done = await fetcher.wait_exit()
            again = line.passed - before
    assert snapshot(out) == snapshot(folder)
    # A Node sharer answers a whole window in one message, which counts only when it is whole.
    cut = (2 if side == "ours" else 8) * MIB
    assert done["fetched_bytes"] <= SIZE - before + cut
    assert again <= SIZE - before + cut


async def test_a_fetch_killed_in_full_flight_loses_little(tmp_path: Path) -> None:
    folder, out, data = folder_of(tmp_path), tmp_path / "out", tmp_path / "fetch"
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready", timeout=60)
        async with Proxy(ready["tcp"], hold_after=HELD) as line:
            async with fetch("ours", ready, out, data, peer=line.address) as fetcher:
                await asyncio.wait_for(line.held.wait(), 30)
                await fetcher.kill()
            before = line.passed
            line.release()
            async with fetch("ours", ready, out, data, peer=line.address) as fetcher:
                done = await fetcher.wait_exit()
    assert snapshot(out) == snapshot(folder)
    assert done["fetched_bytes"] <= SIZE - before + UNDER_WAY


async def test_a_finished_fetch_fetches_nothing_again(tmp_path: Path) -> None:
    folder, out, data = folder_of(tmp_path), tmp_path / "out", tmp_path / "fetch"
    async with share("js", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready", timeout=60)
        counts = []
        for _ in range(2):
            async with fetch("ours", ready, out, data) as fetcher:
                counts.append((await fetcher.wait_exit())["fetched_bytes"])
    assert counts[0] >= SIZE
    assert counts[1] == 0


@pytest.mark.parametrize("side", ["ours", "js"])
async def test_a_fetch_outlives_a_killed_sharer(side: Side, tmp_path: Path) -> None:
    folder, out, served = folder_of(tmp_path), tmp_path / "out", tmp_path / "share"
    async with Proxy("", hold_after=HELD) as line, share(side, folder, served) as sharer:
        ready = await sharer.wait("ready", timeout=60)
        line.target = ready["tcp"]
        async with fetch("ours", ready, out, tmp_path / "fetch", peer=line.address) as fetcher:
            await asyncio.wait_for(line.held.wait(), 30)
            await sharer.kill()
            await line.cut()
            line.release()
            async with share(side, folder, served) as again:
                line.target = (await again.wait("ready", timeout=60))["tcp"]
                done = await fetcher.wait_exit()
    assert snapshot(out) == snapshot(folder)
    assert done["fetched_bytes"] <= SIZE + UNDER_WAY
    assert line.passed <= SIZE + UNDER_WAY


async def test_a_killed_import_goes_on_and_keeps_the_key(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for number in range(500):
        write(folder / "small" / f"{number}.txt", f"{number}")
    keys = set()
    for pause in (0.6, 0.8, 1.0, 1.3):
        async with share("ours", folder, tmp_path / "share") as sharer:
            await asyncio.sleep(pause)
            await sharer.kill()
            keys |= {event["key"] for event in sharer.events if event["event"] == "ready"}
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready", timeout=60)
        async with fetch("js", ready, tmp_path / "out", tmp_path / "fetch") as fetcher:
            await fetcher.wait_exit()
    assert keys <= {ready["key"]}
    assert snapshot(tmp_path / "out") == snapshot(folder)


async def test_a_node_peer_goes_on_with_our_sharer_after_a_kill(tmp_path: Path) -> None:
    folder, out, data = folder_of(tmp_path), tmp_path / "out", tmp_path / "fetch"
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready", timeout=60)
        async with (
            Proxy(ready["tcp"], hold_after=HELD) as line,
            fetch("js", ready, out, data, peer=line.address) as fetcher,
        ):
            await asyncio.wait_for(line.held.wait(), 30)
            await sharer.kill()
            await fetcher.stop()
    async with share("ours", folder, tmp_path / "share") as sharer:
        again = await sharer.wait("ready", timeout=60)
        assert again["key"] == ready["key"]
        async with fetch("js", again, out, data) as fetcher:
            await fetcher.wait_exit()
    assert snapshot(out) == snapshot(folder)

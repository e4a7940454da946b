"""Three hosts on a switch, nothing else: no route, no DNS, no right clock. Copies still arrive.

Each host has its own wrong wall clock (decades apart) and its own uptime (a time namespace).
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.copying import snapshot, write
from tests.kit.peers import REPOSITORY, Event, OurPeer, Peer
from tests.lab.netlab import Host, Lan, Link

pytestmark = [pytest.mark.lab, pytest.mark.timeout(90)]

FOUND_SECONDS = 3.0
"""From starting `get` to the connection."""

CLOCKS = {
    # host: seconds that its wall clock is wrong, seconds that it claims to be up longer
    "box": (-50 * 365 * 86400, 10),
    "laptop": (40 * 365 * 86400, 5_000_000),
    "phone": (-3 * 86400, 900),
    "late": (12 * 3600, 77),
}
WRONG_CLOCK = REPOSITORY / "tests" / "lab" / "wrong_clock"


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan(["box", "laptop", "phone"]) as lab:
        yield lab


def ours(host: Host, *args: str | Path) -> Peer:
    """Our command on a host, with its clocks."""
    wall, uptime = CLOCKS[host.name]
    times = ["--monotonic", str(uptime), "--boottime", str(uptime)]
    return OurPeer(
        *args,
        prefix=host.command(["unshare", "--time", *times, "--"]),
        env={"PYTHONPATH": str(WRONG_CLOCK), "WRONG_CLOCK_SECONDS": str(wall)},
    )


def share(host: Host, folder: Path, work: Path) -> Peer:
    return ours(host, "share", folder, "--json", "--data", work / f"data-{host.name}")


def get(host: Host, ready: Event, work: Path, *args: str) -> Peer:
    """Fetch by the link alone: nobody says where the sharer is."""
    out, data = work / f"out-{host.name}", work / f"data-{host.name}"
    return ours(host, "get", ready["link"], out, "--json", "--data", data, *args)


async def found(peer: Peer) -> float:
    """Seconds until the fetching side is connected."""
    start = time.monotonic()
    await peer.wait("peer", state="open", timeout=FOUND_SECONDS + 5)
    return time.monotonic() - start


def until_sent(link: Link, size: int) -> None:
    """Wait until the host has sent so many bytes."""
    end = time.monotonic() + 30
    while link.traffic()["up_bytes"] < size:
        assert time.monotonic() < end, "the transfer is stuck"
        time.sleep(0.05)


async def test_the_clocks_of_the_hosts_are_wrong(lan: Lan) -> None:
    code = "import time; print(time.time(), time.monotonic())"
    for host in lan.hosts:
        wall, uptime = CLOCKS[host.name]
        told = host.run(
            [
                *("unshare", "--time", "--monotonic", str(uptime), "--"),
                *("env", f"PYTHONPATH={WRONG_CLOCK}", f"WRONG_CLOCK_SECONDS={wall}"),
                *(sys.executable, "-c", code),
            ]
        ).stdout.split()
        assert abs(float(told[0]) - wall - time.time()) < 60
        assert abs(float(told[1]) - uptime - time.monotonic()) < 60


async def test_two_hosts_find_the_sharer_by_its_link_alone(lan: Lan, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "film.bin", os.urandom(20 << 20))
    write(folder / "letters" / "Grüße.txt", "dear all")
    async with share(lan["box"], folder, tmp_path) as sharer:
        ready = await sharer.wait("ready", timeout=30)
        for name in ("laptop", "phone"):
            async with get(lan[name], ready, tmp_path) as fetcher:
                assert await found(fetcher) < FOUND_SECONDS
                await fetcher.wait_exit()
            assert snapshot(tmp_path / f"out-{name}") == snapshot(folder)
        assert await sharer.stop() == 0


async def test_a_late_comer_finds_the_sharer(lan: Lan, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "a")
    async with share(lan["box"], folder, tmp_path) as sharer:
        ready = await sharer.wait("ready", timeout=30)
        await asyncio.sleep(2)  # its announcements are over
        async with get(lan.add("late"), ready, tmp_path) as fetcher:
            assert await found(fetcher) < FOUND_SECONDS
            await fetcher.wait_exit()
    assert snapshot(tmp_path / "out-late") == snapshot(folder)


async def test_who_waits_finds_a_sharer_that_comes_late(lan: Lan, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "a")
    async with share(lan["box"], folder, tmp_path) as sharer:
        ready = await sharer.wait("ready", timeout=30)
    async with get(lan["phone"], ready, tmp_path) as fetcher:
        await asyncio.sleep(2)
        async with share(lan["box"], folder, tmp_path) as sharer:
            await sharer.wait("ready", timeout=30)
            assert await found(fetcher) < FOUND_SECONDS
            await fetcher.wait_exit()
    assert snapshot(tmp_path / "out-phone") == snapshot(folder)


@pytest.mark.parametrize("silent", [False, True], ids=["unplugged", "silent"])
async def test_a_cut_link_in_mid_transfer_is_survived(
    lan: Lan, tmp_path: Path, silent: bool
) -> None:
    size = 24 << 20
    folder, link = tmp_path / "in", lan["box"].link
    write(folder / "film.bin", os.urandom(size))
    async with share(lan["box"], folder, tmp_path) as sharer:
        ready = await sharer.wait("ready", timeout=30)
        link.impair(rate_mbit=50, direction="up")
        async with get(lan["laptop"], ready, tmp_path) as fetcher:
            await found(fetcher)
            before = link.traffic()["up_bytes"]
            await asyncio.to_thread(until_sent, link, before + size // 3)
            link.cut(silent=silent)
            await asyncio.sleep(5)
            link.restore()
            done = await fetcher.wait_exit(timeout=45)
        sent = link.traffic()["up_bytes"] - before
    assert snapshot(tmp_path / "out-laptop") == snapshot(folder)
    assert done["fetched_bytes"] < size * 1.25, "it went on where it was"
    assert sent < size * 1.4


async def test_changes_cross_the_lan(lan: Lan, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out-phone"
    write(folder / "a.txt", "a")
    async with share(lan["box"], folder, tmp_path) as sharer:
        ready = await sharer.wait("ready", timeout=30)
        async with get(lan["phone"], ready, tmp_path, "--watch") as mirror:
            await mirror.wait("done")
            write(folder / "b.txt", "b")
            while not (out / "b.txt").exists():
                await mirror.wait("version", timeout=15)
            assert (out / "b.txt").read_text() == "b"

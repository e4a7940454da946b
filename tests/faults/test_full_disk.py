"""A disk that is full: one clear line, nothing partial, and all is well once there is room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.copying import fetch, numbered, share, snapshot, write

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(90),
    pytest.mark.usefixtures("js_peers"),
]

MIB = 1 << 20


def mount(folder: Path, *options: str) -> None:
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)],
        check=True,
        timeout=20,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=12m")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


async def test_a_fetch_into_a_full_disk_fails_clean_and_finishes_with_room(
    small_disk: Path, tmp_path: Path
) -> None:
    folder, out, data = tmp_path / "in", small_disk / "out", small_disk / "data"
    write(folder / "a.bin", numbered(20 * MIB))
    write(folder / "b.txt", "b")
    async with share("js", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        async with fetch("ours", ready, out, data) as fetcher:
            last = await fetcher.wait_exit(status=1)
        assert last["event"] == "error"
        assert len(fetcher.stderr.strip().splitlines()) == 1
        assert not (out / "a.bin").exists(), "nothing partial is shown as done"
        mount(small_disk, "remount", "size=80m")
        async with fetch("ours", ready, out, data) as fetcher:
            await fetcher.wait_exit()
    assert snapshot(out) == snapshot(folder)


async def test_an_import_into_a_full_disk_fails_clean_and_finishes_with_room(
    small_disk: Path, tmp_path: Path
) -> None:
    folder, data = tmp_path / "in", small_disk / "data"
    write(folder / "a.bin", numbered(20 * MIB))
    async with share("ours", folder, data) as sharer:
        last = await sharer.wait_exit(status=1)
    assert last["event"] == "error"
    assert len(sharer.stderr.strip().splitlines()) == 1
    mount(small_disk, "remount", "size=80m")
    async with share("ours", folder, data) as sharer:
        ready = await sharer.wait("ready")
        async with fetch("js", ready, tmp_path / "out", tmp_path / "fetch") as fetcher:
            await fetcher.wait_exit()
    assert snapshot(tmp_path / "out") == snapshot(folder)


async def test_a_second_process_on_one_data_directory_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "a")
    async with share("ours", folder, tmp_path / "share") as sharer:
        await sharer.wait("ready")
        async with share("ours", folder, tmp_path / "share") as second:
            await second.wait_exit(status=1)
        assert len(second.stderr.strip().splitlines()) == 1
        assert await sharer.stop() == 0

"""A folder crosses TCP whole, between our command and the Node peers, either way."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.copying import PAIRS, Side, copy, fetch, numbered, share, snapshot, write
from tests.kit.peers import JsPeer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("js_peers"),
]

BLOCK = 65536
"""Bytes of a block of a blob."""


def one_file(size: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write(folder / "file.bin", numbered(size))

    return make


def deep_paths(folder: Path) -> None:
    deep = folder
    for level in range(40):
        deep = deep / f"level-{level:02}-of-forty"
        write(deep / "here.txt", f"{level}")


def unicode_names(folder: Path) -> None:
    names = [
        "Grüße aus Köln.txt",
        "日本語/写真.jpg",
        "с любовью.txt",  # noqa: RUF001 (Cyrillic on purpose)
        "family 👨‍👩‍👧 & friends.txt",
    ]
    for name in [*names, "100% #1?.txt", " leading and trailing ", "quote\"'`$(x).txt", "a\nb.txt"]:
        write(folder / name, name)
    write(folder / unicodedata.normalize("NFD", "Café.txt"), "decomposed")
    write(folder / unicodedata.normalize("NFC", "Café.txt"), "composed")


def symlinks(folder: Path) -> None:
    write(folder / "docs" / "letter.txt", "dear all")
    (folder / "letter.txt").symlink_to("docs/letter.txt")
    (folder / "docs" / "up.txt").symlink_to("../letter.txt")
    (folder / "dangling").symlink_to("nowhere.txt")
    (folder / "papers").symlink_to("docs")


def executables(folder: Path) -> None:
    write(folder / "run.sh", "#!/bin/sh\necho hello\n", executable=True)
    write(folder / "read.txt", "hello")
    write(folder / "big-tool", numbered(3 * BLOCK + 5), executable=True)


def hidden(folder: Path) -> None:
    write(folder / ".hidden", "1")
    write(folder / ".config" / "deep" / "settings", "2")


CASES = {
    "an empty file": one_file(0),
    "one byte": one_file(1),
    "a block less one": one_file(BLOCK - 1),
    "a block": one_file(BLOCK),
    "a block and one": one_file(BLOCK + 1),
    "some megabytes": one_file((5 << 20) + 4321),
    "deep paths": deep_paths,
    "Unicode names": unicode_names,
    "symlinks": symlinks,
    "executables": executables,
    "hidden files": hidden,
}


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("case", CASES)
async def test_a_copy_is_equal(case: str, pair: tuple[Side, Side], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    CASES[case](folder)
    out = await copy(pair, folder, tmp_path)
    assert snapshot(out) == snapshot(folder)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_a_file_of_300_mib_arrives(pair: tuple[Side, Side], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "film.bin", os.urandom(300 << 20))
    out = await copy(pair, folder, tmp_path)
    assert snapshot(out) == snapshot(folder)


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
async def test_two_thousand_small_files_arrive(pair: tuple[Side, Side], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(2000):
        write(folder / f"{number % 20:02}" / f"{number:04}.bin", numbered(4096, str(number)))
    out = await copy(pair, folder, tmp_path)
    assert snapshot(out) == snapshot(folder)


async def test_a_single_file_can_be_shared(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "letter.txt", "dear all")
    out = await copy(("ours", "js"), path, tmp_path)
    assert snapshot(out) == snapshot(tmp_path / "in")


async def test_sharing_again_keeps_the_key_and_adds_what_changed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "same.bin", numbered(1 << 20))
    write(folder / "old.txt", "old")
    write(folder / "gone.txt", "gone")
    async with share("ours", folder, tmp_path / "share") as sharer:
        first = await sharer.wait("ready")
        assert await sharer.stop() == 0
    write(folder / "old.txt", "new, and longer")
    (folder / "gone.txt").unlink()
    async with share("ours", folder, tmp_path / "share") as sharer:
        second = await sharer.wait("ready")
        assert second["key"] == first["key"]
        assert second["version"] == first["version"] + 2
        async with fetch("js", second, tmp_path / "out", tmp_path / "fetch") as fetcher:
            await fetcher.wait_exit()
    assert snapshot(tmp_path / "out") == snapshot(folder)


async def test_nothing_new_costs_no_new_version(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "a")
    versions = []
    for _ in range(2):
        async with share("ours", folder, tmp_path / "share") as sharer:
            versions.append((await sharer.wait("ready"))["version"])
    assert versions[0] == versions[1]


async def test_one_path_of_a_drive_can_be_fetched(tmp_path: Path) -> None:
    write(tmp_path / "in" / "wanted" / "a.txt", "a")
    write(tmp_path / "in" / "other.bin", numbered(4 << 20))
    async with share("js", tmp_path / "in", tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        ready = {**ready, "key": ready["key"] + "/wanted"}
        async with fetch("ours", ready, tmp_path / "out", tmp_path / "fetch") as fetcher:
            done = await fetcher.wait_exit()
    assert done["files"] == 1
    assert done["fetched_bytes"] < 1 << 20
    assert [path.name for path in (tmp_path / "out").rglob("*.txt")] == ["a.txt"]


async def test_an_earlier_version_can_be_fetched(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.txt", "first")
    async with share("js", tmp_path / "in", tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        await sharer.ask(cmd="put", path="/a.txt", text="second")
        at = ("--version", ready["version"])
        async with fetch("ours", ready, tmp_path / "out", tmp_path / "fetch", *at) as fetcher:
            await fetcher.wait_exit()
    assert (tmp_path / "out" / "a.txt").read_text() == "first"


async def test_what_was_fetched_can_be_served_on(tmp_path: Path) -> None:
    """The Node peer seeds a drive of ours after we have gone."""
    folder, seed = tmp_path / "in", tmp_path / "seed"
    write(folder / "a.bin", numbered(1 << 20))
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        async with fetch("js", ready, tmp_path / "out1", seed) as fetcher:
            await fetcher.wait_exit()
    seeding = ("--storage", seed, "--key", ready["key"], "--tcp", "127.0.0.1:0")
    async with JsPeer("share.mjs", *seeding) as seeder:
        again = await seeder.wait("ready")
        async with fetch("ours", again, tmp_path / "out2", tmp_path / "fetch2") as fetcher:
            await fetcher.wait_exit()
    assert snapshot(tmp_path / "out2") == snapshot(folder)

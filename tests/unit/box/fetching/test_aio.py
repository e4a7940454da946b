import os
from pathlib import Path

import pytest

from pearbox_edge.box.fetching import DriveFetch
from pearbox_edge.box.files import Skipped
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.errors import InputError, UnavailableError
from pearbox_edge.ids import CoreKey
from tests.kit.replication import connected, make_store


async def test_a_drive_becomes_a_folder_with_every_byte(tmp_path: Path) -> None:
    async with make_store(1) as ours, make_store(2) as theirs, Hyperdrive(ours) as drive:
        await drive.put("/a", b"")
        await drive.put("/sub/b", b"b" * 200_000, executable=True)
        await drive.symlink("/link", "/sub/b")
        async with connected(ours, theirs), Hyperdrive(theirs, drive.key) as copy:
            fetched = await DriveFetch(copy, theirs, str(tmp_path / "out")).run()
    assert (fetched.files, fetched.bytes, fetched.version) == (3, 200_000, 4)
    assert fetched.fetched_bytes > 200_000
    assert (tmp_path / "out" / "a").read_bytes() == b""
    assert (tmp_path / "out" / "sub" / "b").read_bytes() == b"b" * 200_000
    assert os.access(tmp_path / "out" / "sub" / "b", os.X_OK)
    assert os.readlink(tmp_path / "out" / "link") == "sub/b"


async def test_one_path_of_a_drive_is_fetched_alone(tmp_path: Path) -> None:
    async with make_store(1) as ours, make_store(2) as theirs, Hyperdrive(ours) as drive:
        for path in ("/a", "/sub/b", "/sub/deep/c", "/submarine"):
            await drive.put(path, path.encode())
        async with connected(ours, theirs), Hyperdrive(theirs, drive.key) as copy:
            await DriveFetch(copy, theirs, str(tmp_path / "sub"), path="/sub").run()
            await DriveFetch(copy, theirs, str(tmp_path / "one"), path="/sub/deep/c").run()
            with pytest.raises(InputError, match="no /none"):
                await DriveFetch(copy, theirs, str(tmp_path / "no"), path="/none").run()
    assert sorted(os.listdir(tmp_path)) == ["no", "one", "sub"]
    assert sorted(os.listdir(tmp_path / "sub")) == ["b", "deep"]
    assert os.listdir(tmp_path / "sub" / "deep") == os.listdir(tmp_path / "one") == ["c"]


async def test_hostile_entries_are_skipped_and_the_rest_is_written(tmp_path: Path) -> None:
    told: list[Skipped] = []
    async with make_store(1) as ours, make_store(2) as theirs, Hyperdrive(ours) as drive:
        await drive.put("/good", b"good")
        good = await drive.entry("/good")
        assert good is not None
        for path in ("/../evil", "/a/../../evil", "/nul\0", "/" + "x" * 300):
            await drive._sub.put(path.encode(), b'{"executable":false,"linkname":null,"blob":null}')
        await drive.symlink("/trap", "../outside")
        await drive.symlink("/folder", "/good")
        await drive.put("/folder/below", b"through a link")
        async with connected(ours, theirs), Hyperdrive(theirs, drive.key) as copy:
            fetch = DriveFetch(copy, theirs, str(tmp_path / "out"), on_skip=told.append)
            fetched = await fetch.run()
    assert fetched.skipped == len(told) == 6
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert sorted(os.listdir(tmp_path / "out")) == ["folder", "good"]


async def test_a_later_version_takes_away_what_the_drive_removed(tmp_path: Path) -> None:
    async with make_store(1) as ours, make_store(2) as theirs, Hyperdrive(ours) as drive:
        await drive.put("/a", b"1")
        await drive.put("/b/c", b"2")
        async with connected(ours, theirs), Hyperdrive(theirs, drive.key) as copy:
            fetch = DriveFetch(copy, theirs, str(tmp_path))
            await fetch.run()
            (tmp_path / "mine").write_text("not of the drive")
            await drive.delete("/b/c")
            await drive.put("/a", b"3")
            fetched = await fetch.run()
            assert fetched.version == 5
            assert (await DriveFetch(copy, theirs, str(tmp_path / "old")).run(3)).files == 2
    assert sorted(os.listdir(tmp_path)) == ["a", "mine", "old"]
    assert (tmp_path / "a").read_bytes() == b"3"


async def test_a_version_that_is_not_there_yet_is_said_plainly(tmp_path: Path) -> None:
    async with make_store(1) as ours, make_store(2) as theirs, Hyperdrive(ours) as drive:
        await drive.put("/a", b"1")
        async with connected(ours, theirs), Hyperdrive(theirs, drive.key) as copy:
            with pytest.raises(InputError, match="no version 9: its newest is 2"):
                await DriveFetch(copy, theirs, str(tmp_path)).run(9)


async def test_a_drive_that_nobody_has_is_given_up_in_time(tmp_path: Path) -> None:
    async with make_store(2) as theirs, Hyperdrive(theirs, CoreKey(bytes(32))) as drive:
        with pytest.raises(UnavailableError, match="nobody who has this drive"):
            await DriveFetch(drive, theirs, str(tmp_path), patience=0.3).run()

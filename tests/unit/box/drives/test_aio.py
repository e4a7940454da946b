from pathlib import Path

import pytest

from pearbox_edge.box.drives import (
    DriveEnd,
    End,
    FolderEnd,
    MirrorOptions,
    Selection,
    import_file,
    mirror,
)
from pearbox_edge.box.files import Skipped
from pearbox_edge.data.drive import Hyperdrive, MirrorCount
from pearbox_edge.errors import InputError
from tests.kit.drives import new_drive

BIG = b"0123456789abcdef" * 100_000


def tree(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = f"/{path.relative_to(folder)}"
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes(), bool(path.stat().st_mode & 0o100)
    return found


def fill(folder: Path) -> None:
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x").write_bytes(b"x")
    (folder / "a.txt").write_bytes(b"sorts between")  # "/a.txt" comes before "/a/x"
    (folder / "big").write_bytes(BIG)
    (folder / "run").write_bytes(b"#!")
    (folder / "run").chmod(0o755)
    (folder / "empty").touch()
    (folder / "link").symlink_to("a/x")


async def run(source: End, target: End, **options: object) -> list[str]:
    steps = mirror(source, target, MirrorOptions(**options))  # type: ignore[arg-type]
    return [f"{step.step.value} {step.path}" async for step in steps]


async def test_a_folder_a_drive_another_drive_and_back(tmp_path: Path) -> None:
    fill(tmp_path / "in")
    async with (
        new_drive(dedup=True) as one,
        new_drive(primary_key=bytes(32), encryption_key=bytes(32)) as two,
    ):
        first = await run(FolderEnd(str(tmp_path / "in")), DriveEnd(one))
        assert first == [f"add {p}" for p in sorted(tree(tmp_path / "in"))]
        await run(DriveEnd(one), DriveEnd(two))
        await run(DriveEnd(two), FolderEnd(str(tmp_path / "out")))
        assert tree(tmp_path / "out") == tree(tmp_path / "in")
        version = one.version
        for source, target in (
            (FolderEnd(str(tmp_path / "out")), DriveEnd(one)),
            (DriveEnd(one), DriveEnd(two)),
            (DriveEnd(two), FolderEnd(str(tmp_path / "in"))),
        ):
            assert await run(source, target) == []
        assert one.version == version


async def test_changes_removals_and_modes_are_carried_over(tmp_path: Path) -> None:
    fill(tmp_path / "in")
    async with new_drive(dedup=True) as drive:
        await run(FolderEnd(str(tmp_path / "in")), DriveEnd(drive))
        await run(DriveEnd(drive), FolderEnd(str(tmp_path / "out")))
        assert drive.blobs is not None
        blocks = drive.blobs.core.length
        (tmp_path / "in" / "a" / "x").unlink()
        (tmp_path / "in" / "run").chmod(0o644)
        (tmp_path / "in" / "copy").write_bytes(BIG)
        (tmp_path / "in" / "a.txt").write_bytes(b"other size")
        steps = await run(FolderEnd(str(tmp_path / "in")), DriveEnd(drive))
        assert steps == ["remove /a/x", "change /a.txt", "add /copy", "change /run"]
        assert drive.blobs.core.length == blocks + 1  # the changed text alone
        assert await run(DriveEnd(drive), FolderEnd(str(tmp_path / "out"))) == steps
        assert tree(tmp_path / "out") == tree(tmp_path / "in")


async def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "in")
    async with new_drive() as drive:
        count = MirrorCount()
        options = MirrorOptions(dry_run=True)
        target = FolderEnd(str(tmp_path / "out"))
        steps = mirror(FolderEnd(str(tmp_path / "in")), DriveEnd(drive), options, count)
        assert len([step async for step in steps]) == count.add == 6
        assert drive.version == 1
        await run(DriveEnd(drive), target, dry_run=True)
        assert not (tmp_path / "out").exists()


async def test_without_prune_nothing_is_removed_and_selections_hold(tmp_path: Path) -> None:
    fill(tmp_path / "in")
    async with new_drive() as drive:
        await drive.put("/mine", b"1")
        await drive.put("/a/mine", b"2")
        chosen = Selection.of(["/a", "/mine"], ["/a/x"])
        folder = FolderEnd(str(tmp_path / "in"), chosen)
        assert await run(folder, DriveEnd(drive, chosen), prune=False) == []
        folder = FolderEnd(str(tmp_path / "in"), Selection.of(["/a"]))
        steps = await run(folder, DriveEnd(drive, Selection.of(["/a"])), include_equal=True)
        assert steps == ["remove /a/mine", "add /a/x"]
        assert await drive.exists("/mine")


async def test_nothing_is_removed_for_what_could_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "back\\slash").touch()
    told: list[Skipped] = []
    async with new_drive() as drive:
        await drive.put("/gone", b"1")
        folder = FolderEnd(str(tmp_path / "in"), on_skip=told.append)
        assert await run(folder, DriveEnd(drive)) == ["remove /gone"]
        folder.skipped.add("/kept")
        await drive.put("/kept/x", b"1")
        assert await run(folder, DriveEnd(drive)) == []
    assert [skipped.drive_path for skipped in told] == ["/back\\slash"]


async def test_what_a_stranger_named_is_not_written_outside(tmp_path: Path) -> None:
    told: list[Skipped] = []
    async with new_drive() as drive:
        await drive.put("/ok", b"1")
        await drive.symlink("/out", "/../../etc")
        await drive.symlink("/up", "../../etc")
        await run(DriveEnd(drive), FolderEnd(str(tmp_path / "out")), on_skip=told.append)
    assert [skipped.drive_path for skipped in told] == ["/up"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["ok", "out"]


async def test_impossible_mirrors_are_refused(tmp_path: Path) -> None:
    folder = FolderEnd(str(tmp_path))
    async with new_drive() as drive:
        with pytest.raises(InputError):
            await run(folder, FolderEnd(str(tmp_path / "other")))
        with pytest.raises(InputError):
            await run(FolderEnd(str(tmp_path / "missing")), DriveEnd(drive))
        with pytest.raises(InputError):
            await run(folder, DriveEnd(drive.snapshot()))


async def imported(drive: Hyperdrive, path: Path, name: str) -> int:
    size = await import_file(drive, str(path), name)
    assert await drive.get(name) == BIG * 4
    return size


async def test_a_file_is_imported_once(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(BIG * 4)
    async with new_drive(dedup=True) as drive:
        assert await imported(drive, tmp_path / "big", "/a") == 4 * len(BIG)
        assert drive.blobs is not None
        blocks = drive.blobs.core.length
        assert await imported(drive, tmp_path / "big", "/b") == 4 * len(BIG)
        assert drive.blobs.core.length == blocks
        for wrong in ("missing", ""):
            with pytest.raises(InputError):
                await import_file(drive, str(tmp_path / wrong), "/c")

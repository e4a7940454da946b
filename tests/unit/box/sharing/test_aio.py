from pathlib import Path

from pearbox_edge.box.files import Skipped, plan_sources
from pearbox_edge.box.sharing import FolderShare, Imported
from pearbox_edge.data.drive import Hyperdrive
from tests.kit.drives import new_drive


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def share_of(drive: Hyperdrive, folder: Path) -> FolderShare:
    return FolderShare(drive, drive.store.storage, plan_sources([str(folder)]))


async def paths(drive: Hyperdrive) -> list[str]:
    return [entry.path async for entry in drive.list()]


async def test_a_folder_becomes_a_drive_with_every_byte(tmp_path: Path) -> None:
    write(tmp_path / "a", b"")
    write(tmp_path / "sub" / "b", b"b" * 200_000)
    write(tmp_path / "big", b"c" * 3_000_000)
    (tmp_path / "link").symlink_to("a")
    async with new_drive() as drive:
        imported = await share_of(drive, tmp_path).import_all()
        assert (imported.files, imported.bytes, imported.changed) == (4, 3_200_000, 4)
        assert await paths(drive) == ["/a", "/big", "/link", "/sub/b"]
        assert await drive.get("/sub/b") == b"b" * 200_000
        assert await drive.get("/big") == b"c" * 3_000_000
        link = await drive.entry("/link")
        assert link is not None
        assert link.linkname == "a"


async def test_the_same_folder_again_adds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a", b"1")
    write(tmp_path / "b", b"2" * 2_000_000)
    async with new_drive() as drive:
        first = await share_of(drive, tmp_path).import_all()
        again = await share_of(drive, tmp_path).import_all()
    assert again == Imported(2, 2_000_001, 0, 0, first.version)


async def test_only_what_changed_is_added_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    for name in ("same", "changed", "gone"):
        write(tmp_path / name, name.encode())
    async with new_drive() as drive:
        await share_of(drive, tmp_path).import_all()
        write(tmp_path / "changed", b"CHANGED")
        (tmp_path / "gone").unlink()
        imported = await share_of(drive, tmp_path).import_all()
        assert (imported.files, imported.bytes) == (2, 11)
        assert (imported.changed, imported.removed) == (1, 1)
        assert await drive.get("/changed") == b"CHANGED"
        assert await paths(drive) == ["/changed", "/same"]


async def test_a_folder_that_vanished_empties_nothing_and_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    write(folder / "photo", b"precious")
    told: list[Skipped] = []
    async with new_drive() as drive:
        sources = plan_sources([str(folder)])
        share = FolderShare(drive, drive.store.storage, sources, on_skip=told.append)
        await share.import_all()
        (folder / "photo").unlink()
        folder.rmdir()
        await share.import_all()
        await share.import_all()
        assert await paths(drive) == ["/photo"]
    assert len(told) == 1


async def test_an_empty_folder_is_a_drive_that_can_be_proved(tmp_path: Path) -> None:
    async with new_drive() as drive:
        imported = await share_of(drive, tmp_path).import_all()
        assert (imported.files, imported.version) == (0, 1)
        assert drive.core.length == 1


async def test_moved_and_copied_files_write_no_block(tmp_path: Path) -> None:
    write(tmp_path / "small", b"small" * 50)
    write(tmp_path / "big", b"big!" * 1_500_000)
    async with new_drive(dedup=True) as drive:
        await share_of(drive, tmp_path).import_all()
        assert drive.blobs is not None
        blocks = drive.blobs.core.length
        (tmp_path / "sub").mkdir()
        for name in ("small", "big"):
            (tmp_path / name).rename(tmp_path / "sub" / name)
            write(tmp_path / f"{name} copy", (tmp_path / "sub" / name).read_bytes())
        imported = await share_of(drive, tmp_path).import_all()
        assert (imported.changed, imported.removed) == (4, 2)
        assert drive.blobs.core.length == blocks
        assert await drive.get("/sub/big") == await drive.get("/big copy") == b"big!" * 1_500_000
        assert await drive.get("/small copy") == b"small" * 50


async def test_what_others_did_to_the_drive_is_seen_although_it_is_remembered(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a", b"1")
    (tmp_path / "link").symlink_to("a")
    async with new_drive() as drive:
        first = await share_of(drive, tmp_path).import_all()
        assert await share_of(drive, tmp_path).import_all() == Imported(2, 1, 0, 0, first.version)
        await drive.put("/foreign", b"x")
        await drive.delete("/link")
        imported = await share_of(drive, tmp_path).import_all()
        assert (imported.files, imported.changed, imported.removed) == (2, 1, 1)
        (tmp_path / "link").unlink()
        imported = await share_of(drive, tmp_path).import_all()
        assert (imported.files, imported.changed, imported.removed) == (1, 0, 1)
        assert await paths(drive) == ["/a"]

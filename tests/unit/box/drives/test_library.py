from pathlib import Path

import pytest

from pearbox_edge.box.drives import DriveName, Library
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.storage import MemoryStorage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import DeniedError, InputError
from pearbox_edge.wire import format_link
from tests.kit.drives import PRIMARY_KEY


async def test_a_drive_is_found_by_link_key_name_and_path(tmp_path: Path) -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        library = Library(store)
        named = await library.named("photos")
        shared = await library.of_paths([str(tmp_path)])
        assert named.key != shared.key
        for text in ("photos", format_link(named.key), named.key.hex(), f"{named.key.hex()}/a/b"):
            found = await library.find(text)
            assert found.key == named.key
            found.must_be_writable()
        assert (await library.find(f"{tmp_path}/.")).key == shared.key
        assert await library.has_paths([str(tmp_path)]) and not await library.has_name("other")
        assert sorted(await library.ours()) == sorted(
            [DriveName(named.key, "photos", ()), DriveName(shared.key, "", (str(tmp_path),))]
        )
        await library.close()


async def test_names_are_the_ones_that_sharing_used_before(tmp_path: Path) -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        name = "\0".join(["paths", str(tmp_path / "a"), str(tmp_path / "b")])
        async with Hyperdrive(store.namespace(name)) as before:
            key = before.key
        library = Library(store)
        assert (await library.of_paths([str(tmp_path / "b"), str(tmp_path / "a")])).key == key
        await library.close()


async def test_a_drive_of_somebody_else_can_only_be_read() -> None:
    storage = MemoryStorage()
    async with Corestore(storage, primary_key=PRIMARY_KEY) as store, Hyperdrive(store) as drive:
        key = drive.key
    async with Corestore(storage, primary_key=PRIMARY_KEY) as store:
        library = Library(store)
        found = await library.find(format_link(key))
        with pytest.raises(DeniedError):
            found.must_be_writable()
        await library.close()


@pytest.mark.parametrize("text", ["nope", "pear://short", "y" * 52, "/no/such/path"])
async def test_what_is_not_here_is_told_in_one_line(text: str) -> None:
    async with Corestore(MemoryStorage(), primary_key=PRIMARY_KEY) as store:
        library = Library(store)
        with pytest.raises(InputError):
            await library.find(text)
        await library.close()

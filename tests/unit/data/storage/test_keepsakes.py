"""Values that outlive the database."""

import os
from pathlib import Path

import pytest

from pearbox_edge.data.storage import SqliteStorage, StorageOptions
from pearbox_edge.data.storage.keepsakes import Keepsakes
from pearbox_edge.errors import StorageError

OPTIONS = StorageOptions(keepsakes=("key", "seed"))


def test_what_is_saved_is_loaded_and_for_our_eyes_only(tmp_path: Path) -> None:
    kept = Keepsakes(tmp_path)
    assert kept.load() == {}
    kept.save({"a/b": bytes(range(32)), "c": b""})
    kept.save({"a/b": bytes(range(32)), "c": b"\x01"})
    assert kept.load() == {"a/b": bytes(range(32)), "c": b"\x01"}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["keys"]


def test_a_file_changed_anywhere_is_refused(tmp_path: Path) -> None:
    kept = Keepsakes(tmp_path)
    kept.save({"a": b"\x01", "b": b"\x02"})
    whole = (tmp_path / "keys").read_bytes()
    for at in range(len(whole) - 1):
        (tmp_path / "keys").write_bytes(whole[:at] + bytes([whole[at] ^ 0x81]) + whole[at + 1 :])
        with pytest.raises(StorageError, match="damaged"):
            kept.load()
        (tmp_path / "keys").write_bytes(whole[:at])
        with pytest.raises(StorageError, match="damaged"):
            kept.load()


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    kept = Keepsakes(tmp_path)
    with pytest.raises(StorageError, match="keys"):
        kept.load()
    with pytest.raises(StorageError, match="keys"):
        kept.save({"a": b""})


async def test_a_lost_database_gets_its_keys_back(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path, OPTIONS) as storage:
        await storage.set_values({"key": b"K", "seed": b"S", "other": b"O"})
        await storage.set_values({"seed": None})
    (tmp_path / "pearbox.db").unlink()
    async with await SqliteStorage.open(tmp_path, OPTIONS) as storage:
        assert await storage.list_values("") == {"key": b"K"}


async def test_a_directory_of_before_gets_its_file(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path, StorageOptions(keepsakes=())) as storage:
        await storage.set_values({"key": b"K", "seed": b"S"})
    assert not (tmp_path / "keys").exists()
    async with await SqliteStorage.open(tmp_path, OPTIONS):
        assert Keepsakes(tmp_path).load() == {"key": b"K", "seed": b"S"}


async def test_a_damaged_file_is_made_again_if_the_database_has_all(tmp_path: Path) -> None:
    async with await SqliteStorage.open(tmp_path, OPTIONS) as storage:
        await storage.set_values({"key": b"K", "seed": b"S"})
    (tmp_path / "keys").write_bytes(b"rubbish")
    async with await SqliteStorage.open(tmp_path, OPTIONS):
        assert Keepsakes(tmp_path).load() == {"key": b"K", "seed": b"S"}


async def test_no_new_keys_are_made_beside_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"rubbish")
    with pytest.raises(StorageError, match="put it back"):
        await SqliteStorage.open(tmp_path, OPTIONS)
    # Nothing is left open: the lock is free again.
    with pytest.raises(StorageError, match="put it back"):
        await SqliteStorage.open(tmp_path, OPTIONS)

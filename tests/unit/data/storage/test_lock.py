"""One holder per directory."""

import os
from pathlib import Path

import pytest

from pearbox_edge.data.storage.lock import LOCK_FILE, DirectoryLock
from pearbox_edge.errors import StorageError


def test_the_second_to_ask_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    lock = DirectoryLock.take(tmp_path)
    with pytest.raises(StorageError) as caught:
        DirectoryLock.take(tmp_path)
    lock.release()
    assert caught.value.code == "STORAGE_LOCKED"
    assert str(tmp_path) in str(caught.value)
    assert f"pid {os.getpid()}" in str(caught.value)


def test_a_released_directory_can_be_taken_again(tmp_path: Path) -> None:
    DirectoryLock.take(tmp_path).release()
    DirectoryLock.take(tmp_path).release()


def test_a_lock_file_of_a_dead_process_does_not_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text("1\n")
    lock = DirectoryLock.take(tmp_path)
    assert (tmp_path / LOCK_FILE).read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_folder_that_cannot_hold_a_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing"):
        DirectoryLock.take(tmp_path / "missing")

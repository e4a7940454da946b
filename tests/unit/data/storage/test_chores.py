"""What files owe after a commit is done, and a failure there does no harm."""

from pathlib import Path

import pytest

from pearbox_edge.data.storage import BlockWrite
from pearbox_edge.data.storage.chores import Chore, ChoreKind, do_chores
from pearbox_edge.data.storage.files import DataFiles
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import DiscoveryKey

CORE = DiscoveryKey(b"\1" * 32)
OTHER = DiscoveryKey(b"\2" * 32)


def test_files_are_cut_and_removed_as_told(tmp_path: Path) -> None:
    files = DataFiles(tmp_path, 4)
    for core in (CORE, OTHER):
        files.write(core, [BlockWrite(0, b"abcdef")])
    do_chores(files, [Chore(ChoreKind.CUT, CORE, 3), Chore(ChoreKind.REMOVE, OTHER)])
    assert files.path(CORE).read_bytes() == b"abc"
    assert not files.path(OTHER).exists()
    files.close()


def test_a_chore_that_fails_does_not_stop_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DataFiles(tmp_path, 4)
    files.write(CORE, [BlockWrite(0, b"abcdef")])

    def fail(core: DiscoveryKey, offset: int, size: int) -> None:
        raise StorageError("no")

    monkeypatch.setattr(files, "punch", fail)
    do_chores(files, [Chore(ChoreKind.PUNCH, CORE, 0, 3), Chore(ChoreKind.CUT, CORE, 3)])
    assert files.path(CORE).read_bytes() == b"abc"
    files.close()

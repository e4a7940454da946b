"""The sparse data files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.storage import BlockWrite, ByteRange
from pearbox_edge.data.storage.files import DataFiles
from pearbox_edge.errors import StorageError
from pearbox_edge.ids import DiscoveryKey

CORE = DiscoveryKey(b"\1" * 32)


def key(number: int) -> DiscoveryKey:
    return DiscoveryKey(bytes([number]) * 32)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_files_are_ours_alone_and_fanned_out(tmp_path: Path) -> None:
    files = DataFiles(tmp_path, 4)
    files.write(CORE, [BlockWrite(0, b"a")])
    path = files.path(CORE)
    assert path == tmp_path / "cores" / "01" / CORE.hex()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files.close()


def test_only_so_many_files_stay_open(tmp_path: Path) -> None:
    before = open_descriptors()
    files = DataFiles(tmp_path, 3)
    for number in range(20):
        assert files.store({key(number): [BlockWrite(0, b"abc")]}) == {}
    assert open_descriptors() - before <= 3
    for number in range(20):
        assert files.read(key(number), [ByteRange(0, 3)]) == [b"abc"]
    files.close()
    assert open_descriptors() == before


def test_a_removed_file_is_closed(tmp_path: Path) -> None:
    before = open_descriptors()
    files = DataFiles(tmp_path, 3)
    files.write(CORE, [BlockWrite(0, b"abc")])
    files.remove(CORE)
    assert open_descriptors() == before
    with pytest.raises(StorageError):
        files.read(CORE, [ByteRange(0, 1)])
    files.close()


def test_what_is_not_there_needs_no_cutting(tmp_path: Path) -> None:
    files = DataFiles(tmp_path, 3)
    files.cut(CORE, 0)
    files.punch(CORE, 0, 10)
    files.remove(CORE)
    assert files.existing(CORE, [ByteRange(0, 10)]) == []
    assert not files.path(CORE).exists()
    files.close()


def test_neighbours_are_written_with_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, int]] = []
    real = os.pwritev

    def pwritev(descriptor: int, parts: list[bytes], offset: int) -> int:
        calls.append((offset, len(parts)))
        return real(descriptor, parts, offset)

    monkeypatch.setattr(os, "pwritev", pwritev)
    files = DataFiles(tmp_path, 3)
    files.write(CORE, [BlockWrite(10 + i, b"x") for i in range(2000)] + [BlockWrite(5, b"y")])
    assert calls == [(10, 1024), (1034, 976), (5, 1)]
    files.close()


def test_a_write_that_takes_only_part_is_carried_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(descriptor: int, parts: list[bytes], offset: int) -> int:
        return os.pwrite(descriptor, b"".join(parts)[:5], offset)

    monkeypatch.setattr(os, "pwritev", half)
    files = DataFiles(tmp_path, 3)
    files.write(CORE, [BlockWrite(2, b"abcd"), BlockWrite(6, b"efgh")])
    assert files.path(CORE).read_bytes() == b"\0\0abcdefgh"
    files.close()


def test_one_failing_file_leaves_the_others_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DataFiles(tmp_path, 3)
    (tmp_path / "cores").mkdir()
    files.path(key(2)).parent.write_text("a file where a folder must be")
    failed = files.store({key(n): [BlockWrite(0, b"abc")] for n in (1, 2, 3)})
    assert set(failed) == {key(2)}
    assert files.read(key(3), [ByteRange(0, 3)]) == [b"abc"]
    files.close()


def test_a_cached_read_gives_the_same_or_nothing(tmp_path: Path) -> None:
    files = DataFiles(tmp_path, 3)
    assert files.read_cached(CORE, [ByteRange(0, 1)]) is None
    files.write(CORE, [BlockWrite(0, b"abcdef")])
    assert files.read_cached(CORE, [ByteRange(1, 2), ByteRange(4, 2)]) in ([b"bc", b"ef"], None)
    assert files.read_cached(CORE, [ByteRange(4, 3)]) is None
    assert files.read_cached(CORE, [ByteRange(0, 1 << 30)]) is None
    files.close()


def test_a_filesystem_that_cannot_tell_what_it_caches_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def preadv(descriptor: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        asked.append(offset)
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "preadv", preadv)
    files = DataFiles(tmp_path, 3)
    files.write(CORE, [BlockWrite(0, b"abcdef")])
    assert files.read_cached(CORE, [ByteRange(0, 1)]) is None
    assert files.read_cached(CORE, [ByteRange(0, 1)]) is None
    assert asked == [0]
    files.close()


def test_existing_bytes_end_with_the_file(tmp_path: Path) -> None:
    files = DataFiles(tmp_path, 3)
    files.write(CORE, [BlockWrite(0, b"abcdef")])
    found = files.existing(CORE, [ByteRange(4, 10), ByteRange(9, 3), ByteRange(0, 2)])
    assert found == [BlockWrite(4, b"ef"), BlockWrite(0, b"ab")]
    files.close()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40)), max_size=12))
def test_any_ranges_read_as_slices(
    tmp_path_factory: pytest.TempPathFactory, ranges: list[tuple[int, int]]
) -> None:
    data = bytes(range(100))
    files = DataFiles(tmp_path_factory.mktemp("files"), 3)
    files.write(CORE, [BlockWrite(0, data)])
    found = files.read(CORE, [ByteRange(*each) for each in ranges])
    assert found == [data[offset : offset + size] for offset, size in ranges]
    files.close()

"""Rows out of a SQLite file that SQLite itself will not read any more. Pure but for the file.

Pages that the roots lead to come first, then whatever else looks like a page of rows: so a newer
row is seen before an older copy of it on a page that was given up.
Format: SQLite 3 file format, "B-tree Pages", "Record Format" and "The WAL File Format".
"""

from collections.abc import Iterator
from pathlib import Path
from struct import iter_unpack
from typing import NamedTuple

Value = int | bytes | None

_TABLE_INNER, _TABLE_LEAF = 0x05, 0x0D  # SPEC B-tree page types
_INDEX_INNER, _INDEX_LEAF = 0x02, 0x0A
_FILE_HEADER, _WAL_HEADER, _FRAME_HEADER = 100, 32, 24  # SPEC sizes in bytes
_LARGEST_ROW = 1 << 26  # TUNING: a larger claim is damage
_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # SPEC serial types of whole numbers


class Row(NamedTuple):
    """The values of a row, its row number, and whether the roots lead to it."""

    values: tuple[Value, ...]
    number: int | None
    reached: bool


class Pages:
    """The pages of a database with those of its log laid over them."""

    def __init__(self, database: Path, log: Path) -> None:
        self._data = _read(database)
        size = int.from_bytes(self._data[16:18], "big")
        size = 65536 if size == 1 else size
        self._size = size if size >= 512 and size & (size - 1) == 0 else 4096
        self._usable = self._size - (self._data[20] if len(self._data) > 20 else 0)
        if self._usable < 480:
            self._usable = self._size
        self._newer = _committed(_read(log), self._size)
        self._count = max([len(self._data) // self._size, *self._newer])

    def rows(self) -> Iterator[Row]:
        """All rows of all tables that can be read."""
        seen: set[int] = set()
        for number in self._reachable():
            seen.add(number)
            yield from self._rows_of(number, reached=True)
        seen |= set(self._free())
        for number in range(1, self._count + 1):
            if number not in seen:
                yield from self._rows_of(number, reached=False)

    def _page(self, number: int) -> bytes:
        page = self._newer.get(number)
        if page is None:
            page = self._data[(number - 1) * self._size : number * self._size]
        return page

    def _reachable(self) -> list[int]:
        """Pages of all trees, from the schema on the first page."""
        found: dict[int, None] = {}
        roots = [1, *(v for row in self._rows_of(1, reached=True) for v in row.values[3:4])]
        queue = [root for root in roots if isinstance(root, int)]
        while queue:
            number = queue.pop()
            if number in found or not 1 <= number <= self._count:
                continue
            found[number] = None
            page, start = self._page(number), _FILE_HEADER if number == 1 else 0
            if len(page) == self._size and page[start] in (_TABLE_INNER, _INDEX_INNER):
                queue.append(int.from_bytes(page[start + 8 : start + 12], "big"))
                queue += [
                    int.from_bytes(page[cell : cell + 4], "big") for cell in _cells(page, start)
                ]
        return list(found)

    def _free(self) -> Iterator[int]:
        """Pages on the list of free ones: what is on them counts no longer."""
        seen: set[int] = set()
        trunk = int.from_bytes(self._page(1)[32:36], "big")
        while 1 <= trunk <= self._count and trunk not in seen:
            seen.add(trunk)
            yield trunk
            page = self._page(trunk)
            count = min(int.from_bytes(page[4:8], "big"), self._size // 4 - 2)
            for at in range(8, 8 + 4 * count, 4):
                yield int.from_bytes(page[at : at + 4], "big")
            trunk = int.from_bytes(page[:4], "big")

    def _rows_of(self, number: int, *, reached: bool) -> Iterator[Row]:
        page, start = self._page(number), _FILE_HEADER if number == 1 else 0
        if len(page) != self._size or page[start] not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER):
            return
        kind = page[start]
        for cell in _cells(page, start):
            try:
                at = cell + 4 if kind == _INDEX_INNER else cell
                size, at = _varint(page, at)
                row = None
                if kind == _TABLE_LEAF:
                    row, at = _varint(page, at)
                payload = self._payload(page, at, size, is_table=kind == _TABLE_LEAF)
                yield Row(_record(payload), row, reached)
            except (IndexError, ValueError):
                continue

    def _payload(self, page: bytes, at: int, size: int, *, is_table: bool) -> bytes:
        usable = self._usable
        most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
        if size > _LARGEST_ROW:
            raise ValueError("a row too large")
        if size <= most:
            return page[at : at + size]
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
        payload = page[at : at + local]
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while len(payload) < size:
            if not 1 <= following <= self._count:
                raise ValueError("a row goes on nowhere")
            more = self._page(following)
            following = int.from_bytes(more[:4], "big")
            part = more[4 : min(usable, 4 + size - len(payload))]
            if not part:
                raise ValueError("a row ends early")
            payload += part
        return payload


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _cells(page: bytes, start: int) -> list[int]:
    """Where the cells of a page are."""
    inner = page[start] in (_TABLE_INNER, _INDEX_INNER)
    first = start + (12 if inner else 8)
    count = min(int.from_bytes(page[start + 3 : start + 5], "big"), (len(page) - first) // 2)
    places = (int.from_bytes(page[at : at + 2], "big") for at in range(first, first + 2 * count, 2))
    return [place for place in places if first < place < len(page) - 1]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for step in range(8):
        byte = data[at + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + step + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >> 63 else value, at + 9


def _record(data: bytes) -> tuple[Value, ...]:
    end, at = _varint(data, 0)
    if not 1 <= end <= len(data):
        raise ValueError("not a record")
    values: list[Value] = []
    place = end
    while at < end:
        kind, at = _varint(data, at)
        if kind == 0:
            values.append(None)
            continue
        if kind in (8, 9):
            values.append(kind - 8)
            continue
        size = _SIZES.get(kind, (kind - 12) // 2)
        if kind in (7, 10, 11) or size < 0 or place + size > len(data):
            raise ValueError("not a record")
        part = data[place : place + size]
        values.append(int.from_bytes(part, "big", signed=True) if kind in _SIZES else part)
        place += size
    return tuple(values)


def _committed(log: bytes, page_size: int) -> dict[int, bytes]:
    """The newest committed copy of each page in the log."""
    magic = int.from_bytes(log[:4], "big")
    if magic & ~1 != 0x377F0682 or int.from_bytes(log[8:12], "big") != page_size:
        return {}
    order = ">I" if magic & 1 else "<I"
    sums = _checksum(log[:24], (0, 0), order)
    if sums != _pair(log, 24):
        return {}
    pages: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    at = _WAL_HEADER
    while at + _FRAME_HEADER + page_size <= len(log):
        data = log[at + _FRAME_HEADER : at + _FRAME_HEADER + page_size]
        sums = _checksum(data, _checksum(log[at : at + 8], sums, order), order)
        if log[at + 8 : at + 16] != log[16:24] or sums != _pair(log, at + 16):
            break
        waiting[int.from_bytes(log[at : at + 4], "big")] = data
        if any(log[at + 4 : at + 8]):
            pages.update(waiting)
            waiting.clear()
        at += _FRAME_HEADER + page_size
    return pages


def _pair(data: bytes, at: int) -> tuple[int, int]:
    return int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = sums
    words = [word for (word,) in iter_unpack(order, data)]
    for low, high in zip(words[::2], words[1::2], strict=True):
        one = (one + low + two) & 0xFFFFFFFF
        two = (two + high + one) & 0xFFFFFFFF
    return one, two

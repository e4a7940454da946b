"""Which drives a data directory holds, and what people call them."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from pearbox_edge.box.files import printable, real_path
from pearbox_edge.crypto import discovery_key
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import InputError
from pearbox_edge.ids import CoreKey
from pearbox_edge.wire import format_link, parse_link

_RECORD = "drive/"
_PATHS = "paths"
_CORE = "db"  # SPEC sheet 15: the name of a drive's entries in its namespace


class DriveName(NamedTuple):
    """A drive of ours: its key, the name it was given ("" if none), or the paths it came from."""

    key: CoreKey
    name: str
    paths: tuple[str, ...]


class Library:
    """The drives of one data directory. What it opens it closes, with `close`."""

    def __init__(self, store: Corestore) -> None:
        self._store = store
        self._open = AsyncExitStack()

    async def close(self) -> None:
        """Close all drives that were opened here."""
        await self._open.aclose()

    async def of_paths(self, paths: Sequence[str], name: str | None = None) -> Hyperdrive:
        """The drive for these paths, or of this name; made if it is new."""
        return await self._ours(name or _name_of(paths))

    async def named(self, name: str) -> Hyperdrive:
        """The drive of this name; made if it is new."""
        return await self._ours(name)

    async def remote(self, key: CoreKey) -> Hyperdrive:
        """Somebody's drive, by its key, whether anything of it is here or not."""
        return await self._open.enter_async_context(Hyperdrive(self._store, key))

    async def find(self, text: str) -> Hyperdrive:
        """A drive that is here: by link or key, by name, or by the path it was shared from.

        InputError if there is none.
        """
        found = await self._by_link(text)
        if found is not None:
            return found
        for name in (text, _name_of([text])):
            if await self.has_name(name):
                return await self._ours(name)
        raise InputError(
            f"there is no drive {printable(text)} here: give a link, a name, or a shared path "
            "(`drive info` lists them)"
        )

    async def has_name(self, name: str) -> bool:
        """Whether there is a drive of this name."""
        return await self._store.namespace(_raw(name)).has(_CORE)

    async def has_paths(self, paths: Sequence[str]) -> bool:
        """Whether there is a drive that was shared from these paths."""
        return await self.has_name(_name_of(paths))

    async def ours(self) -> list[DriveName]:
        """All drives that can be written here."""
        found = []
        for record, value in (await self._store.storage.list_values(_RECORD)).items():
            first, *paths = value.decode("utf-8", "surrogateescape").split("\0")
            key = CoreKey(bytes.fromhex(record.removeprefix(_RECORD)))
            is_paths = first == _PATHS and bool(paths)
            found.append(DriveName(key, "" if is_paths else first, tuple(paths)))
        return found

    async def _by_link(self, text: str) -> Hyperdrive | None:
        try:
            key = parse_link(text).key
        except InputError:
            if "://" in text:
                raise
            return None
        stored = await self._store.storage.get_value(_record(key))
        if stored is not None:
            return await self._ours(stored.decode("utf-8", "surrogateescape"))
        if await self._store.storage.open_core(discovery_key(key)) is None:
            raise InputError(f"nothing of {format_link(key)} is here: fetch it with `get` first")
        return await self.remote(key)

    async def _ours(self, name: str) -> Hyperdrive:
        drive = Hyperdrive(self._store.namespace(_raw(name)), dedup=True)
        await self._open.enter_async_context(drive)
        record, stored = _record(drive.key), _raw(name)
        if await self._store.storage.get_value(record) != stored:
            await self._store.storage.set_values({record: stored})
        return drive


def _raw(name: str) -> bytes:
    """A name as bytes, also one made of paths that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def _record(key: CoreKey) -> str:
    return f"{_RECORD}{key.hex()}"


def _name_of(paths: Sequence[str]) -> str:
    return "\0".join([_PATHS, *sorted(real_path(path) for path in paths)])

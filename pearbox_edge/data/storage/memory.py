"""Storage in memory: for tests, and for boxes that keep nothing. Same contract, no disk."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pearbox_edge.errors import StorageError, UsageError
from pearbox_edge.ids import CoreKey, DiscoveryKey
from pearbox_edge.wire import Buffer

from .interface import ByteRange, Changeset, Head, StoredCore, TreeNode
from .rules import PAGE_BYTES, check_changeset, check_range, cut_page, parents_past

_CHUNK = 1 << 16  # TUNING: a sparse core costs at most this much more for each island of blocks


@dataclass(slots=True)
class _SparseBytes:
    """Bytes at offsets, like a sparse file: what was never written takes no memory."""

    size: int = 0
    chunks: dict[int, bytearray] = field(default_factory=dict)

    def write(self, offset: int, data: Buffer) -> None:
        view = memoryview(data)
        self.size = max(self.size, offset + len(view))
        while view:
            number, start = divmod(offset, _CHUNK)
            part = view[: _CHUNK - start]
            chunk = self.chunks.setdefault(number, bytearray(_CHUNK))
            chunk[start : start + len(part)] = part
            view = view[len(part) :]
            offset += len(part)

    def read(self, offset: int, size: int) -> bytes:
        if size and offset + size > self.size:
            raise StorageError(
                f"block bytes end at {self.size}, before the asked {offset + size}",
                code="STORAGE_SHORT",
            )
        parts = []
        while size:
            number, start = divmod(offset, _CHUNK)
            taken = min(size, _CHUNK - start)
            chunk = self.chunks.get(number)
            parts.append(bytes(taken) if chunk is None else chunk[start : start + taken])
            offset += taken
            size -= taken
        return b"".join(parts)

    def cut(self, size: int) -> None:
        if size >= self.size:
            return
        last, used = divmod(size, _CHUNK)
        for number in [number for number in self.chunks if number >= last + bool(used)]:
            del self.chunks[number]
        if last in self.chunks:
            self.chunks[last][used:] = bytes(_CHUNK - used)
        self.size = size

    def clear(self, offset: int, size: int) -> None:
        """Drop the whole chunks in a range; the rest of it keeps its bytes."""
        first, end = -(-offset // _CHUNK), (offset + size) // _CHUNK
        for number in [number for number in self.chunks if first <= number < end]:
            del self.chunks[number]


@dataclass(slots=True)
class _Core:
    """One core as it stands after the last commit."""

    state: StoredCore
    nodes: dict[int, TreeNode] = field(default_factory=dict)
    pages: dict[int, bytes] = field(default_factory=dict)
    data: _SparseBytes = field(default_factory=_SparseBytes)


class MemoryStorage:
    """A `Storage` that forgets everything when the object goes; `close` keeps what it holds.

    So a test reopens it by using it again.
    """

    def __init__(self) -> None:
        self._cores: dict[int, _Core] = {}
        self._values: dict[str, bytes] = {}
        self._next_id = 1

    async def open_core(self, discovery_key: DiscoveryKey) -> StoredCore | None:
        """Look a core up by discovery key; None if this storage does not have it."""
        for core in self._cores.values():
            if core.state.discovery_key == discovery_key:
                return replace(core.state, user_data=dict(core.state.user_data))
        return None

    async def create_core(
        self, key: CoreKey, discovery_key: DiscoveryKey, manifest: bytes | None
    ) -> StoredCore:
        """Make room for a core (or give the one that is there)."""
        found = await self.open_core(discovery_key)
        if found is not None:
            return found
        state = StoredCore(self._next_id, key, discovery_key, manifest, Head(), 0, {})
        self._cores[self._next_id] = _Core(state)
        self._next_id += 1
        return replace(state, user_data={})

    async def cores(self) -> list[DiscoveryKey]:
        """Discovery keys of all cores held here, oldest first."""
        return [core.state.discovery_key for core in self._cores.values()]

    async def delete_core(self, core_id: int) -> None:
        """Forget a core."""
        self._core(core_id)
        del self._cores[core_id]

    async def nodes(self, core_id: int, indices: Sequence[int]) -> dict[int, TreeNode]:
        """The tree nodes held among `indices`; those not held are absent."""
        held = self._core(core_id).nodes
        return {index: held[index] for index in indices if index in held}

    async def nodes_from(self, core_id: int, first: int, limit: int) -> list[TreeNode]:
        """The first `limit` tree nodes held that are numbered `first` or more, by number."""
        held = self._core(core_id).nodes
        return [held[index] for index in sorted(i for i in held if i >= first)[:limit]]

    async def pages(self, core_id: int) -> dict[int, bytes]:
        """All bitfield pages of a core that have a bit set, by page number."""
        return dict(self._core(core_id).pages)

    async def read(self, core_id: int, byte_offset: int, size: int) -> bytes:
        """Exactly `size` block bytes at a place; StorageError if they end before."""
        check_range(byte_offset, size)
        return self._core(core_id).data.read(byte_offset, size)

    async def read_many(self, core_id: int, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Several reads in one go, in the order given."""
        data = self._core(core_id).data
        for byte_offset, size in ranges:
            check_range(byte_offset, size)
        return [data.read(byte_offset, size) for byte_offset, size in ranges]

    async def data_size(self, core_id: int) -> int:
        """Where the block bytes of a core end now."""
        return self._core(core_id).data.size

    async def check(self) -> list[str]:
        """Nothing: there are no tables that could be damaged."""
        return []

    def data_file(self, core_id: int) -> str | None:
        """None: the bytes are in no file."""
        self._core(core_id)
        return None

    async def commit(self, changeset: Changeset) -> None:
        """Apply one step, whole."""
        check_changeset(changeset)
        core = self._core(changeset.core_id)
        if changeset.truncate_to is not None:
            self._truncate(core, changeset.truncate_to)
        for low, high in changeset.dropped:
            for index in [index for index in core.nodes if low <= index < high]:
                del core.nodes[index]
        for byte_offset, data in changeset.blocks:
            core.data.write(byte_offset, data)
        core.nodes.update((node.index, node) for node in changeset.nodes)
        for page, bits in changeset.pages.items():
            _set_page(core.pages, page, bytes(bits))
        core.state = _after(core.state, changeset)
        for byte_offset, size in changeset.cleared:
            core.data.clear(byte_offset, size)
        if changeset.truncate_to is not None:
            core.data.cut(core.state.head.byte_length)

    async def get_value(self, name: str) -> bytes | None:
        """A value of the whole directory."""
        return self._values.get(name)

    async def get_values(self, names: Sequence[str]) -> dict[str, bytes]:
        """Several values of the directory in one go."""
        return {name: self._values[name] for name in names if name in self._values}

    async def set_values(self, values: dict[str, bytes | None]) -> None:
        """Change values of the whole directory together; None removes one."""
        _set_all(self._values, values)

    async def list_values(self, prefix: str) -> dict[str, bytes]:
        """All values whose name starts with `prefix`, in name order."""
        names = sorted(name for name in self._values if name.startswith(prefix))
        return {name: self._values[name] for name in names}

    async def close(self) -> None:
        """Nothing to release: what was kept stays."""

    def _core(self, core_id: int) -> _Core:
        core = self._cores.get(core_id)
        if core is None:
            raise UsageError(f"core {core_id} is not in this storage")
        return core

    @staticmethod
    def _truncate(core: _Core, length: int) -> None:
        for index in [index for index in core.nodes if index >= 2 * length]:
            del core.nodes[index]
        for index in parents_past(length):
            core.nodes.pop(index, None)
        for page, bits in list(core.pages.items()):
            _set_page(core.pages, page, cut_page(page, bits, length))


def _set_page(pages: dict[int, bytes], page: int, bits: bytes) -> None:
    if any(bits):
        pages[page] = bits.ljust(PAGE_BYTES, b"\0")
    else:
        pages.pop(page, None)


def _after(state: StoredCore, changeset: Changeset) -> StoredCore:
    user_data = dict(state.user_data)
    _set_all(user_data, changeset.user_data)
    contiguous = changeset.contiguous_length
    return replace(
        state,
        manifest=state.manifest if changeset.manifest is None else changeset.manifest,
        head=state.head if changeset.head is None else changeset.head,
        contiguous_length=state.contiguous_length if contiguous is None else contiguous,
        user_data=user_data,
    )


def _set_all(into: dict[str, bytes], values: dict[str, bytes | None]) -> None:
    for name, value in values.items():
        if value is None:
            into.pop(name, None)
        else:
            into[name] = bytes(value)

"""From changesets to rows: what one group of steps writes, table by table. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pearbox_edge.ids import DiscoveryKey

from .chores import Chore, ChoreKind
from .interface import Changeset
from .rules import HASH_BYTES

_Values = tuple[int | bytes | None, ...]

_PUT_NODE = "INSERT OR REPLACE INTO nodes (core_id, node_index, size, hash) VALUES (?, ?, ?, ?)"
_DROP_NODES = "DELETE FROM nodes WHERE core_id = ? AND node_index >= ? AND node_index < ?"
PUT_PAGE = "INSERT OR REPLACE INTO pages (core_id, page, bits) VALUES (?, ?, ?)"
_DROP_PAGE = "DELETE FROM pages WHERE core_id = ? AND page = ?"
_PUT_USER = "INSERT OR REPLACE INTO user_data (core_id, name, value) VALUES (?, ?, ?)"
_DROP_USER = "DELETE FROM user_data WHERE core_id = ? AND name = ?"
_COLUMNS = (
    "length", "byte_length", "fork", "tree_hash", "signature", "contiguous_length", "manifest",
)  # fmt: skip
_PUT_CORE = (
    f"UPDATE cores SET {', '.join(f'{name} = coalesce(?, {name})' for name in _COLUMNS)}"  # noqa: S608 (our own names)
    " WHERE core_id = ?"
)


@dataclass(slots=True)
class Rows:
    """The rows of a group of steps; where two steps touch the same row, the later one counts."""

    truncated: list[tuple[int, int]] = field(default_factory=list)
    dropped: list[_Values] = field(default_factory=list)
    chores: list[Chore] = field(default_factory=list)
    _nodes: list[_Values] = field(default_factory=list)
    _pages: dict[tuple[int, int], bytes] = field(default_factory=dict)
    _user_data: dict[tuple[int, bytes], bytes | None] = field(default_factory=dict)
    _cores: dict[int, dict[str, int | bytes]] = field(default_factory=dict)

    def add(self, discovery_key: DiscoveryKey, changeset: Changeset) -> None:
        """Take one step in; a step that truncates or drops must be the only one of its core."""
        core_id, head = changeset.core_id, changeset.head
        self.dropped += [(core_id, low, high) for low, high in changeset.dropped]
        self._nodes += [(core_id, index, size, bytes(h)) for index, size, h in changeset.nodes]
        for page, bits in changeset.pages.items():
            # Most cores are small: a page of 4 KiB would outweigh their other rows together.
            self._pages[core_id, page] = bytes(bits).rstrip(b"\0")
        for name, value in changeset.user_data.items():
            self._user_data[core_id, name.encode()] = value
        core: dict[str, int | bytes] = {}
        if head is not None:
            core["length"], core["byte_length"] = head.length, head.byte_length
            core["fork"], core["tree_hash"] = head.fork, head.tree_hash
            core["signature"] = head.signature
        if changeset.contiguous_length is not None:
            core["contiguous_length"] = changeset.contiguous_length
        if changeset.manifest is not None:
            core["manifest"] = changeset.manifest
        if core:
            self._cores.setdefault(core_id, {}).update(core)
        self.chores += [Chore(ChoreKind.PUNCH, discovery_key, *part) for part in changeset.cleared]
        if changeset.truncate_to is not None and head is not None:
            self.truncated.append((core_id, changeset.truncate_to))
            self.chores.append(Chore(ChoreKind.CUT, discovery_key, head.byte_length))

    def statements(self) -> Iterator[tuple[str, list[_Values]]]:
        """Each statement with all its values, few in number: every one is a hop to a thread."""
        pages, users = self._pages.items(), self._user_data.items()
        every: tuple[tuple[str, list[_Values]], ...] = (
            (_DROP_NODES, self.dropped),
            (_PUT_NODE, self._nodes),
            (PUT_PAGE, [(*place, bits) for place, bits in pages if bits]),
            (_DROP_PAGE, [place for place, bits in pages if not bits]),
            (_PUT_USER, [(*place, value) for place, value in users if value is not None]),
            (_DROP_USER, [place for place, value in users if value is None]),
            (
                _PUT_CORE,
                [(*map(core.get, _COLUMNS), core_id) for core_id, core in self._cores.items()],
            ),
        )
        return ((sql, values) for sql, values in every if values)


def is_node(row: Sequence[object]) -> bool:
    """Whether (node_index, size, hash) has the types we wrote; a node that does not is not held."""
    index, size, digest = row
    return (
        isinstance(digest, bytes)
        and len(digest) == HASH_BYTES
        and isinstance(size, int)
        and isinstance(index, int)
        and size >= 0
        and index >= 0
    )


def is_core(row: Sequence[object]) -> bool:
    """Whether a row of `cores` has the types we wrote."""
    core_id, key, manifest, length, size, fork, tree_hash, signature, contiguous_length = row
    numbers = (core_id, length, size, fork, contiguous_length)
    return (
        all(isinstance(number, int) and number >= 0 for number in numbers)
        and isinstance(key, bytes)
        and len(key) == HASH_BYTES
        and (manifest is None or isinstance(manifest, bytes))
        and isinstance(tree_hash, bytes)
        and isinstance(signature, bytes)
    )

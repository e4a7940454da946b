"""Kademlia's table: nodes by how many leading bits their id shares with ours."""

from bisect import bisect_left
from collections.abc import Iterator

from pearbox_edge.ids import KEY_SIZE, NodeId
from pearbox_edge.wire import Address

from .messages import node_id

K = 20  # SPEC nodes in a row, and in an answer
_ROWS = KEY_SIZE * 8


class TableNode:
    """A node that we know; times are ticks. Two are the same if their ids are."""

    __slots__ = ("added", "address", "down_hints", "id", "pinged", "sampled", "seen")

    def __init__(self, address: Address, tick: int = 0) -> None:
        self.address = address
        self.id = node_id(address)
        self.added = tick
        self.pinged = tick
        """When we last asked it, or heard from it."""
        self.seen = tick
        """When we last heard from it."""
        self.sampled = 0
        """When it last told us our address; 0 if never."""
        self.down_hints = 0

    def __repr__(self) -> str:
        return f"TableNode({self.address.host}:{self.address.port})"


class RoutingTable:
    """At most 20 nodes for each number of leading bits shared with `own_id`.

    A full row takes nobody: which old node may go is decided elsewhere.
    Format: npm kademlia-routing-table 1.0.6. Vectors: 04-dht-rpc.json, tables.
    """

    def __init__(self, own_id: NodeId, k: int = K) -> None:
        self.id = own_id
        self.k = k
        self._own = int.from_bytes(own_id, "big")
        self._rows: dict[int, list[TableNode]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[TableNode]:
        """All nodes, those nearest to us first."""
        for index in sorted(self._rows, reverse=True):
            yield from self._rows[index]

    def add(self, node: TableNode) -> bool:
        """Keep a node (in place of one with its id); False if its row is full."""
        index = self._index(node.id)
        row = self._rows.get(index)
        if row is None:
            row = self._rows[index] = []
        place = bisect_left(row, node.id, key=_id_of)
        if place < len(row) and row[place].id == node.id:
            row[place] = node
            return True
        if len(row) >= self.k:
            return False
        row.insert(place, node)
        self._size += 1
        return True

    def remove(self, id_: NodeId) -> bool:
        """Forget a node; False if it was not there."""
        index = self._index(id_)
        row = self._rows.get(index, [])
        place = bisect_left(row, id_, key=_id_of)
        if place == len(row) or row[place].id != id_:
            return False
        del row[place]
        if not row:
            del self._rows[index]
        self._size -= 1
        return True

    def get(self, id_: NodeId) -> TableNode | None:
        """The node with this id."""
        row = self._rows.get(self._index(id_), [])
        place = bisect_left(row, id_, key=_id_of)
        return row[place] if place < len(row) and row[place].id == id_ else None

    def row_of(self, id_: NodeId) -> tuple[TableNode, ...]:
        """The nodes that share as many leading bits with us as `id_` does."""
        return tuple(self._rows.get(self._index(id_), ()))

    def closest(self, target: bytes, count: int | None = None) -> list[TableNode]:
        """Nodes near `target`, `count` (20) at most: row by row, not sorted within a row."""
        count = self.k if count is None else count
        first = self._index(target)
        found: list[TableNode] = []
        indexes = sorted(self._rows)
        split = bisect_left(indexes, first + 1)
        for index in (*reversed(indexes[:split]), *indexes[split:]):
            if len(found) >= count:
                break
            found += self._rows[index][: count - len(found)]
        return found

    def pick(self, number: int) -> TableNode | None:
        """Any node: with a random number, a random one."""
        if not self._size:
            return None
        number %= self._size
        for row in self._rows.values():
            if number < len(row):
                return row[number]
            number -= len(row)
        return None

    def _index(self, id_: bytes) -> int:
        """The number of leading bits shared with us; our own id belongs to the last row."""
        distance = int.from_bytes(id_, "big") ^ self._own
        return min(_ROWS - distance.bit_length(), _ROWS - 1)


def _id_of(node: TableNode) -> NodeId:
    return node.id

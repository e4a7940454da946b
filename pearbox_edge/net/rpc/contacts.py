"""Who we know: the routing table, how long ago we heard from each, and who has to make room."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from itertools import islice

from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .messages import node_id
from .routing_table import RoutingTable, TableNode

RECENT_NODE = 12  # SPEC ticks: heard of within a minute
OLD_NODE = 360  # SPEC ticks: known for half an hour
MAX_PER_HOST = 16  # TUNING nodes of one public host: ids are free there, one for each port
MAX_UNASKED_PER_TICK = 64  # TUNING new nodes that asked us and may be spoofed


class Contacts:
    """The nodes of the DHT that we know, in the table and in the order we heard from them.

    `on_sample` is told where a node saw us; `on_full_row` gets a node that found no room. The
    table survives floods of new ids: old nodes leave only when they do not answer, one host has a
    limited share of it, and strangers that ask are taken up slowly.
    """

    def __init__(
        self,
        own_id: NodeId,
        tick: int,
        on_sample: Callable[[Address], None],
        on_full_row: Callable[[TableNode], None],
    ) -> None:
        self.table = RoutingTable(own_id)
        self.tick = tick
        self.refused = 0
        """Nodes not taken up because of a cap."""
        self._on_sample = on_sample
        self._on_full_row = on_full_row
        self._by_age: OrderedDict[NodeId, TableNode] = OrderedDict()
        self._hosts: Counter[str] = Counter()
        self._unasked = 0
        self._unasked_tick = tick

    def __len__(self) -> int:
        return len(self._by_age)

    def oldest(self, count: int) -> list[TableNode]:
        """Those we have not heard from for longest."""
        return list(islice(self._by_age.values(), count))

    def latest(self, count: int | None = None) -> list[TableNode]:
        """Those we heard from last, the very last first."""
        return list(islice(reversed(self._by_age.values()), count))

    def __iter__(self) -> Iterator[TableNode]:
        return iter(self._by_age.values())

    def get(self, id_: NodeId) -> TableNode | None:
        """The node with this id."""
        return self._by_age.get(id_)

    def heard_from(self, address: Address, to: Address, *, sample: bool, asked: bool) -> None:
        """A lasting member of the DHT sent us something.

        to: where it sees us; it counts if `sample`. asked: whether this answers a question of ours,
        so that its address is no forgery; only then it has a vote on ours.
        """
        node = self._by_age.get(node_id(address))
        if node is None:
            node = TableNode(address, self.tick)
            if not (asked or self._has_room_for_unasked()) or not self.add(node):
                return
        else:
            node.pinged = node.seen = self.tick
            self._by_age.move_to_end(node.id)
        if sample and asked and (not node.sampled or self.tick - node.sampled >= OLD_NODE):
            node.sampled = self.tick
            self._on_sample(to)

    def add(self, node: TableNode) -> bool:
        """Take a node up if there is room; else `on_full_row` may make some."""
        if node.id in self._by_age or node.id == self.table.id:
            return False
        host = node.address.host
        if self._hosts[host] >= MAX_PER_HOST and not _is_local(host):
            self.refused += 1
            return False
        node.added = node.pinged = node.seen = self.tick
        if not self.table.add(node):
            self._on_full_row(node)
            return False
        self._by_age[node.id] = node
        self._hosts[host] += 1
        return True

    def remove(self, node: TableNode) -> bool:
        """Forget a node; False if it is not ours any more."""
        if self._by_age.get(node.id) is not node:
            return False
        self.table.remove(node.id)
        self._forget(node)
        return True

    def replaceable(self, newcomer: TableNode) -> TableNode | None:
        """Who of the newcomer's full row to ping, and to replace if it is silent."""
        candidates = [node for node in self.table.row_of(newcomer.id) if node.pinged != self.tick]
        if not candidates:
            return None
        node = min(candidates, key=lambda node: (node.pinged, node.added))
        is_proven = self.tick - node.pinged < RECENT_NODE and self.tick - node.added > OLD_NODE
        return None if is_proven else node

    def move_to(self, own_id: NodeId) -> None:
        """Our id has changed: sort everybody anew; those without room are forgotten."""
        old, self.table = self.table, RoutingTable(own_id)
        for node in old:
            if node.id == own_id or not self.table.add(node):
                self._forget(node)

    def _forget(self, node: TableNode) -> None:
        del self._by_age[node.id]
        host = node.address.host
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    def _has_room_for_unasked(self) -> bool:
        if self._unasked_tick != self.tick:
            self._unasked, self._unasked_tick = 0, self.tick
        self._unasked += 1
        if self._unasked > MAX_UNASKED_PER_TICK:
            self.refused += 1
            return False
        return True


def _is_local(host: str) -> bool:
    """Whether many nodes of one host are usual: in laboratories, offices and tests."""
    return host.startswith(("127.", "10.", "192.168.", "169.254.")) or (
        host.startswith("172.") and 16 <= int(host.split(".")[1]) < 32
    )

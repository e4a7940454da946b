"""Tree nodes in memory, in whole pages, so that "not here" can be told from "not stored".

A page is what lies below one node down to seven depths, without that node (254 nodes, siblings
always together): layer 0 holds depths 0 to 6, layer 1 depths 7 to 13, and so on. It is named by
the node above it. A page is loaded as a whole, hence a node that a loaded page lacks is not stored
at all, and looking costs no wait.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from pearbox_edge.data.storage import TreeNode

from .flat_tree import depth, left_span, right_span

_LAYER = 7  # TUNING: depths in a page; a path in a core of 2^20 blocks crosses three
_MASK = (1 << _LAYER) - 1
_WIDE = (1 << (_LAYER + 1)) - 1

CACHED_NODES = 24_576
"""TUNING: nodes (and pages) kept for one core, about 8 MiB; a page unused longest goes first."""


class ColdPagesError(Exception):
    """Nodes were looked at whose pages must be loaded first; then do the same again."""

    def __init__(self, pages: Sequence[int]) -> None:
        super().__init__("tree nodes must be loaded first")
        self.pages = pages


def page_of(node: int) -> int:
    """The page a node lies in."""
    if node & _MASK != _MASK:
        return (node | _WIDE) ^ (_MASK + 1)
    top = (depth(node) // _LAYER + 1) * _LAYER
    return (node | ((2 << top) - 1)) ^ (1 << top)


class NodeCache:
    """The nodes of one core that are at hand, and those not yet durable.

    `tree_length` is the length of the core; `stored_length` a length past which storage surely
    has no nodes, so that a page past it is known to be empty without asking.
    """

    def __init__(self, tree_length: int, cap: int = CACHED_NODES) -> None:
        self.tree_length = tree_length
        self.stored_length = tree_length
        self._staged: dict[int, TreeNode] = {}
        self._pages: OrderedDict[int, dict[int, TreeNode]] = OrderedDict()
        self._loading: dict[int, dict[int, TreeNode]] = {}
        self._total = 0
        self._cap = cap

    def get(self, node: int) -> TreeNode | None:
        """A node, or None if it is not stored. ColdPagesError if that is not known yet."""
        # The common case of page_of, in place: this is called for every node of every proof.
        name = (node | _WIDE) ^ (_MASK + 1) if node & _MASK != _MASK else page_of(node)
        page = self._pages.get(name)
        if page is not None:
            return page.get(node)
        if left_span(name) < 2 * self.stored_length:
            raise ColdPagesError([name])
        return None

    def warm(self, node: int) -> list[int]:
        """Touch the pages on the way from a node to its root; the names of those not loaded."""
        cold = []
        head = 2 * self.tree_length
        while right_span(node) < head:
            name = page_of(node)
            if name in self._pages:
                self._pages.move_to_end(name)
            elif left_span(name) < 2 * self.stored_length:
                cold.append(name)
            else:
                self._pages[name] = {}
                self._total += 1
            node = name
        if self._total > self._cap:
            self._evict()
        return cold

    def add(self, nodes: Iterable[TreeNode]) -> None:
        """Take new nodes in; they are kept at any price until `settle`."""
        pages = self._pages
        for node in nodes:
            index = node.index
            self._staged[index] = node
            name = page_of(index)
            page = pages.get(name)
            if page is None:
                if left_span(name) < 2 * self.stored_length:
                    loading = self._loading.get(name)
                    if loading is not None:
                        loading[index] = node
                    continue
                page = pages[name] = {}
                self._total += 1
            if index not in page:
                self._total += 1
            page[index] = node
        if self._total > self._cap:
            self._evict()

    def settle(self, nodes: Iterable[TreeNode]) -> None:
        """These nodes are durable now."""
        for node in nodes:
            if self._staged.get(node.index) is node:
                del self._staged[node.index]

    def begin_load(self, names: Iterable[int]) -> list[int]:
        """Start to load pages; gives the node numbers to read from storage."""
        wanted: list[int] = []
        for name in names:
            if name not in self._pages and name not in self._loading:
                self._loading[name] = {}
                wanted += _nodes_of(name, self.tree_length)
        for node in self._staged.values():
            page = self._loading.get(page_of(node.index))
            if page is not None:
                page[node.index] = node
        return wanted

    def finish_load(self, found: dict[int, TreeNode]) -> None:
        """Take in what storage had; pages that were dropped meanwhile stay out."""
        for node in found.values():
            page = self._loading.get(page_of(node.index))
            if page is not None:
                page.setdefault(node.index, node)
        for name, page in self._loading.items():
            self._pages[name] = page
            self._total += len(page) + 1
        self._loading.clear()
        self._evict()

    def drop_load(self) -> None:
        """A load failed or was cancelled."""
        self._loading.clear()

    def reset(self, tree_length: int) -> None:
        """Forget everything (after a truncation, when all is durable)."""
        self._pages.clear()
        self._loading.clear()
        self._staged.clear()
        self._total = 0
        self.tree_length = self.stored_length = tree_length

    def _evict(self) -> None:
        while self._total > self._cap and len(self._pages) > 1:
            name, page = self._pages.popitem(last=False)
            self._total -= len(page) + 1
            # Pages past this one may still be known to be empty: a download in order asks nothing.
            end = min(right_span(name) // 2 + 1, self.tree_length)
            self.stored_length = max(self.stored_length, end)


def _nodes_of(name: int, tree_length: int) -> list[int]:
    """All nodes of a page that a tree of this length can have."""
    top = depth(name)
    shift = top - _LAYER
    low = (1 << shift) - 1
    middle = name >> shift
    numbers = [
        (number << shift) | low
        for number in range(middle - _MASK, middle + _MASK + 1)
        if number != middle
    ]
    head = 2 * tree_length
    if right_span(name) < head:
        return numbers
    return [number for number in numbers if right_span(number) < head]

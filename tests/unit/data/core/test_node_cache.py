"""Nodes are kept in whole pages: a loaded page knows what is not stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core.flat_tree import contains, sibling
from pearbox_edge.data.core.node_cache import ColdPagesError, NodeCache, page_of
from pearbox_edge.data.storage import TreeNode
from tests.kit.cores import grown


def node(index: int) -> TreeNode:
    return TreeNode(index, 1, bytes(32))


def load(cache: NodeCache, index: int, stored: dict[int, TreeNode]) -> TreeNode | None:
    while True:
        try:
            return cache.get(index)
        except ColdPagesError as cold:
            wanted = cache.begin_load(cold.pages)
            cache.finish_load({i: stored[i] for i in wanted if i in stored})


@given(st.integers(0, 1 << 51))
def test_siblings_lie_in_one_page_below_its_name(index: int) -> None:
    name = page_of(index)
    assert page_of(sibling(index)) == name
    assert name != index
    assert contains(name, index)


def test_a_new_core_knows_that_nothing_is_stored() -> None:
    cache = NodeCache(0)
    cache.tree_length = 1 << 40
    assert cache.get(123456) is None
    assert cache.warm(123456) == []


def test_an_opened_core_must_look_first() -> None:
    cache = NodeCache(1000)
    with pytest.raises(ColdPagesError):
        cache.get(10)


@given(st.integers(1, 700), st.lists(st.integers(0, 1500), max_size=10), st.integers(2, 2000))
def test_it_gives_what_is_stored_whatever_its_size(length: int, asked: list[int], cap: int) -> None:
    stored = {node.index: node for node in grown([b""] * length).nodes}
    cache = NodeCache(length, cap=max(cap, 800))
    for index in asked:
        assert load(cache, index, stored) == stored.get(index)


def test_staged_nodes_survive_eviction_until_they_are_durable() -> None:
    cache = NodeCache(0, cap=10)
    cache.tree_length = 4096
    nodes = [node(2 * index) for index in range(4096)]
    for one in nodes:
        cache.add([one])
    assert all(load(cache, one.index, {}) == one for one in nodes)
    cache.settle(nodes)
    assert load(cache, 0, {0: node(0)}) == node(0)


def test_memory_stays_below_the_cap() -> None:
    cache = NodeCache(0, cap=500)
    cache.tree_length = 100_000
    for index in range(20_000):
        cache.add([node(2 * index)])
        cache.settle([node(2 * index)])
    held = sum(len(page) + 1 for page in cache._pages.values())
    assert held == cache._total <= 500


def test_a_node_added_while_its_page_loads_is_kept() -> None:
    cache = NodeCache(100)
    wanted = cache.begin_load([page_of(6)])
    assert 6 in wanted
    cache.add([node(6)])
    cache.settle([node(6)])
    cache.finish_load({})
    assert cache.get(6) == node(6)


def test_a_load_that_a_truncation_overtakes_is_dropped() -> None:
    cache = NodeCache(100)
    cache.begin_load([page_of(6)])
    cache.reset(2)
    cache.finish_load({6: node(6)})
    assert load(cache, 6, {}) is None


def test_pages_on_the_way_up_are_warmed() -> None:
    cache = NodeCache(1 << 20)
    cold = cache.warm(2 * 12345)
    assert len(cold) == 3
    cache.begin_load(cold)
    cache.finish_load({})
    assert cache.warm(2 * 12345) == []


def test_a_failed_load_can_be_tried_again() -> None:
    cache = NodeCache(100)
    cache.begin_load([page_of(6)])
    cache.drop_load()
    assert load(cache, 6, {6: node(6)}) == node(6)


def test_a_download_in_order_never_asks_storage() -> None:
    cache = NodeCache(0, cap=2000)
    cache.tree_length = 1 << 20
    for one in grown([b""] * 5000).nodes:
        assert cache.warm(one.index) == []
        assert cache.get(one.index) is None
        cache.add([one])
        cache.settle([one])

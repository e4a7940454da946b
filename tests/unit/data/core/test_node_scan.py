"""Families of tree nodes: sound ones, partial ones, and each way of being wrong."""

import random

import pytest

from pearbox_edge.data.core.flat_tree import parent, right_span, sibling
from pearbox_edge.data.core.node_scan import NodeScan
from pearbox_edge.data.storage import TreeNode
from tests.kit.cores import grown


def tree(length: int) -> list[TreeNode]:
    return sorted(grown([bytes([i % 251]) * (i % 7) for i in range(length)]).nodes)


def scan(length: int, nodes: list[TreeNode], step: int = 50) -> NodeScan:
    found = NodeScan(length)
    for start in range(0, len(nodes), step):
        found.feed(nodes[start : start + step])
    found.finish()
    return found


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 1000, 4097])
def test_a_whole_tree_is_sound(length: int) -> None:
    found = scan(length, tree(length))
    assert (found.suspects, found.beyond) == (set(), [])


def test_a_tree_with_few_blocks_and_their_ways_is_sound() -> None:
    length = 5000
    by_index = {node.index: node for node in tree(length)}
    kept = {node.index for node in grown([]).nodes}
    chance = random.Random("few")
    for _ in range(200):
        node = 2 * chance.randrange(length)
        while right_span(parent(node)) < 2 * length:
            kept |= {node, sibling(node), parent(node)}
            node = parent(node)
        kept.add(node)
    found = scan(length, sorted(by_index[index] for index in kept))
    assert (found.suspects, found.beyond) == (set(), [])


@pytest.mark.parametrize("victim", [0, 1, 2, 5, 9, 63, 64, 130])
def test_a_missing_node_makes_its_family_suspect(victim: int) -> None:
    nodes = [node for node in tree(200) if node.index != victim]
    suspects = scan(200, nodes).suspects
    assert parent(victim) in suspects
    assert suspects <= {victim, parent(victim)}


@pytest.mark.parametrize("victim", [0, 1, 2, 5, 9, 63, 64, 130])
def test_a_changed_node_makes_its_families_suspect(victim: int) -> None:
    for change in ({"size": 1 << 30}, {"hash": bytes(32)}):
        nodes = [n._replace(**change) if n.index == victim else n for n in tree(200)]
        suspects = scan(200, nodes).suspects
        assert parent(victim) in suspects
        assert suspects <= {victim, parent(victim)}


def test_nodes_past_the_head_are_named() -> None:
    nodes = tree(8)
    found = scan(6, nodes)
    assert found.beyond == [7, 11, 12, 13, 14]


def test_memory_stays_small_however_damaged() -> None:
    found = NodeScan(1 << 40)
    for start in range(0, 100_000, 1000):
        found.feed([TreeNode(2 * i, 1, bytes(32)) for i in range(start, start + 1000)])
        assert len(found._waiting) <= 1025

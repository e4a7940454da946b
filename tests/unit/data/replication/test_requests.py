import pytest

from pearbox_edge.data.core import (
    BlockPart,
    BlockRequest,
    HashPart,
    HashRequest,
    Manifest,
    Proof,
    ProofRequest,
    SeekPart,
    SeekRequest,
    UpgradePart,
    UpgradeRequest,
)
from pearbox_edge.data.replication.requests import MAX_CANCELLED, Outstanding, RequestTable
from tests.kit.cores import WRITER

MANIFEST = Manifest.default(WRITER.public_key)
UPGRADE = UpgradePart(0, 3, [], [], b"")


def test_numbers_start_at_one_and_are_never_used_twice() -> None:
    table = RequestTable()
    ids = []
    for block in range(3):
        one = table.add_block(1, block, 0)
        ids.append(one.id)
        table.finish(one)
    assert ids == [1, 2, 3]


def test_an_answer_counts_once_and_from_the_asked_peer_alone() -> None:
    table = RequestTable()
    one = table.add_block(1, 5, 0)
    assert table.arrive(one.id, 2) is None
    assert table.arrive(one.id, 1) is one
    assert table.arrive(one.id, 1) is None
    assert table.awaited(1) == 0
    assert table.count(1) == 1
    table.finish(one)
    assert table.count(1) == 0
    assert not table.blocks
    assert len(table) == 0


def test_a_cancelled_request_is_remembered_once() -> None:
    table = RequestTable()
    one = table.add_block(1, 5, 0)
    table.cancel(one)
    assert table.arrive(one.id, 1) is None
    assert table.was_cancelled(one.id)
    assert not table.was_cancelled(one.id)
    assert not table.was_cancelled(77)


def test_cancelled_requests_are_forgotten_past_the_cap() -> None:
    table = RequestTable()
    for block in range(MAX_CANCELLED + 1):
        table.cancel(table.add_block(1, block, 0))
    assert not table.was_cancelled(1)
    assert table.was_cancelled(2)


def test_a_lost_peer_gives_its_requests_back() -> None:
    table = RequestTable()
    mine, other = table.add_block(1, 5, 0), table.add_block(2, 5, 0)
    assert table.blocks == {5: 2}
    assert table.drop_peer(1) == [mine]
    assert table.blocks == {5: 1}
    assert table.of_block(5) == [other]
    assert table.of_block(6) == []


def test_one_upgrade_is_under_way_until_it_ends() -> None:
    table = RequestTable()
    one = table.add(1, ProofRequest(0, upgrade=UpgradeRequest(0, 3)))
    assert table.upgrade is one
    table.finish(one)
    assert table.upgrade is None


def test_what_relies_on_a_failed_request_is_excused() -> None:
    table = RequestTable()
    first, second, third = (table.add_block(1, block, 0) for block in range(3))
    second.relies_on = first.id
    table.cancel(first)
    assert second.excused
    assert not third.excused


BLOCK = ProofRequest(1, block=BlockRequest(4, 2))
GROW = ProofRequest(1, upgrade=UpgradeRequest(0, 3), manifest=True)
SEEK = ProofRequest(1, hash=HashRequest(8, 2), seek=SeekRequest(99, 0))


@pytest.mark.parametrize(
    ("want", "proof", "fits"),
    [
        (BLOCK, Proof(1, block=BlockPart(4, b"", [])), True),
        (BLOCK, Proof(1, block=BlockPart(5, b"", [])), False),
        (BLOCK, Proof(2, block=BlockPart(4, b"", [])), False),
        (BLOCK, Proof(1, block=BlockPart(4, b"", []), upgrade=UPGRADE), False),
        (BLOCK, Proof(1, block=BlockPart(4, b"", []), manifest=MANIFEST), False),
        (BLOCK, Proof(1), False),
        (BLOCK, Proof(1, upgrade=UPGRADE), False),
        (GROW, Proof(1, upgrade=UPGRADE, manifest=MANIFEST), True),
        (GROW, Proof(1, upgrade=UPGRADE), True),
        (GROW, Proof(3, manifest=MANIFEST), True),
        (GROW, Proof(1, upgrade=UPGRADE, block=BlockPart(4, b"", [])), False),
        (SEEK, Proof(1, hash=HashPart(8, []), seek=SeekPart(99, [])), True),
        (SEEK, Proof(1, hash=HashPart(8, [])), True),
        (SEEK, Proof(1, hash=HashPart(6, [])), False),
        (SEEK, Proof(1, hash=HashPart(8, []), seek=SeekPart(98, [])), False),
    ],
)
def test_an_answer_fits_only_what_was_asked(want: ProofRequest, proof: Proof, fits: bool) -> None:
    assert Outstanding(1, 1, want).fits(proof) is fits

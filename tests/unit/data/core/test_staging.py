"""What is accepted is readable at once and leaves in whole batches."""

from pearbox_edge.data.core import Bitfield
from pearbox_edge.data.core.staging import COPY_BELOW, Staging
from pearbox_edge.data.storage import BlockWrite, Head, TreeNode

NODE = TreeNode(0, 1, bytes(32))


def staged() -> tuple[Staging, Bitfield]:
    staging, bits = Staging(7), Bitfield()
    for index in (5, 3, 4, 9):
        staging.add_block(index, 10 * index, b"block %d" % index)
        bits.set(index)
    return staging, bits


def test_a_batch_is_in_order_of_place_with_its_runs() -> None:
    staging, bits = staged()
    staging.add_nodes([NODE])
    staging.set_head(Head(length=12))
    batch = staging.take(bits)
    assert batch.runs == [(3, 6), (9, 10)]
    assert [write.byte_offset for write in batch.changeset.blocks] == [30, 40, 50, 90]
    assert batch.changeset.nodes == [NODE]
    assert batch.changeset.head == Head(length=12)
    assert batch.changeset.contiguous_length == 0
    assert list(batch.changeset.pages) == [0]


def test_blocks_are_readable_until_their_batch_is_durable() -> None:
    staging, bits = staged()
    assert staging.get(3) == b"block 3"
    staging.take(bits)
    assert staging.get(3) == b"block 3"
    assert staging.size == 28
    staging.done()
    assert staging.get(3) is None
    assert staging.size == 0


def test_a_batch_number_tells_when_all_staged_now_is_durable() -> None:
    staging, bits = staged()
    first = staging.next_batch
    staging.take(bits)
    assert staging.next_batch == first
    staging.add_block(1, 0, b"x")
    assert staging.next_batch == first + 1
    staging.done()
    assert staging.finished == first


def test_an_empty_block_writes_nothing_but_counts() -> None:
    staging, bits = Staging(7), Bitfield()
    staging.add_block(0, 0, b"")
    bits.set(0)
    batch = staging.take(bits)
    assert batch.changeset.blocks == []
    assert batch.runs == [(0, 1)]
    assert staging.get(0) == b""


def test_small_views_are_copied_and_large_ones_are_not() -> None:
    staging, bits = Staging(7), Bitfield()
    buffer = bytearray(3 * COPY_BELOW)
    small, large = memoryview(buffer)[:10], memoryview(buffer)[: 2 * COPY_BELOW]
    staging.add_block(0, 0, small)
    staging.add_block(1, 10, large)
    writes = staging.take(bits).changeset.blocks
    assert writes == [BlockWrite(0, bytes(10)), BlockWrite(10, large)]
    assert isinstance(writes[0].data, bytes)
    assert writes[1].data is large


def test_nothing_staged_is_not_waiting() -> None:
    staging, bits = staged()
    assert staging.is_waiting
    staging.take(bits)
    assert not staging.is_waiting
    staging.set_manifest(b"m")
    assert staging.is_waiting

"""Steps are laid out before anything changes."""

from pearbox_edge.data.core import Bitfield, Manifest
from pearbox_edge.data.core.changeset import Reorg, appended, cleared, head_of, reorged, truncated
from pearbox_edge.data.storage import BlockWrite, ByteRange, Head
from tests.kit.cores import WRITER, grown

BLOCKS = [b"one", b"", b"three"]


def test_an_append_writes_each_block_at_its_place() -> None:
    tree = grown(BLOCKS)
    after = head_of(tree, 0, b"signature")
    bits = Bitfield()
    step = appended(1, Head(), after, tree.nodes, BLOCKS, bits)
    assert step.blocks == [BlockWrite(0, b"one"), BlockWrite(3, b"three")]
    assert step.head == Head(3, 8, 0, tree.hash(), b"signature")
    assert (step.contiguous_length, step.pages[0][0]) == (3, 0b111)
    assert bits.count == 0


def test_an_append_after_a_gap_is_not_contiguous() -> None:
    tree = grown(BLOCKS)
    step = appended(1, Head(length=1), head_of(tree, 0, b""), [], BLOCKS[1:], Bitfield())
    assert step.contiguous_length == 0


def test_a_truncation_names_its_length_and_head() -> None:
    bits = Bitfield()
    bits.set_range(0, 9)
    step = truncated(1, Head(length=4, fork=2), bits)
    assert (step.truncate_to, step.contiguous_length) == (4, 4)


def test_a_clear_gives_bytes_back_and_leaves_the_head() -> None:
    bits = Bitfield()
    bits.set_range(0, 9)
    bits.clear_range(3, 5)
    step = cleared(1, [ByteRange(30, 20)], bits)
    assert (step.head, step.contiguous_length) == (None, 3)
    assert step.cleared == [ByteRange(30, 20)]
    assert step.pages[0][0] == 0b11100111


def test_a_reorg_keeps_what_is_common() -> None:
    tree = grown(BLOCKS)
    manifest = Manifest.default(WRITER.public_key)
    reorg = Reorg(head_of(tree, 1, b""), tree.roots, tree.nodes, 2, manifest)
    step = reorged(1, reorg, Bitfield())
    assert (step.truncate_to, step.manifest) == (2, manifest.encode())
    assert step.nodes == tree.nodes

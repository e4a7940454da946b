"""What every storage must do: run against each kind, with a reopen wherever it matters."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pearbox_edge.data.storage import (
    PAGE_BITS,
    BlockWrite,
    ByteRange,
    Changeset,
    Head,
    Storage,
    StoredCore,
    TreeNode,
)
from pearbox_edge.errors import StorageError, UsageError
from pearbox_edge.ids import CoreKey, DiscoveryKey
from tests.kit.storage import StorageBox, StorageKind

HASH = bytes(range(32))
PAGE = PAGE_BITS // 8


@pytest_asyncio.fixture(params=StorageKind, ids=lambda kind: kind.value)
async def box(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageBox]:
    box = StorageBox(request.param, tmp_path / "data")
    yield box
    await box.close()


async def make(storage: Storage, name: int = 1, manifest: bytes | None = None) -> StoredCore:
    return await storage.create_core(
        CoreKey(bytes([name]) * 32), DiscoveryKey(bytes([name, 9]) * 16), manifest
    )


async def find(storage: Storage, name: int = 1) -> StoredCore:
    core = await storage.open_core(DiscoveryKey(bytes([name, 9]) * 16))
    assert core is not None
    return core


def page(*blocks: int) -> bytes:
    bits = bytearray(PAGE)
    for block in blocks:
        bits[block // 8] |= 1 << (block % 8)
    return bytes(bits)


def node(index: int, size: int = 1) -> TreeNode:
    return TreeNode(index, size, HASH)


async def test_a_core_nobody_made_is_not_there(box: StorageBox) -> None:
    storage = await box.open()
    assert await storage.open_core(DiscoveryKey(bytes(32))) is None
    assert await storage.cores() == []


async def test_a_new_core_is_empty(box: StorageBox) -> None:
    core = await make(await box.open(), 1, b"manifest")
    assert core.head == Head()
    assert core.contiguous_length == 0
    assert core.manifest == b"manifest"
    assert core.user_data == {}


async def test_a_core_made_twice_is_one_core(box: StorageBox) -> None:
    storage = await box.open()
    first = await make(storage, 1, b"manifest")
    assert await make(storage, 1, None) == first
    assert await storage.cores() == [first.discovery_key]


async def test_cores_are_listed_oldest_first_after_a_reopen(box: StorageBox) -> None:
    storage = await box.open()
    made = [(await make(storage, name)).discovery_key for name in (7, 3, 5)]
    storage = await box.reopen()
    assert await storage.cores() == made


async def test_a_step_is_all_there_after_a_reopen(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    head = Head(2, 9, 1, b"t" * 32, b"signature")
    await storage.commit(
        Changeset(
            core.core_id,
            blocks=[BlockWrite(0, b"four"), BlockWrite(4, memoryview(b"fives"))],
            nodes=[node(0, 4), node(2, 5), node(1, 9)],
            pages={0: page(0, 1)},
            head=head,
            contiguous_length=2,
            manifest=b"late",
            user_data={"who": b"me"},
        )
    )
    storage = await box.reopen()
    core = await find(storage)
    assert core.head == head
    assert core.contiguous_length == 2
    assert core.manifest == b"late"
    assert core.user_data == {"who": b"me"}
    assert await storage.nodes(core.core_id, [0, 1, 2]) == {
        0: node(0, 4),
        1: node(1, 9),
        2: node(2, 5),
    }
    assert await storage.pages(core.core_id) == {0: page(0, 1)}
    assert await storage.read(core.core_id, 0, 9) == b"fourfives"


async def test_a_step_leaves_what_it_does_not_name(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage, 1, b"manifest")
    await storage.commit(
        Changeset(core.core_id, head=Head(1, 1, 0, b"", b"s"), contiguous_length=1)
    )
    await storage.commit(Changeset(core.core_id, user_data={"name": b"value"}))
    core = await find(storage)
    assert (core.head.signature, core.contiguous_length, core.manifest) == (b"s", 1, b"manifest")


async def test_nodes_that_are_not_held_are_absent(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, nodes=[node(4), node(1 << 50)]))
    assert set(await storage.nodes(core.core_id, [0, 4, 1 << 50, 1 << 62])) == {4, 1 << 50}
    assert await storage.nodes(core.core_id, []) == {}


async def test_many_nodes_are_found_in_one_call(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, nodes=[node(i) for i in range(3000)]))
    assert len(await storage.nodes(core.core_id, range(5000))) == 3000


async def test_a_node_written_again_counts_as_written_last(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, nodes=[node(0, 1), node(0, 2)]))
    await storage.commit(Changeset(core.core_id, nodes=[node(0, 3)]))
    assert await storage.nodes(core.core_id, [0]) == {0: node(0, 3)}


async def test_a_page_without_bits_is_not_listed(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, pages={0: page(3), 5: page(PAGE_BITS - 1)}))
    assert await storage.pages(core.core_id) == {0: page(3), 5: page(PAGE_BITS - 1)}
    await storage.commit(Changeset(core.core_id, pages={0: bytes(PAGE)}))
    assert await storage.pages(core.core_id) == {5: page(PAGE_BITS - 1)}


async def test_truncation_drops_nodes_that_reach_past_it(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, nodes=[node(i) for i in range(32)]))
    await storage.commit(Changeset(core.core_id, truncate_to=5, head=Head(5, 5, 1)))
    kept = await storage.nodes(core.core_id, range(64))
    assert sorted(kept) == [0, 1, 2, 3, 4, 5, 6, 8]


async def test_truncation_to_nothing_drops_everything(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(
        Changeset(
            core.core_id,
            blocks=[BlockWrite(0, b"ab")],
            nodes=[node(0), node(1), node(2)],
            pages={0: page(0, 1), 2: page(7)},
        )
    )
    await storage.commit(Changeset(core.core_id, truncate_to=0, head=Head(0, 0, 1)))
    assert await storage.nodes(core.core_id, range(3)) == {}
    assert await storage.pages(core.core_id) == {}
    with pytest.raises(StorageError):
        await storage.read(core.core_id, 0, 1)


async def test_truncation_drops_bits_past_it(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(
        Changeset(core.core_id, pages={0: page(1, 10, 11, 12, PAGE_BITS - 1), 1: page(0)})
    )
    await storage.commit(Changeset(core.core_id, truncate_to=12, head=Head(12, 12, 1)))
    assert await storage.pages(core.core_id) == {0: page(1, 10, 11)}


async def test_what_a_truncating_step_brings_itself_stays(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(
        Changeset(
            core.core_id,
            blocks=[BlockWrite(0, b"aabbcc")],
            nodes=[node(i, 2) for i in range(5)],
            pages={0: page(0, 1, 2)},
            head=Head(3, 6),
        )
    )
    await storage.commit(
        Changeset(
            core.core_id,
            truncate_to=1,
            blocks=[BlockWrite(2, b"XYZ")],
            nodes=[node(2, 3)],
            pages={0: page(0, 1)},
            head=Head(2, 5, 1),
        )
    )
    storage = await box.reopen()
    core = await find(storage)
    assert core.head == Head(2, 5, 1)
    assert await storage.read(core.core_id, 0, 5) == b"aaXYZ"
    assert await storage.nodes(core.core_id, range(5)) == {0: node(0, 2), 2: node(2, 3)}
    assert await storage.pages(core.core_id) == {0: page(0, 1)}
    with pytest.raises(StorageError):
        await storage.read(core.core_id, 5, 1)


async def test_blocks_past_a_truncation_can_be_written_anew(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    steps = [
        Changeset(core.core_id, blocks=[BlockWrite(0, b"aaaaaaaa")], head=Head(2, 8)),
        Changeset(core.core_id, truncate_to=1, head=Head(1, 4, 1)),
        Changeset(core.core_id, blocks=[BlockWrite(4, b"bb")], head=Head(2, 6, 1)),
    ]
    await asyncio.gather(*map(storage.commit, steps))
    assert await storage.read(core.core_id, 0, 6) == b"aaaabb"
    with pytest.raises(StorageError):
        await storage.read(core.core_id, 4, 4)


async def test_clearing_leaves_the_neighbours(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    data = bytes(range(256)) * 1024
    await storage.commit(
        Changeset(core.core_id, blocks=[BlockWrite(0, data)], head=Head(1, 1 << 18))
    )
    await storage.commit(Changeset(core.core_id, cleared=[ByteRange(1000, 200_000)]))
    assert await storage.read(core.core_id, 0, 1000) == data[:1000]
    assert await storage.read(core.core_id, 201_000, 1000) == data[201_000:202_000]
    assert len(await storage.read(core.core_id, 0, len(data))) == len(data)


async def test_a_cleared_range_can_be_filled_again(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    data = bytes(range(256)) * 1024
    write = Changeset(core.core_id, blocks=[BlockWrite(0, data)])
    clear = Changeset(core.core_id, cleared=[ByteRange(0, len(data))])
    await asyncio.gather(*map(storage.commit, [write, clear, write]))
    assert await storage.read(core.core_id, 0, len(data)) == data


async def test_reading_past_the_end_is_an_error(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    with pytest.raises(StorageError):
        await storage.read(core.core_id, 0, 1)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"abc")]))
    with pytest.raises(StorageError):
        await storage.read_many(core.core_id, [ByteRange(0, 2), ByteRange(2, 2)])


async def test_reading_nothing_gives_nothing_anywhere(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    assert await storage.read(core.core_id, 100, 0) == b""
    assert await storage.read_many(core.core_id, []) == []


async def test_many_reads_come_in_the_order_asked(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(0, b"abcdefgh")]))
    ranges = [ByteRange(4, 2), ByteRange(6, 1), ByteRange(0, 3), ByteRange(3, 0), ByteRange(2, 3)]
    found = await storage.read_many(core.core_id, ranges)
    assert found == [b"ef", b"g", b"abc", b"", b"cde"]


async def test_large_reads_join_neighbours_rightly(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    blocks = [bytes([i]) * 65_536 for i in range(40)]
    writes = [BlockWrite(i * 65_536, block) for i, block in enumerate(blocks)]
    await storage.commit(Changeset(core.core_id, blocks=writes))
    ranges = [ByteRange(i * 65_536, 65_536) for i in range(40)]
    assert await storage.read_many(core.core_id, ranges) == blocks


async def test_a_block_far_out_takes_no_room_before_it(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(1 << 40, b"far")]))
    assert await storage.read(core.core_id, 1 << 40, 3) == b"far"
    assert await storage.read(core.core_id, 5, 3) == bytes(3)


async def test_user_data_can_be_changed_and_removed(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, user_data={"a": b"1", "b": b""}))
    await storage.commit(Changeset(core.core_id, user_data={"a": None, "é\0": b"2"}))
    assert (await find(storage)).user_data == {"b": b"", "é\0": b"2"}


async def test_values_of_the_directory_outlive_it(box: StorageBox) -> None:
    storage = await box.open()
    await storage.set_values({"seed": b"s", "gone": b"g"})
    await storage.set_values({"gone": None, "never": None})
    storage = await box.reopen()
    assert await storage.get_value("seed") == b"s"
    assert await storage.get_value("gone") is None


async def test_many_values_are_read_at_once(box: StorageBox) -> None:
    storage = await box.open()
    values: dict[str, bytes | None] = {
        f"{number}\0é": bytes([number % 256]) for number in range(1200)
    }
    await storage.set_values(values)
    assert await storage.get_values([*values, "missing"]) == values
    assert await storage.get_values([]) == {}


async def test_values_are_listed_by_prefix_in_name_order(box: StorageBox) -> None:
    storage = await box.open()
    names = ["a/b", "a/", "a/é", "a", "b", "a/\U0010ffff\U0010ffff", "a/\0"]
    await storage.set_values({name: name.encode() for name in names})
    assert list(await storage.list_values("a/")) == sorted(n for n in names if n.startswith("a/"))
    assert list(await storage.list_values("")) == sorted(names)


async def test_a_deleted_core_is_gone_and_can_be_made_anew(box: StorageBox) -> None:
    storage = await box.open()
    core, other = await make(storage, 1), await make(storage, 2)
    for each in (core, other):
        await storage.commit(
            Changeset(
                each.core_id,
                blocks=[BlockWrite(0, b"data")],
                nodes=[node(0)],
                pages={0: page(0)},
                user_data={"a": b"b"},
            )
        )
    await storage.delete_core(core.core_id)
    assert await storage.cores() == [other.discovery_key]
    assert await storage.read(other.core_id, 0, 4) == b"data"
    again = await make(storage, 1)
    assert again.core_id != core.core_id
    assert again.user_data == {}
    assert await storage.pages(again.core_id) == {}
    assert await storage.nodes(again.core_id, [0]) == {}
    with pytest.raises(StorageError):
        await storage.read(again.core_id, 0, 1)


async def test_deleting_waits_for_steps_under_way(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    step = Changeset(core.core_id, blocks=[BlockWrite(0, b"data")], nodes=[node(0)])
    await asyncio.gather(storage.commit(step), storage.delete_core(core.core_id))
    assert await storage.cores() == []
    with pytest.raises(UsageError):
        await storage.commit(step)


async def test_a_core_that_is_not_open_is_a_usage_error(box: StorageBox) -> None:
    storage = await box.open()
    with pytest.raises(UsageError):
        await storage.commit(Changeset(99))
    with pytest.raises(UsageError):
        await storage.nodes(99, [0])
    with pytest.raises(UsageError):
        await storage.read(99, 0, 1)


async def test_a_changeset_that_makes_no_sense_changes_nothing(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    for wrong in (
        Changeset(core.core_id, truncate_to=0),
        Changeset(core.core_id, pages={0: b"short"}),
        Changeset(core.core_id, nodes=[TreeNode(0, 1, b"short")]),
        Changeset(core.core_id, nodes=[node(1 << 63)]),
        Changeset(core.core_id, dropped=[(2, 1)]),
        Changeset(core.core_id, blocks=[BlockWrite(-1, b"x")]),
        Changeset(core.core_id, head=Head(1 << 63)),
    ):
        with pytest.raises(UsageError):
            await storage.commit(wrong)
    assert await find(storage) == core


async def test_concurrent_steps_of_one_core_apply_in_order(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    steps = [
        Changeset(
            core.core_id,
            blocks=[BlockWrite(i, bytes([i]))],
            pages={0: page(*range(i + 1))},
            head=Head(i + 1, i + 1),
        )
        for i in range(100)
    ]
    await asyncio.gather(*map(storage.commit, steps))
    storage = await box.reopen()
    core = await find(storage)
    assert core.head.length == 100
    assert await storage.pages(core.core_id) == {0: page(*range(100))}
    assert await storage.read(core.core_id, 0, 100) == bytes(range(100))


async def test_concurrent_steps_of_many_cores_are_all_kept(box: StorageBox) -> None:
    storage = await box.open()
    cores = [await make(storage, name) for name in range(1, 100)]
    steps = [
        Changeset(core.core_id, blocks=[BlockWrite(0, core.key)], head=Head(1, 32))
        for core in cores
    ]
    await asyncio.gather(*map(storage.commit, steps))
    storage = await box.reopen()
    for name in range(1, 100):
        core = await find(storage, name)
        assert core.head == Head(1, 32)
        assert await storage.read(core.core_id, 0, 32) == core.key


async def test_only_a_storage_on_disk_names_a_data_file(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(3, b"abc")]))
    path = storage.data_file(core.core_id)
    if box.kind is StorageKind.MEMORY:
        assert path is None
    else:
        assert path is not None
        assert await asyncio.to_thread(Path(path).read_bytes) == b"\0\0\0abc"


async def test_nodes_are_walked_in_order_and_in_pieces(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    held = [node(index) for index in (0, 1, 2, 5, 9, 1 << 40)]
    await storage.commit(Changeset(core.core_id, nodes=held[::-1]))
    assert await storage.nodes_from(core.core_id, 0, 100) == held
    assert await storage.nodes_from(core.core_id, 2, 2) == held[2:4]
    assert await storage.nodes_from(core.core_id, (1 << 40) + 1, 2) == []


async def test_dropped_nodes_are_gone_and_others_may_take_their_place(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    steps = [
        Changeset(core.core_id, blocks=[BlockWrite(0, b"abc")], nodes=[node(i) for i in range(9)]),
        Changeset(core.core_id, dropped=[(2, 5), (7, 8)], nodes=[node(3, 7)]),
        Changeset(core.core_id, nodes=[node(4, 8)]),
    ]
    await asyncio.gather(*map(storage.commit, steps))
    storage = await box.reopen()
    core = await find(storage)
    found = await storage.nodes_from(core.core_id, 0, 100)
    assert [n.index for n in found] == [0, 1, 3, 4, 5, 6, 8]
    assert [n.size for n in found] == [1, 1, 7, 8, 1, 1, 1]
    assert await storage.read(core.core_id, 0, 3) == b"abc"


async def test_the_end_of_the_block_bytes_is_told(box: StorageBox) -> None:
    storage = await box.open()
    core = await make(storage)
    assert await storage.data_size(core.core_id) == 0
    await storage.commit(Changeset(core.core_id, blocks=[BlockWrite(3, b"abc")]))
    assert await storage.data_size(core.core_id) == 6


async def test_sound_tables_have_nothing_wrong(box: StorageBox) -> None:
    storage = await box.open()
    await make(storage)
    assert await storage.check() == []

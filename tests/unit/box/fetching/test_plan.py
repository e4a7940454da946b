from pearbox_edge.box.fetching.plan import BATCH_BYTES, BATCH_FILES, batches, in_order_of_blocks
from pearbox_edge.box.fetching.plan import place as place_below
from pearbox_edge.data.blobs import BlobId
from pearbox_edge.data.drive import Entry


def entry(path: str, block: int | None = None, size: int = 1) -> Entry:
    blob = None if block is None else BlobId(block, 1, 0, size)
    return Entry(path, 1, blob=blob)


def test_the_whole_drive_keeps_its_paths() -> None:
    assert [item.target for item in place_below([entry("/a"), entry("/b/c")], "")] == ["/a", "/b/c"]


def test_a_folder_goes_into_the_destination_itself() -> None:
    items = place_below([entry("/b/c"), entry("/b/d/e"), entry("/bc")], "/b")
    assert [item.target for item in items] == ["/c", "/d/e"]


def test_a_single_file_keeps_its_name() -> None:
    assert [item.target for item in place_below([entry("/b/c")], "/b/c")] == ["/c"]


def test_files_are_taken_as_their_blocks_lie_and_links_first() -> None:
    items = place_below([entry("/a", 7), entry("/b", 3), entry("/link")], "")
    assert [item.target for item in in_order_of_blocks(items)] == ["/link", "/b", "/a"]


def test_groups_are_bounded_in_files_and_bytes() -> None:
    small = place_below([entry(f"/{n}", n) for n in range(BATCH_FILES + 1)], "")
    assert [len(group) for group in batches(small)] == [BATCH_FILES, 1]
    big = place_below([entry(f"/{n}", n, BATCH_BYTES) for n in range(3)], "")
    assert [len(group) for group in batches(big)] == [1, 1, 1]
    assert list(batches([])) == []

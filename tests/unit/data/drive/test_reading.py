"""Reading a drive: folders, pages, links, differences; against a model and against liars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee import Header, Level, Metadata, encode_header, encode_index, encode_node
from pearbox_edge.data.drive import Hyperdrive, encode_value
from pearbox_edge.errors import InputError, PeerError
from tests.kit.drives import new_drive


async def filled(drive: Hyperdrive, *paths: str) -> None:
    async with await drive.batch() as batch:
        for path in paths:
            await batch.put(path, path.encode())


async def test_a_folder_is_listed_with_all_below_it_only() -> None:
    async with new_drive() as drive:
        await filled(drive, "/docs/a", "/docs/b/c", "/docs", "/docs0", "/docs-x", "/z")
        assert [e.path async for e in drive.list("/docs")] == ["/docs/a", "/docs/b/c"]
        assert [e.path async for e in drive.list("docs/")] == ["/docs/a", "/docs/b/c"]
        assert len([e async for e in drive.list()]) == 6


async def test_children_are_files_and_folders_beside_each_other() -> None:
    async with new_drive() as drive:
        await filled(drive, "/docs/a", "/docs/b/c", "/docs", "/docs0", "/docs-x", "/z/1", "/z/2")
        found = [(c.name, c.is_folder, c.entry.path) async for c in drive.children()]
        assert found == [
            ("docs", False, "/docs"),
            ("docs-x", False, "/docs-x"),
            ("docs", True, "/docs/a"),
            ("docs0", False, "/docs0"),
            ("z", True, "/z/1"),
        ]


names = st.sampled_from(["a", "b", "a0", "a-", "ä", "b.txt"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(paths, max_size=20), st.sampled_from(["/", "/a", "/b"]), st.integers(1, 4))
async def test_pages_put_together_are_the_whole(present: set[str], folder: str, size: int) -> None:
    async with new_drive() as drive:
        await filled(drive, *present)
        below = folder.rstrip("/") + "/"
        expected = sorted((p for p in present if p.startswith(below)), key=str.encode)
        found: list[str] = []
        after = None
        while page := await drive.page(folder, after=after, limit=size):
            found += [entry.path for entry in page]
            after = found[-1]
        assert found == expected
        children = [child async for child in drive.children(folder)]
        firsts = {(p[len(below) :].split("/")[0], "/" in p[len(below) :]) for p in expected}
        assert {(child.name, child.is_folder) for child in children} == firsts
        assert len(children) == len(firsts)
        for at, child in enumerate(children):
            after = child.name + "/" * child.is_folder
            rest = [later async for later in drive.children(folder, after=after)]
            assert rest == children[at + 1 :]
        shallow = [entry.path async for entry in drive.list(folder, recursive=False)]
        assert set(shallow) <= {child.entry.path for child in children}
        for at, path in enumerate(shallow):
            rest_ = [e.path async for e in drive.list(folder, recursive=False, after=path)]
            assert set(shallow[at + 1 :]) <= set(rest_)
        assert {name async for name in drive.readdir(folder)} == {name for name, _ in firsts}


async def test_links_are_followed_to_their_end() -> None:
    async with new_drive() as drive:
        await drive.put("/docs/a", b"content")
        await drive.symlink("/one", "/two")
        await drive.symlink("/two", "/docs/a")
        await drive.symlink("/lost", "/nowhere")
        await drive.symlink("/circle", "/circle")
        await drive.symlink("/out", "/../..")
        assert await drive.get("/one") is None
        assert await drive.get("/one", follow=True) == b"content"
        entry = await drive.entry("/one")
        assert entry is not None
        assert await drive.get(entry, follow=True) == b"content"
        assert await drive.entry("/lost", follow=True) is None
        for path in ("/circle", "/out"):
            with pytest.raises(PeerError, match=drive.key[:4].hex()):
                await drive.entry(path, follow=True)


async def test_a_file_is_read_in_parts_and_pieces() -> None:
    async with new_drive() as drive:
        await drive.put("/f", bytes(range(200)))
        await drive.put("/empty", b"")
        await drive.put_entry("/bare")
        assert b"".join([p async for p in drive.read("/f", 10, 5)]) == bytes(range(10, 15))
        assert [run async for run in drive.read_runs("/empty")] == []
        assert [run async for run in drive.read_runs("/bare")] == []
        assert await drive.get("/empty") == b""
        assert await drive.get("/bare") is None
        assert await drive.get("/none") is None
        with pytest.raises(InputError):
            [run async for run in drive.read_runs("/none")]


async def test_sizes_and_places_of_all_kinds_of_entries() -> None:
    async with new_drive() as drive:
        blobs = await drive.get_blobs()
        mapped = await blobs.put_mapped([b"aa", b"bb", b"aa"])
        await drive.put_entry("/mapped", blob=mapped)
        await drive.put("/plain", b"12345")
        await drive.symlink("/link", "/plain")
        for path, size in (("/mapped", 6), ("/plain", 5), ("/link", 0)):
            entry = await drive.entry(path)
            assert entry is not None
            assert await drive.size(entry) == size
            assert await drive.blob_location(entry) is None
        assert await drive.get("/mapped") == b"aabbaa"
        assert await drive.has("/mapped")
        assert await drive.blobs_length() == blobs.core.length


async def test_history_and_diff_speak_of_files() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"1")
        await drive.put("/b/c", b"2")
        version = drive.version
        await drive.delete("/a")
        await drive.put("/b/c", b"3")
        steps = [(s.seq, s.path, s.entry is None) async for s in drive.history()]
        assert steps == [
            (1, "/a", False), (2, "/b/c", False), (3, "/a", True), (4, "/b/c", False)
        ]  # fmt: skip
        assert [s.seq async for s in drive.history(reverse=True)] == [4, 3, 2, 1]
        changes = [c async for c in drive.diff(version)]
        assert [(c.left and c.left.seq, c.right and c.right.seq) for c in changes] == [
            (None, 1),
            (4, 2),
        ]
        assert len([c async for c in drive.diff(version, "/b")]) == 1


async def test_has_tells_of_files_and_folders() -> None:
    async with new_drive() as drive:
        await filled(drive, "/a/1", "/a/2")
        await drive.symlink("/a/link", "/a/1")
        assert await drive.has()
        assert await drive.has("/a")
        assert await drive.has("/a/1")
        assert not await drive.has("/a/link")
        assert not await drive.has("/none")
        await drive.clear("/a/1")
        assert not await drive.has("/a/1")
        assert not await drive.has("/a/")
        assert await drive.has("/a/2")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (b"/f", b"not json"),
        (b"/f", None),
        (b"/f", b"[1]"),
        (b"/\xff", b"{}"),
        (b"/f", b'{"blob":{"blockOffset":0}}'),
    ],
)
async def test_an_entry_that_lies_is_an_error_that_names_the_drive(
    path: bytes, value: bytes | None
) -> None:
    async with new_drive() as drive:
        await drive.bee.sub(b"files").put(path, value)
        with pytest.raises(PeerError, match=drive.key[:4].hex()):
            [entry async for entry in drive.list()]


async def test_an_entry_past_the_end_of_the_bytes_is_an_error() -> None:
    async with new_drive() as drive:
        await drive.put("/a", b"1")
        entry = await drive.entry("/a")
        assert entry is not None
        assert entry.blob is not None
        value = encode_value(blob=type(entry.blob)(5, 1, 1, 1))
        await drive.bee.sub(b"files").put(b"/b", value)
        with pytest.raises(PeerError):
            await drive.get("/b")
        with pytest.raises(PeerError):
            await drive.download()
        assert not await drive.has("/b")


async def test_a_tree_in_circles_ends_in_an_error() -> None:
    async with new_drive() as drive:
        circle = encode_index([Level([1], [1, 0, 1, 0])])
        node = encode_node(b"files\0/a", b"{}", circle)
        await drive.core.append([encode_header(Header(Metadata())), node])
        for reading in (drive.entry("/0"), drive.page(), drive.has(), drive.download()):
            with pytest.raises(PeerError):
                await reading

"""Changes reach those who are connected, while they are connected."""

from pathlib import Path

import pytest

from tests.kit.copying import fetch, next_version, numbered, share, snapshot, write
from tests.kit.peers import Event, JsPeer, Peer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(90),
    pytest.mark.usefixtures("js_peers"),
]


async def change(watcher: Peer, op: str, path: str) -> Event:
    """Wait until watch.mjs has told of this change."""
    while True:
        event = await watcher.wait("version")
        for found in event["changes"]:
            if found["op"] == op and found["path"] == path:
                return dict(found)


async def test_a_node_peer_sees_what_changes_in_our_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "first.txt", "first")
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        where = ("--key", ready["key"], "--tcp", ready["tcp"], "--storage", tmp_path / "watch")
        async with JsPeer("watch.mjs", *where, "--diff", "--get") as watcher:
            assert (await change(watcher, "put", "/first.txt"))["head"] == "first"
            write(folder / "new.txt", "hello")
            assert (await change(watcher, "put", "/new.txt"))["head"] == "hello"
            write(folder / "first.txt", "second, and longer")
            assert (await change(watcher, "put", "/first.txt"))["head"] == "second, and longer"
            (folder / "link.txt").symlink_to("new.txt")
            assert (await change(watcher, "put", "/link.txt"))["linkname"] == "new.txt"
            write(folder / "sub" / "big.bin", numbered(300_000))
            assert (await change(watcher, "put", "/sub/big.bin"))["got"] == 300_000
            (folder / "first.txt").unlink()
            await change(watcher, "del", "/first.txt")
            (folder / "new.txt").rename(folder / "moved.txt")
            await change(watcher, "put", "/moved.txt")
        assert await sharer.stop() == 0


async def test_we_mirror_what_a_node_peer_changes(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write(folder / "first.txt", "first")
    async with share("js", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        async with fetch("ours", ready, out, tmp_path / "fetch", "--watch") as mirror:
            await mirror.wait("done")
            assert (out / "first.txt").read_text() == "first"
            await sharer.ask(cmd="put", path="/new.txt", text="hello")
            await next_version(mirror, lambda: (out / "new.txt").exists())
            assert (out / "new.txt").read_text() == "hello"
            await sharer.ask(cmd="put", path="/first.txt", text="second", executable=True)
            await next_version(mirror, lambda: (out / "first.txt").read_text() == "second")
            assert (out / "first.txt").stat().st_mode & 0o100
            await sharer.ask(cmd="symlink", path="/link.txt", target="new.txt")
            await next_version(mirror, lambda: (out / "link.txt").is_symlink())
            await sharer.ask(cmd="del", path="/first.txt")
            last = await next_version(mirror, lambda: not (out / "first.txt").exists())
            stats = await sharer.ask(cmd="stats")
            assert last["version"] == stats["version"]
            assert await mirror.stop() == 0


async def test_our_mirror_follows_our_folder(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    write(folder / "a.txt", "a")
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        async with fetch("ours", ready, out, tmp_path / "fetch", "--watch") as mirror:
            await mirror.wait("done")
            for number in range(50):
                write(folder / "many" / f"{number}.txt", str(number))
            (folder / "a.txt").unlink()
            await next_version(mirror, lambda: snapshot(out) == snapshot(folder))


async def test_several_node_peers_see_a_change_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "a")
    async with share("ours", folder, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        where = ("--key", ready["key"], "--tcp", ready["tcp"], "--diff")
        async with JsPeer("watch.mjs", *where) as one, JsPeer("watch.mjs", *where) as two:
            for watcher in (one, two):
                await change(watcher, "put", "/a.txt")
            write(folder / "b.txt", "b")
            for watcher in (one, two):
                await change(watcher, "put", "/b.txt")


async def test_a_single_file_is_followed_when_editors_replace_it(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write(file, "one")
    async with share("ours", file, tmp_path / "share") as sharer:
        ready = await sharer.wait("ready")
        where = ("--key", ready["key"], "--tcp", ready["tcp"], "--storage", tmp_path / "watch")
        async with JsPeer("watch.mjs", *where, "--diff", "--get") as watcher:
            assert (await change(watcher, "put", "/note.txt"))["head"] == "one"
            for text in ("two", "three"):
                write(tmp_path / "new", text)
                (tmp_path / "new").rename(file)
                assert (await change(watcher, "put", "/note.txt"))["head"] == text
        assert await sharer.stop() == 0

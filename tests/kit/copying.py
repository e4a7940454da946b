"""Sharing and fetching a folder over loopback TCP, by our command or by the Node peers."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from .peers import Event, JsPeer, OurPeer, Peer, Word

Side = Literal["ours", "js"]

PAIRS: list[tuple[Side, Side]] = [("ours", "js"), ("js", "ours"), ("ours", "ours")]
"""Who shares, who fetches: both directions, and ours alone."""

LOOPBACK = "127.0.0.1:0"


def share(side: Side, folder: Path, data: Path, *args: Word, listen: str = LOOPBACK) -> Peer:
    """Share a folder; `ready` says `key` and `tcp`. Starting it again goes on with the same."""
    if side == "ours":
        options = ("--json", "--no-lan", "--listen", listen, "--data", data)
        return OurPeer("share", folder, *options, *args)
    path = () if data.exists() else ("--path", folder)  # a second import would add it all again
    return JsPeer("share.mjs", "--storage", data, *path, "--tcp", listen, *args)


def fetch(
    side: Side, ready: Event, out: Path, data: Path, *args: Word, peer: str | None = None
) -> Peer:
    """Fetch what a sharer is `ready` with, from its address or from `peer`; ends with `done`."""
    address = peer or ready["tcp"]
    if side == "ours":
        options = ("--json", "--no-lan", "--peer", address, "--data", data)
        return OurPeer("get", f"pear://{ready['key']}", out, *options, *args)
    where = ("--key", ready["key"], "--tcp", address, "--storage", data, "--out", out)
    return JsPeer("fetch.mjs", *where, *args)


async def copy(pair: tuple[Side, Side], folder: Path, work: Path, *, seconds: float = 60) -> Path:
    """Share the folder with one side, fetch it with the other; returns the copy."""
    out = work / "out"
    async with share(pair[0], folder, work / "share") as sharer:
        ready = await sharer.wait("ready", timeout=seconds)
        async with fetch(pair[1], ready, out, work / "fetch") as fetcher:
            done = await fetcher.wait_exit(timeout=seconds)
        assert done["event"] == "done"
    return out


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and link of a folder: name to content, as a drive keeps it."""
    found: dict[str, str] = {}
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in [*names, *links]:
            path = Path(where) / name
            key = path.relative_to(folder).as_posix()
            found[key] = describe(path)
    return found


def describe(path: Path) -> str:
    """A link's target; or a file's hash, and whether its owner may run it."""
    if path.is_symlink():
        return f"-> {path.readlink()}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest + (" executable" if path.stat().st_mode & 0o100 else "")


def write(path: Path, data: bytes | str, *, executable: bool = False) -> Path:
    """A file with all its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    if executable:
        path.chmod(0o755)
    return path


def numbered(size: int, name: str = "") -> bytes:
    """Bytes without repeats, the same for the same name and size."""
    return hashlib.shake_128(name.encode()).digest(size)


async def next_version(peer: Peer, wanted: Callable[[], bool], *, seconds: float = 30) -> Event:
    """Wait for `version` events of a peer until one after which `wanted` holds."""
    event = await peer.wait("version", timeout=seconds)
    while not wanted():
        event = await peer.wait("version", timeout=seconds)
    return event

"""A store of ours on loopback TCP, for Node peers to read from and to be read."""

import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pearbox_edge.box.peers import PeerHub
from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.drive import DriveReader
from pearbox_edge.data.storage import SqliteStorage
from pearbox_edge.data.store import Corestore

Files = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Ours:
    """A store that others can reach at `tcp`, and that dials with `connect`."""

    store: Corestore
    hub: PeerHub
    tcp: str

    def connect(self, tcp: str) -> None:
        """Keep connected to another one."""
        host, _, port = tcp.rpartition(":")
        self.hub.add_address(tcp, host, int(port))


@asynccontextmanager
async def our_store(path: Path) -> AsyncIterator[Ours]:
    """Our side, on disk, listening."""
    key_pair = KeyPair.from_seed(secrets.token_bytes(32))
    async with (
        await SqliteStorage.open(path) as storage,
        Corestore(storage, random_bytes=secrets.token_bytes) as store,
        PeerHub(store, key_pair, secrets.token_bytes, lambda _: None) as hub,
    ):
        host, port = await hub.listen("127.0.0.1", 0)
        yield Ours(store, hub, f"{host}:{port}")


async def everything(view: DriveReader) -> Files:
    """Each file with what is in it, in the words of drive.mjs."""
    files: Files = {}
    async for entry in view.list():
        data = await view.get(entry)
        files[entry.path] = {
            "sha256": None if data is None else hashlib.sha256(data).hexdigest(),
            "executable": entry.executable,
            "linkname": entry.linkname,
            "metadata": entry.metadata,
            "blob": None if entry.blob is None else entry.blob.to_json(),
        }
    return files

"""The wiring: the only file that knows every room, and the order in which they start and stop.

What talks to others (sockets, mDNS) is imported when it is started: a command that only looks
into a data directory does not wait for it.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pearbox_edge.box.drives import Library
from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import Finding, verify_storage
from pearbox_edge.data.drive import Hyperdrive
from pearbox_edge.data.storage import Rebuilt, SqliteStorage, Storage
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import InputError
from pearbox_edge.ids import CoreKey, DiscoveryKey
from pearbox_edge.wire import z32_encode

if TYPE_CHECKING:
    from pearbox_edge.box.peers import PeerEvent, PeerHub
    from pearbox_edge.lan import LanDiscovery, LanPeer

_IDENTITY = "identity/seed"


@dataclass(frozen=True, slots=True)
class Node:
    """What runs in one process on one data directory."""

    storage: Storage
    store: Corestore
    library: Library
    hub: "PeerHub"
    lan: "LanDiscovery | None"

    async def shared_drive(self, paths: Sequence[str], name: str | None) -> Hyperdrive:
        """The drive of this data directory for these paths, or for this name."""
        return await self.library.of_paths(paths, name)

    async def remote_drive(self, key: CoreKey) -> Hyperdrive:
        """Somebody's drive, by its key."""
        return await self.library.remote(key)

    async def announce(self, topic: DiscoveryKey, port: int) -> None:
        """Be found on the LAN by those who look for a drive."""
        if self.lan is not None:
            await self.lan.announce(z32_encode(topic), port)

    def find(self, topic: DiscoveryKey, peers: Sequence[tuple[str, int]]) -> None:
        """Keep connected to the given peers, and to all that the LAN has for a drive."""
        for host, port in peers:
            self.hub.add_address(f"{host}:{port}", host, port)
        if self.lan is not None:
            self.lan.browse(z32_encode(topic), self._found, self._lost)

    def _found(self, peer: "LanPeer") -> None:
        self.hub.add_address(f"lan:{peer.instance}", peer.host, peer.port)

    def _lost(self, peer: "LanPeer") -> None:
        self.hub.remove_address(f"lan:{peer.instance}", peer.host, peer.port)


@asynccontextmanager
async def open_node(
    data: Path, on_peer: "Callable[[PeerEvent], None]", *, lan: bool
) -> AsyncIterator[Node]:
    """Start everything on a data directory; stop it in the opposite order.

    Raises StorageError when another process uses the directory, or the disk refuses.
    """
    from pearbox_edge.box.peers import PeerHub

    async with AsyncExitStack() as stack:
        storage, store, library = await _open_data(stack, data, offline=False)
        key_pair = await _identity(storage)
        hub = await stack.enter_async_context(
            PeerHub(store, key_pair, secrets.token_bytes, on_peer)
        )
        discovery = None
        if lan:
            from pearbox_edge.lan import LanDiscovery, LanOptions

            discovery = await stack.enter_async_context(
                LanDiscovery(LanOptions(), secrets.token_bytes)
            )
        yield Node(storage, store, library, hub, discovery)


@asynccontextmanager
async def open_library(data: Path, *, make: bool = False) -> AsyncIterator[Library]:
    """The drives of a data directory that no other process uses, without any peers.

    make: also where there is no data yet; else InputError. Raises StorageError as `open_node`.
    (A running box will answer for its own directory here.)
    """
    if not make and not (data / "pearbox.db").exists():
        raise InputError(f"there is no data in {data}: share or get something first, or see --data")
    async with AsyncExitStack() as stack:
        _, _, library = await _open_data(stack, data, offline=True)
        yield library


async def rebuild_data(data: Path) -> tuple[Rebuilt, list[Finding]]:
    """Replace a damaged database by what can be read of it, and check all that was saved.

    What does not hold is let go, so that it is fetched again. The damaged one is kept.
    """
    if not (data / "cores").exists():
        raise InputError(f"there is no data in {data}: say with --data where it is")
    rebuilt = await SqliteStorage.rebuild(data)
    async with await SqliteStorage.open(data) as storage:
        return rebuilt, [finding async for finding in verify_storage(storage, repair=True)]


async def _open_data(
    stack: AsyncExitStack, data: Path, *, offline: bool
) -> tuple[Storage, Corestore, Library]:
    storage = await SqliteStorage.open(data)
    stack.push_async_callback(storage.close)
    store = Corestore(storage, random_bytes=secrets.token_bytes, offline=offline)
    await store.open()
    stack.push_async_callback(store.close)
    library = Library(store)
    stack.push_async_callback(library.close)
    return storage, store, library


async def _identity(storage: Storage) -> KeyPair:
    """The key pair that names this data directory to other machines, made once."""
    seed = await storage.get_value(_IDENTITY)
    if seed is None:
        seed = secrets.token_bytes(32)
        await storage.set_values({_IDENTITY: seed})
    return KeyPair.from_seed(seed)

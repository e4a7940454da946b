"""The store's shell: opens cores once for all their users, and replicates them over streams."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from pearbox_edge.crypto import KeyPair, discovery_key
from pearbox_edge.data.core import Hypercore, Manifest, Proof
from pearbox_edge.data.replication import PROTOCOL, Replicator, StreamLink, Traffic
from pearbox_edge.data.storage import Storage
from pearbox_edge.errors import StorageError, UnavailableError, UsageError
from pearbox_edge.ids import KEY_SIZE, CoreKey, DiscoveryKey
from pearbox_edge.net.mux import Mux
from pearbox_edge.net.stream import MessageStream

from .names import ROOT_NAMESPACE, Name, alias_name, child_namespace, key_pair_of, manifest_of
from .open_cores import OpenCore, OpenCores

logger = logging.getLogger(__name__)

_PRIMARY_KEY = "corestore/primary-key"
_SWEEP_SECONDS = 2.0  # SPEC sheet 16: rounds of two seconds
MAX_CHANNELS = 2048
"""TUNING: cores on one stream; what the peer asks for past that is rejected."""


class Corestore:
    """Many cores under one primary key, sharing one storage and all streams.

    Made with a storage; `open` before use and `close` at the end (or `async with`). What
    `namespace` gives shares everything with the store it came from; only that one is closed.
    `active` False: never opens a channel by itself, only answers. `offline`: there will be no
    streams, so what is not held fails at once.
    Upstream: npm corestore 7.12.5.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        primary_key: bytes | None = None,
        random_bytes: Callable[[int], bytes] | None = None,
        manifest_version: int = 1,
        active: bool = True,
        offline: bool = False,
    ) -> None:
        if primary_key is not None and len(primary_key) != KEY_SIZE:
            raise UsageError(f"a primary key is {KEY_SIZE} bytes, not {len(primary_key)}")
        self._shared = _Shared(
            storage, primary_key, random_bytes, manifest_version, active, offline
        )
        self._namespace = ROOT_NAMESPACE

    async def open(self) -> Self:
        """Read (or make) the primary key. UsageError if one is needed and cannot be made."""
        await self._shared.open()
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def storage(self) -> Storage:
        """Where everything is kept."""
        return self._shared.storage

    @property
    def links(self) -> list[StreamLink]:
        """The streams being replicated, with what went over them."""
        return list(self._shared.links)

    @property
    def traffic(self) -> Traffic:
        """What went over all streams since the store was opened, those that ended too."""
        total = self._shared.ended_traffic
        for link in self._shared.links:
            total = total + link.traffic
        return total

    def namespace(self, name: Name) -> "Corestore":
        """The same store with another prefix for names; nests."""
        child = object.__new__(type(self))
        child._shared = self._shared
        child._namespace = child_namespace(self._namespace, name)
        return child

    def key_pair(self, name: Name) -> KeyPair:
        """The key pair that writes the core `name` of this namespace."""
        return key_pair_of(self._shared.primary_key, self._namespace, name)

    async def get(
        self,
        name: Name | None = None,
        *,
        key: CoreKey | None = None,
        key_pair: KeyPair | None = None,
        manifest: Manifest | None = None,
        discovery_key: DiscoveryKey | None = None,
        encryption_key: bytes | None = None,
    ) -> Hypercore:
        """A handle on one core, opened once however many hold it; `close` the handle after use.

        By name (writable, kept under an alias), key, key pair (writable), manifest or discovery
        key (UnavailableError, code STORAGE_EMPTY, unless it is held here).
        """
        shared = self._shared
        if name is not None:
            key_pair = self.key_pair(name)
            stored = await shared.storage.get_value(alias_name(self._namespace, name))
            if stored is not None:
                held = await shared.storage.open_core(DiscoveryKey(stored))
                if held is not None:
                    return await shared.get(held.key, key_pair=key_pair, encryption=encryption_key)
        if manifest is None and key_pair is not None and key is None:
            manifest = manifest_of(key_pair, shared.manifest_version)
        if key is None and manifest is not None:
            key = manifest.key
        if key is None:
            if discovery_key is None:
                raise UsageError(
                    "a core is found by name, key, key pair, manifest or discovery key"
                )
            held = await shared.storage.open_core(discovery_key)
            if held is None:
                raise UnavailableError("no such core is stored here", code="STORAGE_EMPTY")
            key = held.key
        core = await shared.get(key, manifest, key_pair, encryption_key)
        if name is not None:
            alias: dict[str, bytes | None] = {
                alias_name(self._namespace, name): bytes(core.discovery_key)
            }
            await shared.storage.set_values(alias)
        return core

    async def has(self, name: Name) -> bool:
        """Whether the core `name` of this namespace was ever opened here."""
        stored = await self._shared.storage.get_value(alias_name(self._namespace, name))
        return stored is not None

    async def purge(self, discovery_key: DiscoveryKey) -> None:
        """Delete a core with all its bytes. UnavailableError while anybody has it open."""
        await self._shared.purge(discovery_key)

    async def list(self) -> list[DiscoveryKey]:
        """Discovery keys of all cores held, oldest first."""
        return await self._shared.storage.cores()

    async def replicate(self, stream: MessageStream) -> None:
        """Replicate over a stream until it ends; the stream is closed then.

        Every open core is offered; cores that are only stored are answered for. Returns when the
        stream ends or breaks; PeerError if the peer broke a rule, lied or stalled.
        """
        await self._shared.replicate(stream)

    @contextmanager
    def finding_peers(self) -> Iterator[None]:
        """Say that peers are being searched for: updates wait for the first one meanwhile."""
        shared = self._shared
        shared.find(1)
        try:
            yield
        finally:
            shared.find(-1)

    async def close(self) -> None:
        """End all streams and cores; what was accepted is durable then. The storage stays open."""
        await self._shared.close()


class _Shared:
    """What a store and its namespaces have in common."""

    def __init__(
        self,
        storage: Storage,
        primary_key: bytes | None,
        random_bytes: Callable[[int], bytes] | None,
        manifest_version: int,
        active: bool,
        offline: bool,
    ) -> None:
        self.storage = storage
        self._offline = offline
        self.manifest_version = manifest_version
        self.links: dict[StreamLink, None] = {}
        self.ended_traffic = Traffic()
        self._active = active
        self._primary_key = primary_key
        self._random_bytes = random_bytes
        self._cores = OpenCores()
        self._lock = asyncio.Lock()
        """Cores are opened and closed one at a time, so that none is ever open twice."""
        self._finding = 0
        self._sweeper: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def primary_key(self) -> bytes:
        """The secret all named cores come from."""
        if self._primary_key is None:
            raise UsageError("the store is not open")
        return self._primary_key

    async def open(self) -> None:
        """See Corestore.open."""
        if self._sweeper is not None:
            return
        stored = await self.storage.get_value(_PRIMARY_KEY)
        if self._primary_key is None:
            if stored is None:
                if self._random_bytes is None:
                    raise UsageError(
                        "a new store needs a primary key or random bytes to make it of"
                    )
                stored = self._random_bytes(KEY_SIZE)
                await self.storage.set_values({_PRIMARY_KEY: stored})
            self._primary_key = stored
        elif stored != self._primary_key:
            await self.storage.set_values({_PRIMARY_KEY: self._primary_key})
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="corestore sweep")

    async def get(
        self,
        key: CoreKey,
        manifest: Manifest | None = None,
        key_pair: KeyPair | None = None,
        encryption: bytes | None = None,
    ) -> Hypercore:
        """One more handle on a core."""
        async with self._lock:
            self._check_open()
            entry = self._cores.get(discovery_key(key))
            if entry is None:
                entry = await self._open(key, manifest, key_pair)
            core = entry.core.session()
            if manifest is not None and core.manifest is None:
                await core.accept_many([Proof(core.fork, manifest=manifest)])
            if key_pair is not None and core.key_pair is None:
                core.key_pair = key_pair
            if encryption is not None and not core.encrypted:
                core.set_encryption(encryption)
            entry.idle_since = entry.unheld_since = None
            if self._active:
                entry.replicator.set_downloading(True)
                for link in self.links:
                    entry.replicator.attach(link)
        return core

    async def _open(
        self, key: CoreKey, manifest: Manifest | None, key_pair: KeyPair | None
    ) -> OpenCore:
        core = await Hypercore.open(self.storage, key=key, manifest=manifest, key_pair=key_pair)
        replicator = Replicator(core)
        replicator.set_finding(self._finding)
        if self._offline:
            core.fetcher = None
        entry = OpenCore(core, replicator)
        self._cores.add(entry)
        for link in self.links:
            replicator.attach(link, open_channel=False)
        return entry

    def _check_open(self) -> None:
        if self._closing:
            raise UnavailableError("the store is closed", code="STORE_CLOSED")

    # Streams

    async def replicate(self, stream: MessageStream) -> None:
        """See Corestore.replicate."""
        self._check_open()
        mux = Mux(stream)
        link = StreamLink(mux)
        self.links[link] = None

        async def wanted(id_: bytes | None) -> None:
            await self._answer(link, id_)

        mux.on_remote_open(PROTOCOL, wanted)
        mux.alias("hypercore", PROTOCOL)
        try:
            for entry in self._cores:
                entry.replicator.attach(link, open_channel=self._active and entry.is_held)
            await link.run()
        finally:
            self.links.pop(link, None)
            self.ended_traffic = self.ended_traffic + link.traffic
            for entry in self._cores:
                entry.replicator.detach(link)

    async def _answer(self, link: StreamLink, id_: bytes | None) -> None:
        """The peer opens a core: open it too if it is held here, else leave it to be rejected."""
        if id_ is None or len(id_) != KEY_SIZE or self._closing:
            return
        discovery = DiscoveryKey(id_)
        if len(link.peers) >= MAX_CHANNELS:
            return
        async with self._lock:
            self._check_open()
            entry = self._cores.get(discovery)
            if entry is None:
                try:
                    held = await self.storage.open_core(discovery)
                    if held is None:
                        return
                    entry = await self._open(held.key, None, None)
                except StorageError as error:
                    # The other cores of the stream are served on.
                    logger.error("a core that a peer asks for cannot be served: %s", error)  # noqa: TRY400 (it is known what went wrong)
                    return
            if link in self.links:
                entry.idle_since = None
                entry.replicator.attach(link)

    def find(self, change: int) -> None:
        """Searches for peers began or ended."""
        self._finding += change
        for entry in self._cores:
            entry.replicator.set_finding(self._finding)

    # The end

    async def _sweep_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self.sweep(loop.time())

    async def sweep(self, now: float) -> None:
        """Close the cores that nobody has needed for a while."""
        for entry in self._cores.sweep(now):
            await self._close_core(entry)

    async def _close_core(self, entry: OpenCore) -> None:
        async with self._lock:
            if entry.is_held or not entry.replicator.is_idle:
                return
            self._cores.remove(entry)
            entry.replicator.close()
            await entry.core.close()

    async def purge(self, key: DiscoveryKey) -> None:
        """See Corestore.purge."""
        async with self._lock:
            self._check_open()
            entry = self._cores.get(key)
            if entry is not None:
                if entry.is_held:
                    raise UnavailableError("the core is in use", code="CORE_IN_USE")
                self._cores.remove(entry)
                entry.replicator.close()
                await entry.core.close()
            held = await self.storage.open_core(key)
            if held is not None:
                await self.storage.delete_core(held.core_id)

    async def close(self) -> None:
        """See Corestore.close."""
        if self._closing:
            return
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for link in list(self.links):
            await link.close()
        for entry in self._cores:
            entry.replicator.close()
            self._cores.remove(entry)
            while not entry.core.closed:
                await entry.core.close()

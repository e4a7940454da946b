"""The shell: listens, dials, secures each connection and replicates the store on it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.store import Corestore
from pearbox_edge.errors import InputError, PeerError, UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.logs import short
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.stream import ByteStream
from pearbox_edge.net.tcp import connect, listen

from .targets import Backoff, Target

ANY_HOST = "0.0.0.0"  # noqa: S104 (what a person asks for who wants to be reached)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HubOptions:
    """Limits of the hub; seconds and counts."""

    max_peers: int = 64  # TUNING: a family and an office; each costs some hundred KiB
    max_streams_per_peer: int = 4
    max_handshakes: int = 32  # TUNING: strangers who have connected but not yet proved a key
    max_targets: int = 256  # TUNING: machines remembered for dialling
    handshake_timeout: float = 10.0
    dial_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class PeerOpened:
    """A machine is connected and its key is proved."""

    public_key: PublicKey
    address: tuple[str, int]
    is_initiator: bool
    peers: int


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """A machine went away; `reason` is empty for an orderly end."""

    public_key: PublicKey
    address: tuple[str, int]
    reason: str
    peers: int


PeerEvent = PeerOpened | PeerClosed


class PeerHub:
    """All connections of this process: used with `async with`, which ends every one of them."""

    def __init__(
        self,
        store: Corestore,
        key_pair: KeyPair,
        random_bytes: Callable[[int], bytes],
        on_event: Callable[[PeerEvent], None],
        options: HubOptions | None = None,
    ) -> None:
        self._store = store
        self._key_pair = key_pair
        self._random_bytes = random_bytes
        self._on_event = on_event
        self._options = options or HubOptions()
        self._group = asyncio.TaskGroup()
        self._exits = AsyncExitStack()
        self._streams: dict[PublicKey, list[SecretStream]] = {}
        self._closed = asyncio.Event()
        self._targets: dict[str, Target] = {}
        self._dials: dict[str, asyncio.Task[None]] = {}
        self._handshakes = 0

    @property
    def peers(self) -> int:
        """How many machines are connected now."""
        return len(self._streams)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._dials.values():
            task.cancel()
        await self._exits.aclose()
        await self._group.__aexit__(kind, error, trace)

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Accept connections; gives the address taken (port 0 picks one).

        ANY_HOST takes IPv4 and IPv6 alike. Raises InputError when the address cannot be had.
        """
        if host == ANY_HOST:
            try:
                both = await self._exits.enter_async_context(listen("::", port, self._accepted))
            except (OSError, UnavailableError) as error:
                log.debug("no IPv6 here: %s", error)
            else:
                return host, both.address[1]
        listener = listen(host, port, self._accepted)
        try:
            await self._exits.enter_async_context(listener)
        except (OSError, UnavailableError) as error:
            raise InputError(f"{error}; choose another --listen address") from error
        return listener.address

    def add_address(self, name: str, host: str, port: int) -> None:
        """Keep connected to the machine that we call `name`; this is one of its addresses."""
        target = self._targets.get(name)
        if target is None:
            if len(self._targets) >= self._options.max_targets:
                # A LAN full of made-up announcements: those that came first stay.
                return
            target = self._targets[name] = Target(name)
        target.add(host, port)
        if name not in self._dials:
            self._dials[name] = self._group.create_task(self._keep_dialling(target))

    def remove_address(self, name: str, host: str, port: int) -> None:
        """Dial that address no more; a connection that stands goes on."""
        target = self._targets.get(name)
        if target is not None:
            target.remove(host, port)

    async def _keep_dialling(self, target: Target) -> None:
        backoff = Backoff()
        try:
            while target.addresses:
                for host, port in list(target.addresses):
                    try:
                        raw = await connect(host, port, timeout=self._options.dial_timeout)
                    except (OSError, UnavailableError) as error:
                        log.debug("cannot reach %s:%s: %s", host, port, error)
                        continue
                    if await self._run(raw, is_initiator=True):
                        backoff.succeeded()
                    break
                await asyncio.sleep(backoff.failed())
        finally:
            del self._targets[target.name]
            del self._dials[target.name]

    async def _accepted(self, raw: ByteStream) -> None:
        if self._handshakes >= self._options.max_handshakes:
            raw.abort()
            return
        await self._run(raw, is_initiator=False)

    async def _run(self, raw: ByteStream, *, is_initiator: bool) -> bool:
        """Secure one connection and replicate on it until it ends; whether it got that far."""
        self._handshakes += not is_initiator
        try:
            stream = await (SecretStream.connect if is_initiator else SecretStream.accept)(
                raw, self._key_pair, self._random_bytes, timeout=self._options.handshake_timeout
            )
        except (PeerError, UnavailableError, OSError) as error:
            log.info("no handshake with %s: %s", raw.remote_address[0], error)
            raw.abort()
            return False
        finally:
            self._handshakes -= not is_initiator
        if not self._is_wanted(stream):
            stream.abort()
            # The same machine under a second name: wait until it has gone.
            while is_initiator and stream.remote_public_key in self._streams:
                await self._closed.wait()
            return True
        await self._replicate(stream)
        return True

    def _is_wanted(self, stream: SecretStream) -> bool:
        """Whether a new connection may stay; drops the older one where both ends agree on that."""
        key = stream.remote_public_key
        if key == self._key_pair.public_key:
            return False
        others = self._streams.get(key, [])
        if not others:
            return len(self._streams) < self._options.max_peers
        if stream.is_initiator and any(other.is_initiator for other in others):
            return False
        crossed = [other for other in others if other.is_initiator != stream.is_initiator]
        if crossed:
            # Both ends keep the one that the machine with the greater key dialled.
            if stream.is_initiator != (self._key_pair.public_key > key):
                return False
            for other in crossed:
                other.abort()
        # A machine that dials again may not have noticed yet that its last line is dead, nor we.
        return len(others) < self._options.max_streams_per_peer

    async def _replicate(self, stream: SecretStream) -> None:
        key, address = stream.remote_public_key, stream.remote_address
        self._streams.setdefault(key, []).append(stream)
        self._on_event(PeerOpened(key, address, stream.is_initiator, self.peers))
        reason = ""
        try:
            await self._store.replicate(stream)
        except (PeerError, UnavailableError, OSError) as error:
            reason = str(error)
            log.info("peer %s dropped: %s", short(key), error)
        finally:
            stream.abort()
            streams = self._streams[key]
            streams.remove(stream)
            if not streams:
                del self._streams[key]
            self._closed.set()
            self._closed = asyncio.Event()
            self._on_event(PeerClosed(key, address, reason, self.peers))

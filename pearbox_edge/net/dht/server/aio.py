"""Announce, keep three relays alive, turn handshakes into encrypted streams."""

import asyncio
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.dht.accepting import Acceptor, Attempt, Refuses
from pearbox_edge.net.dht.messages import (
    MAX_RELAYS,
    Command,
    encode_announcement,
)
from pearbox_edge.net.dht.port import UdxPort
from pearbox_edge.net.dht.service import Service
from pearbox_edge.net.dht.signatures import (
    ANNOUNCE_TAG,
    UNANNOUNCE_TAG,
    sign_announcement,
    target_for,
)
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.rpc import Reply, RpcNode
from pearbox_edge.net.udx import Udx, UdxSocket, UdxStream
from pearbox_edge.wire import Address

PING_EVERY = 3.0  # SPEC seconds between looks at the relays
ROUNDS = 100  # SPEC such looks until we announce again
UNANNOUNCE_TIMEOUT = 2.0  # TUNING seconds for taking ourselves off when closing

OnConnection = Callable[[SecretStream], None]

_log = logging.getLogger(__name__)


class DhtServer:
    """Takes connections for one key pair; used with `async with`, made by `Dht.listen`.

    `on_connection` gets each stream as soon as it is connected; it belongs to the callback.
    """

    def __init__(
        self,
        node: RpcNode,
        udx: Udx,
        service: Service,
        key_pair: KeyPair,
        on_connection: OnConnection,
        *,
        random_bytes: Callable[[int], bytes],
        local_addresses: Callable[[], tuple[Address, ...]],
        listening: set["DhtServer"],
        refuses: Refuses | None = None,
    ) -> None:
        """listening: where we are found while we listen."""
        self.target = target_for(key_pair.public_key)
        self.acceptor = Acceptor(key_pair, self, random_bytes, refuses)
        self._node = node
        self._udx = udx
        self._service = service
        self._key_pair = key_pair
        self._on_connection = on_connection
        self._random_bytes = random_bytes
        self._local_addresses = local_addresses
        self._listening = listening
        self._relays: tuple[Address, ...] = ()
        self._streams: dict[int, UdxStream] = {}
        self._refresh = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    @property
    def public_key(self) -> PublicKey:
        """What clients dial."""
        return self._key_pair.public_key

    async def __aenter__(self) -> Self:
        """Answer handshakes, and be announced if the network lets us.

        Raises UsageError if we listen under this key already.
        """
        if self.target in self._service.servers:
            raise UsageError("there is a server with this key already")
        self._service.servers[self.target] = self.acceptor
        try:
            await self._announce()
        except BaseException:
            del self._service.servers[self.target]
            raise
        await self._group.__aenter__()
        self._task = self._group.create_task(self._stay_announced())
        self._listening.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Take no more, be taken off the nodes' lists; connected streams go on."""
        if self._task is not None:
            self._task.cancel()
        self._listening.discard(self)
        del self._service.servers[self.target]
        await self.suspend()
        await self._group.__aexit__(kind, error, tb)

    def refresh(self) -> None:
        """Announce again soon: our network has changed."""
        self._refresh.set()

    async def suspend(self) -> None:
        """Give up who has not come yet, be taken off the nodes' lists; `refresh` ends it."""
        self.acceptor.close()
        relays, self._relays = self._relays, ()
        try:
            async with asyncio.timeout(UNANNOUNCE_TIMEOUT):
                await self._unannounce(relays)
        except TimeoutError:
            _log.debug("not all relays heard that we are gone")

    # -- for the acceptor -------------------------------------------------------------------------

    def own_address(self) -> Address | None:
        """Where everybody reaches us, if they do."""
        return self._node.machine.remote_address

    def addresses(self) -> tuple[Address, ...]:
        """Our public address, if it is known, and the local ones."""
        own = self.own_address()
        return (*(() if own is None else (own,)), *self._local_addresses())

    def relay_addresses(self) -> tuple[Address, ...]:
        """Nodes that pass messages on to us: ourselves first, if everybody reaches us."""
        own = self.own_address()
        return (*(() if own is None else (own,)), *self._relays)[:MAX_RELAYS]

    def open_stream(self, attempt: Attempt) -> int:
        """A stream that connects to where its first packet comes from."""

        def arrived(socket: UdxSocket, host: str, port: int) -> bool:
            if not attempt.connected and attempt.agreement is not None:
                self._connect(attempt, socket, Address(host, port))
            return not attempt.connected

        stream = self._udx.stream(firewall=arrived)
        self._streams[stream.id] = stream
        return stream.id

    def connect(self, attempt: Attempt, address: Address, socket: int | None) -> None:
        """Send to a client that everybody reaches, or that asked us directly."""
        number = self._node.machine.socket if socket is None else socket
        port = self._node.port(number)
        if isinstance(port, UdxPort):
            self._connect(attempt, port.socket, address)

    def abandon(self, attempt: Attempt) -> None:
        """Drop a stream that nobody came for."""
        if attempt.stream_id is not None and not attempt.connected:
            stream = self._streams.pop(attempt.stream_id, None)
            if stream is not None:
                stream.abort()

    def _connect(self, attempt: Attempt, socket: UdxSocket, address: Address) -> None:
        agreement = attempt.agreement
        if attempt.stream_id is None or agreement is None or agreement.remote.udx is None:
            return
        stream = self._streams.pop(attempt.stream_id, None)
        if stream is None:
            return
        attempt.connected = True
        stream.connect(socket, agreement.remote.udx.id, *address)
        self._on_connection(SecretStream.start(stream, agreement.keys, self._random_bytes))

    # -- being announced --------------------------------------------------------------------------

    async def _stay_announced(self) -> None:
        while True:
            for _ in range(ROUNDS):
                await self._pause()
                self.acceptor.expire(time.monotonic())
                if self._refresh.is_set() or not await self._are_relays_alive():
                    break
            self._refresh.clear()
            await self._announce()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PING_EVERY):
                await self._refresh.wait()
        except TimeoutError:
            pass

    async def _are_relays_alive(self) -> bool:
        relays = self._relays
        answers = await asyncio.gather(
            *(self._node.ping(relay) for relay in relays), return_exceptions=True
        )
        alive = sum(not isinstance(answer, BaseException) for answer in answers)
        return bool(relays) and alive == len(relays)

    async def _announce(self) -> None:
        before = self._relays
        try:
            closest = await self._node.query(self.target, Command.FIND_PEER).finished()
        except UnavailableError as error:
            _log.debug("no walk to our own key: %s", error)
            return
        best = [reply for reply in closest if reply.token is not None][:MAX_RELAYS]
        taken = await asyncio.gather(
            *(self._store(Command.ANNOUNCE, ANNOUNCE_TAG, reply) for reply in best)
        )
        relays = [reply.sender for reply, ok in zip(best, taken, strict=True) if ok]
        self._relays = tuple(relays)
        await self._unannounce(tuple(relay for relay in before if relay not in relays))

    async def _unannounce(self, relays: tuple[Address, ...]) -> None:
        await asyncio.gather(*(self._unannounce_from(relay) for relay in relays))

    async def _unannounce_from(self, relay: Address) -> None:
        try:
            reply = await self._node.request(relay, Command.FIND_PEER, target=self.target)
        except UnavailableError:
            return
        if reply.value:
            await self._store(Command.UNANNOUNCE, UNANNOUNCE_TAG, reply)

    async def _store(self, command: Command, tag: bytes, reply: Reply) -> bool:
        if reply.token is None or reply.id is None:
            return False
        announcement = sign_announcement(tag, self.target, reply.token, reply.id, self._key_pair)
        try:
            answer = await self._node.request(
                reply.sender,
                command,
                target=self.target,
                value=encode_announcement(announcement),
                token=reply.token,
            )
        except UnavailableError:
            return False
        return answer.error == 0

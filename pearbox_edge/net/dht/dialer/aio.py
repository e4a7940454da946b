"""Find nodes that pass messages on, shake hands through them, get a stream through."""

import asyncio
import copy
import logging
import time
from collections.abc import Callable
from typing import assert_never

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.dht.addresses import is_dialable
from pearbox_edge.net.dht.caches import ExpiringCache
from pearbox_edge.net.dht.client import DhtClient
from pearbox_edge.net.dht.handshake import PeerHandshake
from pearbox_edge.net.dht.messages import (
    NO_ERROR,
    Command,
    Firewall,
    Mode,
    PassedHandshake,
    decode_handshake,
    encode_handshake,
)
from pearbox_edge.net.dht.paths import Direct, Lan, Passive, Path, Reached, choose_path
from pearbox_edge.net.dht.payloads import VERSION, NoisePayload, UdxInfo
from pearbox_edge.net.dht.port import UdxPort
from pearbox_edge.net.dht.service import Service
from pearbox_edge.net.dht.signatures import target_for
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.rpc import SERVER, Reply, RpcNode
from pearbox_edge.net.udx import Udx, UdxSocket
from pearbox_edge.wire import Address

PASSIVE_TIMEOUT = 10.0  # SPEC seconds for a server's first packet
FIND_RETRIES = 3  # SPEC
MAX_KNOWN_RELAYS = 512  # SPEC servers whose relays are remembered
MAX_RELAYS_TRIED = 8  # TUNING of those that we were told of, before the DHT is asked
_AT_ONCE = 2  # SPEC handshakes under way; one more while known relays are tried

_log = logging.getLogger(__name__)


class _Done(Exception):
    """The search is over."""


class Dialer:
    """Dials servers, and remembers which nodes know them."""

    def __init__(
        self,
        node: RpcNode,
        client: DhtClient,
        udx: Udx,
        service: Service,
        *,
        random_bytes: Callable[[int], bytes],
        local_addresses: Callable[[], tuple[Address, ...]],
    ) -> None:
        self.node = node
        self.client = client
        self.udx = udx
        self.random_bytes = random_bytes
        self.local_addresses = local_addresses
        self._service = service
        self._relays: ExpiringCache[PublicKey, tuple[Address, ...]] = ExpiringCache(
            MAX_KNOWN_RELAYS, float("inf")
        )

    async def dial(
        self, public_key: PublicKey, key_pair: KeyPair, relays: tuple[Address, ...] = ()
    ) -> SecretStream:
        """See Dht.connect."""
        dialling = _Dialling(self, public_key, key_pair)
        first = [relay for relay in relays or self._known_relays(public_key) if is_dialable(relay)]
        stream = await dialling.run(tuple(first[:MAX_RELAYS_TRIED]))
        self._relays.set(public_key, dialling.relays_for_next_time, time.monotonic())
        return stream

    def _known_relays(self, public_key: PublicKey) -> tuple[Address, ...]:
        now = time.monotonic()
        route = self._service.router.get(target_for(public_key), now)
        if route is not None:
            return (route.relay,)
        return self._relays.get(public_key, now) or ()

    def socket(self, number: int) -> UdxSocket:
        """The UDX socket behind a number of the node's."""
        port = self.node.port(number)
        if not isinstance(port, UdxPort):
            raise UnavailableError("this socket carries no streams")
        return port.socket


class _Dialling:
    """One attempt to get through to one server."""

    def __init__(self, dialer: Dialer, public_key: PublicKey, key_pair: KeyPair) -> None:
        self._dialer = dialer
        self._public_key = public_key
        self._key_pair = key_pair
        self._handshake = PeerHandshake(key_pair, dialer.random_bytes, public_key)
        self._arrived: asyncio.Future[tuple[UdxSocket, Address]] = (
            asyncio.get_running_loop().create_future()
        )
        self._stream = dialer.udx.stream(firewall=self._on_packet)
        self._tried: dict[Address, None] = {}
        self._attempts = 0
        self._reached: Reached | None = None
        self._failure: UnavailableError | None = None
        own = dialer.node.machine.remote_address
        self._is_open = own is not None
        local = dialer.local_addresses()
        self._local_hosts = [address.host for address in local]
        self._message = self._handshake.write(
            NoisePayload(
                firewall=Firewall.OPEN if own is not None else Firewall.UNKNOWN,
                addresses4=(*(() if own is None else (own,)), *local),
                udx=UdxInfo(self._stream.id),
                secret_stream=VERSION,
            )
        )

    @property
    def relays_for_next_time(self) -> tuple[Address, ...]:
        """Nodes to ask first when this server is dialled again."""
        reached = self._reached
        if reached is not None and reached.agreement.remote.relay_addresses:
            return reached.agreement.remote.relay_addresses
        return tuple(self._tried)

    async def run(self, relays: tuple[Address, ...]) -> SecretStream:
        """The whole way."""
        try:
            reached = await self._reach(relays)
            socket, address = await self._find_way(reached)
            self._stream.connect(socket, reached.stream_id, *address)
        except BaseException:
            self._stream.abort()
            raise
        finally:
            self._arrived.cancel()
        return SecretStream.start(self._stream, reached.agreement.keys, self._dialer.random_bytes)

    # -- reaching the server ----------------------------------------------------------------------

    async def _reach(self, relays: tuple[Address, ...]) -> Reached:
        room = asyncio.Semaphore(_AT_ONCE + bool(relays))
        try:
            async with asyncio.TaskGroup() as group:
                if relays:
                    await room.acquire()
                    group.create_task(self._try_one_by_one(relays, room))
                await self._walk(group, room, relays)
                if relays:
                    await self._walk(group, room, ())
        except* _Done:
            pass
        if self._reached is not None:
            return self._reached
        if self._failure is not None:
            raise self._failure
        if self._attempts:
            raise UnavailableError(
                "the server does not answer: it is gone, or refuses us",
                code="PEER_CONNECTION_FAILED",
            )
        raise UnavailableError("nobody knows this server", code="PEER_NOT_FOUND")

    async def _walk(
        self, group: asyncio.TaskGroup, room: asyncio.Semaphore, nodes: tuple[Address, ...]
    ) -> None:
        found = self._dialer.client.find_peer(self._public_key, nodes=nodes, retries=FIND_RETRIES)
        try:
            async for one in found:
                if one.node not in self._tried:
                    await room.acquire()
                    self._attempts += 1
                    group.create_task(self._try(one.node, room))
        except UnavailableError as error:
            _log.debug("the walk to a server failed: %s", error)

    async def _try_one_by_one(self, relays: tuple[Address, ...], room: asyncio.Semaphore) -> None:
        try:
            for relay in relays:
                await self._through(relay)
        finally:
            room.release()

    async def _try(self, relay: Address, room: asyncio.Semaphore) -> None:
        try:
            await self._through(relay)
        finally:
            room.release()

    async def _through(self, relay: Address) -> None:
        """Shake hands through one node; _Done when that settled the matter."""
        self._tried[relay] = None
        value = encode_handshake(PassedHandshake(Mode.FROM_CLIENT, self._message))
        try:
            reply = await self._dialer.node.request(
                relay, Command.PEER_HANDSHAKE, target=target_for(self._public_key), value=value
            )
            self._read(relay, reply)
        except (PeerError, UnavailableError) as error:
            _log.debug("no handshake through %s:%d: %s", *relay, error)
            return
        if self._reached is not None or self._failure is not None:
            raise _Done

    def _read(self, relay: Address, reply: Reply) -> None:
        if not reply.value:
            return
        message = decode_handshake(reply.value)
        if message.mode != Mode.REPLY or reply.sender != relay:
            return
        # A lying node must not spoil the handshake for the honest ones.
        handshake = copy.deepcopy(self._handshake)
        remote = handshake.read(message.noise)
        if remote.version != VERSION:
            self._failure = UnavailableError(
                "the server speaks another version", code="SERVER_INCOMPATIBLE"
            )
        elif remote.error != NO_ERROR or remote.udx is None:
            self._failure = UnavailableError("the server refused", code="SERVER_ERROR")
        else:
            self._reached = Reached(
                handshake.agreement(),
                remote.udx.id,
                relay,
                message.peer_address or relay,
                reply.to,
                message.peer_address is not None,
                reply.socket,
            )

    # -- getting the stream through ---------------------------------------------------------------

    def _on_packet(self, socket: UdxSocket, host: str, port: int) -> bool:
        if not self._arrived.done():
            self._arrived.set_result((socket, Address(host, port)))
        return False

    async def _find_way(self, reached: Reached) -> tuple[UdxSocket, Address]:
        path = choose_path(reached, is_open=self._is_open, local_hosts=self._local_hosts)
        if self._arrived.done():
            return self._arrived.result()
        return await self._take(path)

    async def _take(self, path: Path | None) -> tuple[UdxSocket, Address]:
        dialer = self._dialer
        match path:
            case Direct(address, socket):
                number = dialer.node.machine.socket if socket is None else socket
                return dialer.socket(number), address
            case Passive():
                try:
                    async with asyncio.timeout(PASSIVE_TIMEOUT):
                        return await self._arrived
                except TimeoutError:
                    raise UnavailableError(
                        "the server's packets do not arrive", code="HOLEPUNCH_ABORTED"
                    ) from None
            case Lan(address):
                await dialer.node.ping(address)
                return dialer.socket(SERVER), address
            case None:
                raise UnavailableError("both ends are behind firewalls", code="CANNOT_HOLEPUNCH")
            case _:
                assert_never(path)

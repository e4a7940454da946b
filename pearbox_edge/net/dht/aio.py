"""A peer of the DHT on UDX sockets: a node for others, questions of our own."""

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, assert_never

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.rpc import (
    AddressChanged,
    DatagramPort,
    Event,
    FirewallChanged,
    IncomingRequest,
    RpcNode,
    WokeUp,
)
from pearbox_edge.net.udx import Udx
from pearbox_edge.wire import Address

from .accepting import Refuses
from .answers import Answer, PassOn, Refusal, Value
from .client import DhtClient
from .dialer import Dialer
from .options import DhtOptions
from .port import UdxPort
from .server import DhtServer, OnConnection
from .service import Service

ANY_HOST = "0.0.0.0"  # noqa: S104 (compared with, not bound to)


class Dht:
    """One machine in the DHT; used with `async with`.

    `client` asks the others; what they ask of us is answered all the while.
    """

    def __init__(
        self, options: DhtOptions, *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.options = options
        self.service = Service(random_bytes)
        self.node = RpcNode(
            options.rpc,
            self._answer,
            on_event=self._on_event,
            open_port=self._open_port,
            random_bytes=random_bytes,
        )
        self.client = DhtClient(self.node)
        self._random_bytes = random_bytes
        self._udx: Udx | None = None
        self._dialer: Dialer | None = None
        self._servers: set[DhtServer] = set()

    async def __aenter__(self) -> Self:
        """Bind the sockets and begin to meet the DHT. Raises UnavailableError without a port."""
        self._udx = Udx(self._random_bytes)
        await self.node.__aenter__()
        self._dialer = Dialer(
            self.node,
            self.client,
            self._udx,
            self.service,
            random_bytes=self._random_bytes,
            local_addresses=self.local_addresses,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Give up what is under way and release the sockets."""
        await self.node.__aexit__(kind, error, tb)
        self.udx.close()

    @property
    def udx(self) -> Udx:
        """Our sockets and streams."""
        if self._udx is None:
            raise UsageError("use it with async with")
        return self._udx

    async def ready(self) -> None:
        """Wait for the end of the first walk. Raises UnavailableError if closed."""
        await self.node.ready()

    async def connect(
        self, public_key: PublicKey, key_pair: KeyPair, *, relays: tuple[Address, ...] = ()
    ) -> SecretStream:
        """An encrypted stream to the server with this key; closing it is the caller's business.

        key_pair: who we are. relays: nodes that may know the server, or its own addresses.
        It may be that nothing has arrived from the server yet. Raises UnavailableError: nobody
        knows it, it does not answer (refusing is silent), or both ends are behind firewalls.
        """
        if self._dialer is None:
            raise UsageError("use it with async with")
        return await self._dialer.dial(public_key, key_pair, relays)

    def listen(
        self, key_pair: KeyPair, on_connection: OnConnection, *, refuses: Refuses | None = None
    ) -> DhtServer:
        """A server to be used with `async with`: announced, it takes connections.

        refuses: told who comes (its key, what it says, its address), says whether to be silent.
        """
        return DhtServer(
            self.node,
            self.udx,
            self.service,
            key_pair,
            on_connection,
            random_bytes=self._random_bytes,
            local_addresses=self.local_addresses,
            listening=self._servers,
            refuses=refuses,
        )

    async def suspend(self) -> None:
        """Be taken off the nodes' lists, drop all streams, release the sockets."""
        for server in list(self._servers):
            await server.suspend()
        self.node.suspend()

    def resume(self) -> None:
        """Bind the sockets again and be announced soon. Raises UnavailableError without a port."""
        self.node.resume()
        self._announce_again()

    def network_changed(self) -> None:
        """Tell that this machine's addresses have changed: all is looked at anew."""
        self.node.network_changed()
        self._announce_again()

    def local_addresses(self) -> tuple[Address, ...]:
        """Where machines on our own network reach our server socket."""
        bound = self.node.server_address
        if bound.host != ANY_HOST:
            return (bound,)
        hosts = self.options.local_hosts
        return tuple(Address(host, bound.port) for host in (hosts() if hosts else ()))

    # -- inside -----------------------------------------------------------------------------------

    def _open_port(self, host: str, port: int) -> DatagramPort:
        return UdxPort(self.udx.bind(host, port))

    def _announce_again(self) -> None:
        for server in self._servers:
            server.refresh()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, AddressChanged | FirewallChanged | WokeUp):
            self._announce_again()  # what the relays know of us is old

    def _answer(self, request: IncomingRequest) -> bool:
        node = self.node
        answer = self.service.answer(request, node.id, time.monotonic(), time.time())
        if answer is not None:
            self._perform(request, answer)
        return True

    def _perform(self, request: IncomingRequest, answer: Answer) -> None:
        node = self.node
        match answer:
            case Value(value, token, closer, to, socket):
                node.reply(request, value, token=token, closer=closer, to=to, socket=socket)
            case Refusal(code):
                node.error(request, code)
            case PassOn(value, to, socket):
                node.relay(request, value, to, socket=socket)
            case _:
                assert_never(answer)

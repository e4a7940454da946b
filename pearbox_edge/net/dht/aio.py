"""A peer of the DHT on UDX sockets: a node for others, questions of our own."""

import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, assert_never

from pearbox_edge.errors import UsageError
from pearbox_edge.net.rpc import DatagramPort, IncomingRequest, RpcNode
from pearbox_edge.net.udx import Udx

from .answers import Answer, PassOn, Refusal, Value
from .client import DhtClient
from .options import DhtOptions
from .port import UdxPort
from .service import Service


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
            options.rpc, self._answer, open_port=self._open_port, random_bytes=random_bytes
        )
        self.client = DhtClient(self.node)
        self._random_bytes = random_bytes
        self._udx: Udx | None = None

    async def __aenter__(self) -> Self:
        """Bind the sockets and begin to meet the DHT. Raises UnavailableError without a port."""
        self._udx = Udx(self._random_bytes)
        await self.node.__aenter__()
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

    # -- inside -----------------------------------------------------------------------------------

    def _open_port(self, host: str, port: int) -> DatagramPort:
        return UdxPort(self.udx.bind(host, port))

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

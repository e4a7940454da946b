"""Every question of the application's, and who of us answers it."""

from collections.abc import Callable
from typing import Protocol

from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc import IncomingRequest

from .answers import UNKNOWN, Answer
from .messages import Command
from .router import Router
from .storing import StoringNode

_STORED = frozenset(range(Command.FIND_PEER, Command.PLUGIN))


class LocalServer(Protocol):
    """A server of ours that handshakes are for."""

    def handshake(self, request: IncomingRequest, now: float) -> Answer | None:
        """Answer a handshake message; None for silence. PeerError if it cannot be read."""
        ...

    def holepunch(self, request: IncomingRequest, now: float) -> Answer | None:
        """Answer a hole punch message; None for silence. PeerError if it cannot be read."""
        ...


class Service:
    """What a node does for others: pass on, store; and for itself: answer as a server.

    Handshakes are passed on by every node; the rest is for lasting members of the DHT.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self.router = Router()
        self.store = StoringNode(self.router, random_bytes)
        self.servers: dict[bytes, LocalServer] = {}
        """Servers of ours by the hash of their keys."""

    def answer(
        self, request: IncomingRequest, node: NodeId | None, now: float, wall: float
    ) -> Answer | None:
        """What to answer, None for silence; PeerError if the question cannot be read.

        node: our id while we are a lasting member. now: monotonic; wall: seconds since 1970.
        """
        server = self.servers.get(request.target or b"")
        match request.command:
            case Command.PEER_HANDSHAKE if server is not None:
                return server.handshake(request, now)
            case Command.PEER_HANDSHAKE:
                return self.router.pass_handshake(request, now)
            case Command.PEER_HOLEPUNCH if server is not None:
                return server.holepunch(request, now)
            case Command.PEER_HOLEPUNCH:
                return self.router.pass_holepunch(request, now)
            case _ if node is None or request.command not in _STORED:
                return UNKNOWN
            case _:
                return self.store.answer(request, node, now, wall)

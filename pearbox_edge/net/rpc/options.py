"""How a node behaves, and what it reports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pearbox_edge.errors import UsageError
from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address, Buffer

from .bootstrap import parse_bootstrap
from .congestion import MAX_WINDOW
from .health import Connectivity
from .messages import pack_address
from .query import CONCURRENCY, Query
from .requests import Asking, Failure, Reply

SERVER = 0
"""The socket with a fixed port: all traffic of a node that anybody can reach."""
CLIENT = 1
"""The socket of a firewalled node's own questions."""

PORTS = 5  # SPEC ports tried from the wanted one on, then any


@dataclass(frozen=True, slots=True)
class RpcOptions:
    """What a node is told at its start. Raises UsageError for values that cannot be."""

    bootstrap: tuple[str, ...] = ()
    """`HOST:PORT` or `IP@HOST:PORT` of nodes to begin with."""
    host: str = "0.0.0.0"  # noqa: S104 (peers are anywhere)
    """Our own address to bind to."""
    port: int = 0
    """Port of the server socket; the four after it are tried too. 0: any."""
    any_port: bool = True
    """Whether any other port will do when those are taken."""
    ephemeral: bool | None = None
    """False: a lasting member as soon as possible. True: never. None: by the rule (20 minutes)."""
    firewalled: bool = True
    """Whether strangers are assumed not to reach us until they are seen to."""
    quick_firewall: bool = True
    """Whether to look at once if they do reach us."""
    public_address: Address | None = None
    """Our address, if it is known beforehand: for nodes with nobody to tell it."""
    concurrency: int = CONCURRENCY
    """Questions of one query under way at once."""
    max_window: int = MAX_WINDOW
    """Questions sent in one slot of 0.75 s."""
    max_ping_delay: float = 10.0
    """Seconds a delayed ping may ask for."""
    down_hints_per_tick: int = 50
    """Nodes told of dead ones in 5 s; 0 for none."""
    adaptive_timeout: bool = False
    """Whether nodes are timed out by how fast they used to answer."""
    amplification_limit: float = 3.0
    """Largest answer to an unproven address, as a multiple of the question; 0: no limit."""
    max_requests_per_second: float = 500.0
    """Questions answered for one host; 0: no limit."""

    def __post_init__(self) -> None:
        for entry in self.bootstrap:
            parse_bootstrap(entry)
        if not 0 <= self.port <= 0xFFFF:
            raise UsageError(f"{self.port} is no port")
        if self.public_address is not None:
            pack_address(self.public_address)
        if self.concurrency < 1 or self.max_window < 1:
            raise UsageError("a node needs room for at least one question")
        if self.amplification_limit and self.amplification_limit < 2:
            raise UsageError("an amplification limit below 2 lets no ping be answered")

    @property
    def is_adaptive(self) -> bool:
        """Whether the node becomes a lasting member by the rule."""
        return self.ephemeral is None

    @property
    def wants_persistent(self) -> bool:
        """Whether the node is to be a lasting member as soon as possible."""
        return self.ephemeral is False

    def ports(self) -> list[int]:
        """Ports to try for the server socket, in order."""
        if not self.port:
            return [0]
        if self.public_address is not None:
            return [self.port]  # others have been told this one
        wanted = [port for port in range(self.port, self.port + PORTS) if port <= 0xFFFF]
        return [*wanted, 0] if self.any_port else wanted

    @classmethod
    def bootstrapper(cls, host: str, port: int) -> "RpcOptions":
        """Options of a node that others begin with, and that needs nobody: `host` is its IPv4."""
        return cls(
            port=port,
            any_port=False,
            ephemeral=False,
            firewalled=False,
            public_address=Address(host, port),
        )


class IncomingRequest(NamedTuple):
    """A question for the application; it is to be answered by `reply`, `error` or `relay`."""

    sender: Address
    id: NodeId | None
    """The sender's id if it is a lasting member of the DHT."""
    to: Address
    """Our address as the sender sees it."""
    token: bytes | None
    """A token of ours, checked: the sender does receive at its host."""
    command: int
    target: bytes | None
    value: bytes | None
    tid: int
    internal: bool
    socket: int
    """Which of our sockets it came to."""
    size: int
    """Bytes of the datagram."""


class Datagram(NamedTuple):
    """Something that arrived."""

    data: Buffer
    address: Address


class DatagramPort(Protocol):
    """A bound UDP socket; DHT messages share it with streams (told apart by the first byte)."""

    @property
    def address(self) -> Address:
        """Where it is bound."""
        ...

    def send(self, data: Buffer, address: Address, ttl: int = 0) -> None:
        """Send one datagram, or lose it; `ttl` 0 is the usual one."""
        ...

    def on_datagrams(self, callback: Callable[[list[Datagram]], None] | None) -> None:
        """Have the callback told of what arrives, many at once."""
        ...

    def close(self) -> None:
        """Release it; nothing arrives any more."""
        ...


OpenPort = Callable[[str, int], DatagramPort]
"""Bind a port on a host (0: any). Raises UnavailableError when it is taken."""


# -- what a node reports --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The first walk is over: the node knows its neighbours, if there are any."""


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """Somebody asks the application something."""

    request: IncomingRequest


@dataclass(frozen=True, slots=True)
class Answered:
    """A question was answered."""

    asking: Asking
    reply: Reply


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question was not answered."""

    asking: Asking
    failure: Failure


@dataclass(frozen=True, slots=True)
class QueryAnswered:
    """A node met on a walk answered without an error."""

    query: Query
    reply: Reply


@dataclass(frozen=True, slots=True)
class QueryEnded:
    """A walk is over: `query.failure` and `query.closest` say how."""

    query: Query


@dataclass(frozen=True, slots=True)
class BecamePersistent:
    """We are a lasting member of the DHT now, under the id of our public address."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class BecameEphemeral:
    """We are no lasting member of the DHT any more."""


@dataclass(frozen=True, slots=True)
class FirewallChanged:
    """Strangers do or do not reach our server socket, as far as we know."""

    firewalled: bool


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """Others agree on another address of ours; port 0: a different one for each; None: none."""

    host: str | None
    port: int


@dataclass(frozen=True, slots=True)
class ConnectivityChanged:
    """The network answers better or worse than it did."""

    state: Connectivity


@dataclass(frozen=True, slots=True)
class WokeUp:
    """The machine slept, or its network changed: whatever was known is old."""


@dataclass(frozen=True, slots=True)
class NameWanted:
    """Resolve this host name and call `resolved`."""

    name: str


Event = (
    Bootstrapped
    | RequestArrived
    | Answered
    | Unanswered
    | QueryAnswered
    | QueryEnded
    | BecamePersistent
    | BecameEphemeral
    | FirewallChanged
    | AddressChanged
    | ConnectivityChanged
    | WokeUp
    | NameWanted
)

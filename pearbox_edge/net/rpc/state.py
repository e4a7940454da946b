"""What all parts of a node share: who we are, whom we know, and how to ask."""

from collections.abc import Callable

from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .bootstrap import Bootstrap
from .contacts import Contacts
from .messages import Request, encode_request
from .nat import NatSampler
from .options import (
    CLIENT,
    SERVER,
    AddressChanged,
    BecameEphemeral,
    BecamePersistent,
    Event,
    FirewallChanged,
    RpcOptions,
)
from .requests import RETRIES, Asking, Failure, Outgoing, Question, Reply, RequestMachine
from .routing_table import TableNode

_FIRST_TICK = 100  # SPEC ticks begin between half of this and this

OnReply = Callable[[Reply], None]
OnFailure = Callable[[Failure], None]


class NodeState:
    """The state that the parts of one node work on. `now` is the time of the current verb."""

    def __init__(
        self,
        options: RpcOptions,
        now: float,
        random_bytes: Callable[[int], bytes],
        is_welcome: Callable[[Address], bool] | None,
    ) -> None:
        self.options = options
        self.now = now
        self.random_bytes = random_bytes
        self.ephemeral = True
        self.firewalled = options.firewalled
        self.bootstrapped = False
        self.suspended = True
        self.server_port = 0
        self.nat = NatSampler()
        self.bootstrap = Bootstrap(options.bootstrap)
        self.contacts = Contacts(
            NodeId(random_bytes(32)),
            self.random_offset(_FIRST_TICK),
            self.sample,
            lambda node: self.on_full_row(node),
        )
        self.requests = RequestMachine(
            now,
            random_bytes,
            max_window=options.max_window,
            adaptive_timeout=options.adaptive_timeout,
        )
        self.events: list[Event] = []
        self.out: list[Outgoing] = []
        self.on_full_row: Callable[[TableNode], None] = lambda _node: None
        self.on_address: Callable[[], None] = lambda: None
        self._is_welcome = is_welcome
        self._sampled_strangers: set[Address] = set()

    @property
    def id(self) -> NodeId | None:
        """Our id, while we are a lasting member."""
        return None if self.ephemeral else self.contacts.table.id

    @property
    def socket(self) -> int:
        """The socket that our questions leave from."""
        return CLIENT if self.firewalled else SERVER

    def random_offset(self, count: int) -> int:
        """Between half of `count` and `count`: nodes started together do not act together."""
        chance = int.from_bytes(self.random_bytes(4), "little") / (1 << 32)
        return count - int(chance * count / 2)

    def id_for(self, socket: int) -> NodeId | None:
        """The id that a message from this socket carries: it is that of the server's address."""
        return self.id if socket == SERVER else None

    def is_welcome(self, address: Address) -> bool:
        """Whether a node may be asked or kept."""
        return self._is_welcome is None or self._is_welcome(address)

    # -- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        question: Question,
        on_reply: OnReply | None = None,
        on_failure: OnFailure | None = None,
        *,
        retries: int = RETRIES,
        socket: int | None = None,
        on_slow: Callable[[], None] | None = None,
        force: bool = False,
        counted: bool = True,
        timeout: float = 0.0,
        ttl: int = 0,
    ) -> Asking | None:
        """Send a question; None if suspended or if too many are under way."""
        if self.suspended:
            return None
        socket = self.socket if socket is None else socket
        asking = self.requests.new(question, socket)
        if asking is None:
            return None
        asking.on_reply = on_reply
        asking.on_failure = on_failure
        asking.on_slow = on_slow
        asking.attempts = 1 + retries
        asking.counted = counted
        asking.timeout = timeout
        asking.ttl = ttl
        asking.datagram = encode_request(
            Request(
                asking.tid,
                question.to,
                self.id_for(socket),
                question.token,
                question.internal,
                question.command,
                question.target,
                question.value,
            )
        )
        self.requests.send(asking, self.now, force=force)
        return asking

    # -- our own address --------------------------------------------------------------------------

    def sample(self, to: Address) -> None:
        """Somebody saw us at this address."""
        before = (self.nat.host, self.nat.port)
        self.nat.add(to)
        self._tell_address(before)

    def sample_stranger(self, sender: Address, to: Address) -> None:
        """The same from a node that is no lasting member, as bootstrap nodes may be: few count."""
        if len(self._sampled_strangers) >= max(1, len(self.bootstrap)):
            return
        if sender not in self._sampled_strangers:
            self._sampled_strangers.add(sender)
            self.sample(to)

    def use_sampler(self, sampler: NatSampler) -> None:
        """Take another sampler for our address."""
        before = (self.nat.host, self.nat.port)
        self._sampled_strangers.clear()
        self.nat = sampler
        self._tell_address(before)

    def _tell_address(self, before: tuple[str | None, int]) -> None:
        if before != (self.nat.host, self.nat.port):
            self.events.append(AddressChanged(self.nat.host, self.nat.port))
            self.on_address()

    def set_firewalled(self, firewalled: bool) -> None:
        """Remember whether strangers reach us."""
        if firewalled != self.firewalled:
            self.firewalled = firewalled
            self.events.append(FirewallChanged(firewalled))

    def set_ephemeral(self, ephemeral: bool) -> None:
        """Become or cease to be a lasting member under the table's id."""
        if ephemeral != self.ephemeral:
            self.ephemeral = ephemeral
            table_id = self.contacts.table.id
            self.events.append(BecameEphemeral() if ephemeral else BecamePersistent(table_id))

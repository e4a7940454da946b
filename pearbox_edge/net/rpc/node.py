"""A node of the DHT without its sockets: datagrams in, datagrams and events out."""

from collections.abc import Callable, Iterable, Sequence

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .answers import Answers
from .bootstrap import BootstrapNode
from .health import Connectivity
from .messages import (
    DELAYED_PING,
    FIND_NODE,
    PING,
    UNKNOWN_COMMAND,
    Request,
    Response,
    decode,
    node_id,
)
from .network import Network
from .options import (
    SERVER,
    Answered,
    Datagram,
    Event,
    IncomingRequest,
    NameWanted,
    QueryAnswered,
    QueryEnded,
    RpcOptions,
    Unanswered,
)
from .query import Query, QueryOptions
from .requests import RETRIES, Asking, Failure, Outgoing, Question, Reply
from .routing_table import TableNode
from .state import NodeState
from .upkeep import REFRESH_TICKS, Upkeep

_MULTICAST = 224  # SPEC first octet from which addresses are nobody's own
_BUSY = 2  # SPEC questions under way, above which background walks hold back


class RpcNodeMachine:
    """A node of the DHT: asks, answers, walks, and looks after its table.

        SUSPENDED --start--> RUNNING --suspend--> SUSPENDED

    It speaks from two sockets, SERVER and CLIENT, and from any others whose numbers are given.
    `is_welcome` may refuse nodes by their address. Format: npm dht-rpc 6.27.0 (sheet 04).
    """

    def __init__(
        self,
        options: RpcOptions,
        now: float,
        random_bytes: Callable[[int], bytes],
        is_welcome: Callable[[Address], bool] | None = None,
    ) -> None:
        self.malformed = 0
        """Datagrams that were no messages."""
        self.options = options
        self._state = NodeState(options, now, random_bytes, is_welcome)
        self._network = Network(self._state, self._walk_home, self.refresh)
        self._upkeep = Upkeep(self._state, self.refresh, self._network.wake_up)
        self._answers = Answers(self._state, self._upkeep.hint_down)
        self._queries: set[Query] = set()

    # -- what it is -------------------------------------------------------------------------------

    @property
    def id(self) -> NodeId | None:
        """Our id, while we are a lasting member of the DHT."""
        return self._state.id

    @property
    def table_id(self) -> NodeId:
        """What the routing table is sorted by: our id, or a random one."""
        return self._state.contacts.table.id

    @property
    def ephemeral(self) -> bool:
        """Whether we are no lasting member."""
        return self._state.ephemeral

    @property
    def firewalled(self) -> bool:
        """Whether strangers are believed not to reach us."""
        return self._state.firewalled

    @property
    def bootstrapped(self) -> bool:
        """Whether the first walk is over."""
        return self._state.bootstrapped

    @property
    def suspended(self) -> bool:
        """Whether it does nothing."""
        return self._state.suspended

    @property
    def host(self) -> str | None:
        """Our host as others see it, if they agree."""
        return self._state.nat.host

    @property
    def port(self) -> int:
        """Our port as others see it; 0 if it differs or is not known."""
        return self._state.nat.port

    @property
    def remote_address(self) -> Address | None:
        """Where strangers reach us; None if they do not, or if it is not known."""
        seen = self._state.nat.address
        if seen is None or self.firewalled or seen.port != self._state.server_port:
            return None
        return seen

    @property
    def socket(self) -> int:
        """The socket that our questions leave from."""
        return self._state.socket

    @property
    def connectivity(self) -> Connectivity:
        """How well the network answers."""
        return self._upkeep.health.state

    def nodes(self, count: int | None = None) -> list[Address]:
        """Nodes we know, the one heard from last first."""
        return [node.address for node in self._state.contacts.latest(count)]

    def closest(self, target: bytes, count: int) -> list[Address]:
        """Nodes of the routing table near a target."""
        return [node.address for node in self._state.contacts.table.closest(target, count)]

    def counters(self) -> dict[str, int]:
        """Numbers for people: what was answered, lost, dropped and refused so far."""
        requests = self._state.requests
        return {
            "answered": requests.responses,
            "timeouts": requests.timeouts,
            "retries": requests.retries,
            "strays": requests.strays,
            "malformed": self.malformed,
            "challenges": self._answers.challenges,
            "refused": self._answers.refused + self._state.contacts.refused,
            "pending": len(requests),
            "queries": len(self._queries),
            "nodes": len(self._state.contacts),
        }

    # -- life -------------------------------------------------------------------------------------

    def start(self, server_port: int, now: float) -> None:
        """The sockets are bound: meet the DHT, or go on after `suspend`."""
        state = self._state
        if not state.suspended:
            raise UsageError("the node runs already")
        state.now = now
        state.suspended = False
        state.server_port = server_port
        self._upkeep.restart()
        if state.bootstrapped:
            self._upkeep.wake_up()
            self.refresh()
        else:
            self._network.begin()

    def suspend(self, now: float) -> None:
        """Give up everything under way; nothing happens until `start`."""
        state = self._state
        state.now = now
        state.suspended = True
        for query in list(self._queries):
            query.cancel("the node was suspended")
        state.requests.cancel_all(now, Failure.SUSPENDED)
        self._answers.clear()
        state.out.clear()

    def network_changed(self, now: float) -> None:
        """Our addresses have changed: learn anew what we are seen as, and who is there."""
        self._state.now = now
        self._upkeep.wake_up()
        self._network.moved()

    def add_node(self, address: Address) -> None:
        """Take up a node known from elsewhere."""
        self._state.contacts.add(TableNode(address, self._state.contacts.tick))

    # -- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        question: Question,
        now: float,
        *,
        retries: int = RETRIES,
        socket: int | None = None,
        timeout: float = 0.0,
        ttl: int = 0,
    ) -> Asking:
        """Ask a node; `Answered` or `Unanswered` follows. Raises UnavailableError if it cannot."""
        state = self._state
        state.now = now
        holder: list[Asking] = []
        asking = state.ask(
            question,
            lambda reply: state.events.append(Answered(holder[0], reply)),
            lambda failure: state.events.append(Unanswered(holder[0], failure)),
            retries=retries,
            socket=socket,
            timeout=timeout,
            ttl=ttl,
        )
        if asking is None:
            failure = Failure.SUSPENDED if state.suspended else Failure.TOO_MANY
            raise UnavailableError("the node cannot ask anything now", code=failure.value)
        holder.append(asking)
        return asking

    def ping(
        self,
        address: Address,
        now: float,
        *,
        retries: int = RETRIES,
        socket: int | None = None,
        padding: int = 0,
        ttl: int = 0,
    ) -> Asking:
        """Ask for a sign of life, with `padding` bytes along."""
        value = bytes(padding) if padding else None
        question = Question(address, PING, internal=True, value=value)
        return self.ask(question, now, retries=retries, socket=socket, ttl=ttl)

    def delayed_ping(
        self, address: Address, delay: float, now: float, *, socket: int | None = None
    ) -> Asking:
        """Ask for a sign of life in `delay` seconds."""
        if not 0 <= delay <= self.options.max_ping_delay:
            raise UsageError(f"a ping cannot be delayed by {delay:g} s")
        value = round(delay * 1000).to_bytes(4, "little")
        question = Question(address, DELAYED_PING, internal=True, value=value)
        return self.ask(question, now, socket=socket, timeout=delay + 1)

    def cancel(self, asking: Asking, now: float) -> None:
        """Stop waiting for an answer."""
        self._state.requests.cancel(asking, now)

    def find_node(self, target: bytes, now: float, options: QueryOptions | None = None) -> Query:
        """Walk to the nodes nearest to a target."""
        return self._query(target, FIND_NODE, None, now, options, internal=True)

    def query(
        self,
        target: bytes,
        command: int,
        value: bytes | None,
        now: float,
        options: QueryOptions | None = None,
    ) -> Query:
        """Walk towards a target, asking each node on the way the same question.

        `QueryAnswered` follows for each answer without an error, then one `QueryEnded`.
        """
        return self._query(target, command, value, now, options, internal=False)

    def refresh(self) -> None:
        """Walk towards somebody we know, in the background."""
        if self._state.suspended:
            return
        number = int.from_bytes(self._state.random_bytes(4), "little")
        node = self._state.contacts.table.pick(number)
        self._background(self.table_id if node is None else node.id).begin()

    def resolved(self, name: str, host: str | None, now: float) -> None:
        """Answer to NameWanted: an IPv4 address, or None."""
        self._state.now = now
        self._state.bootstrap.resolved(name, host, now)

    # -- answering --------------------------------------------------------------------------------

    def reply(
        self,
        request: IncomingRequest,
        value: bytes | None,
        now: float,
        *,
        token: bool = True,
        closer: bool = True,
        to: Address | None = None,
        socket: int | None = None,
    ) -> None:
        """Answer; `to` and `socket` as the question came if not given.

        token: whether to hand out one for storing something here; closer: whether to name nodes
        nearer to the target.
        """
        self._state.now = now
        self._answers.answer(request, value=value, token=token, closer=closer, to=to, socket=socket)

    def error(
        self,
        request: IncomingRequest,
        code: int,
        now: float,
        *,
        token: bool = False,
        closer: bool = True,
    ) -> None:
        """Answer with an error number."""
        self._state.now = now
        self._answers.answer(request, code, token=token, closer=closer)

    def unhandled(self, request: IncomingRequest, now: float) -> None:
        """Answer that nobody here knows the command."""
        self.error(request, UNKNOWN_COMMAND, now)

    def relay(
        self,
        request: IncomingRequest,
        value: bytes | None,
        to: Address,
        now: float,
        *,
        socket: int | None = None,
    ) -> None:
        """Pass the question on to another node, which answers under the same transaction id."""
        self._state.now = now
        self._answers.relay(request, value, to, socket)

    # -- the five verbs ---------------------------------------------------------------------------

    def receive(self, datagrams: Iterable[Datagram], now: float, socket: int = SERVER) -> None:
        """Datagrams arrived at one of our sockets. Never raises, whatever they hold."""
        state = self._state
        if state.suspended:
            return
        state.now = now
        for data, address in datagrams:
            try:
                message = decode(data)
            except PeerError:
                self.malformed += 1
                continue
            if not 0 < address.port <= 0xFFFF:
                self.malformed += 1
            elif isinstance(message, Request):
                self._answers.receive(message, address, socket, len(data))
            else:
                self._take(message, address, socket)

    def transmit(self, now: float) -> list[Outgoing]:
        """Drain the datagrams to send."""
        self._state.now = now
        out = self._state.requests.transmit(now)
        if self._state.out:
            out += self._state.out
            self._state.out = []
        return out

    def deadline(self) -> float | None:
        """When to call `expire`."""
        state = self._state
        if state.suspended:
            return None
        due = self._upkeep.next_tick
        for other in (state.requests.deadline(state.now), self._answers.deadline()):
            if other is not None and other < due:
                due = other
        return due

    def expire(self, now: float) -> None:
        """Some moment has come."""
        state = self._state
        if state.suspended:
            return
        state.now = now
        for asking in state.requests.expire(now):
            id_ = asking.question.id
            node = state.contacts.get(id_) if id_ is not None else None
            if node is not None:
                state.contacts.remove(node)
        self._answers.expire()
        if self._upkeep.expire():
            self._network.tick()

    def events(self) -> list[Event]:
        """Drain what happened."""
        state = self._state
        for name in state.bootstrap.wanted():
            state.events.append(NameWanted(name))
        events, state.events = state.events, []
        return events

    # -- for queries ------------------------------------------------------------------------------

    def ask_for(
        self, query: Query, question: Question, retries: int, *, force: bool
    ) -> Asking | None:
        """Ask on behalf of a query."""
        holder: list[Asking] = []
        asking = self._state.ask(
            question,
            lambda reply: query.answered(holder[0], reply),
            lambda failure: query.failed(holder[0], failure),
            retries=retries,
            force=force,
            on_slow=lambda: self._visit_slow(query, holder[0]),
        )
        if asking is not None:
            holder.append(asking)
        return asking

    def drop(self, asking: Asking) -> None:
        """Forget a query's question."""
        asking.on_failure = None
        self._state.requests.cancel(asking, self._state.now)

    def want_bootstrap(self, query: Query) -> None:
        """Offer the bootstrap nodes to a query."""
        state = self._state
        for node in state.bootstrap.nodes:
            if node.ip is not None:
                query.offer(Address(node.ip, node.port))
            else:
                self._resolve_for(query, node)

    def is_welcome(self, address: Address) -> bool:
        """Whether a query may ask a node."""
        if address.port == 0 or not 0 < int(address.host.partition(".")[0]) < _MULTICAST:
            return False  # a liar would have us shout at a whole network
        if node_id(address) == self.table_id:
            return False
        return self._state.is_welcome(address)

    def report_down(self, down: Address, namers: Sequence[Address]) -> None:
        """Tell nodes of a dead one."""
        self._upkeep.report_down(down, namers)

    def is_busy(self) -> bool:
        """Whether background walks should hold back."""
        return len(self._state.requests) > _BUSY

    def query_answered(self, query: Query, reply: Reply) -> None:
        """A query got an answer."""
        if query.on_reply is not None:
            query.on_reply(query, reply)
        elif query.on_end is None:
            self._state.events.append(QueryAnswered(query, reply))

    def query_ended(self, query: Query) -> None:
        """A query is over."""
        self._queries.discard(query)
        if query.on_end is not None:
            query.on_end(query)
        else:
            self._state.events.append(QueryEnded(query))

    # -- inside -----------------------------------------------------------------------------------

    def _take(self, response: Response, sender: Address, socket: int) -> None:
        state = self._state
        asking = state.requests.match(response, sender, state.now)
        if asking is None:
            return
        self._answers.proven.prove(sender.host, state.now)
        id_ = response.id if response.id is not None and response.id == node_id(sender) else None
        if state.is_welcome(sender):
            sample = socket == state.socket
            if id_ is not None:
                state.contacts.heard_from(sender, response.to, sample=sample, asked=True)
            elif sample:
                state.sample_stranger(sender, response.to)
        if asking.on_reply is not None:
            asking.on_reply(
                Reply(
                    sender,
                    id_,
                    response.to,
                    response.token,
                    response.closer,
                    response.error,
                    response.value,
                    state.now - asking.first_sent_at,
                    socket,
                )
            )

    def _query(
        self,
        target: bytes,
        command: int,
        value: bytes | None,
        now: float,
        options: QueryOptions | None,
        *,
        internal: bool,
    ) -> Query:
        state = self._state
        state.now = now
        if len(target) != 32:
            raise UsageError(f"a target is 32 bytes, not {len(target)}")
        if state.suspended:
            raise UnavailableError("the node is suspended", code=Failure.SUSPENDED.value)
        self._upkeep.refresh_ticks = REFRESH_TICKS
        options = options or QueryOptions(concurrency=self.options.concurrency)
        query = Query(self, target, command, value, options, internal=internal)
        self._queries.add(query)
        query.begin()
        return query

    def _background(self, target: bytes) -> Query:
        self._upkeep.refresh_ticks = REFRESH_TICKS
        options = QueryOptions(concurrency=self.options.concurrency, background=True)
        query = Query(self, target, FIND_NODE, None, options, internal=True)
        query.on_end = lambda _query: None
        self._queries.add(query)
        return query

    def _walk_home(self, on_end: Callable[[], None], on_reply: Callable[[Reply], None]) -> None:
        query = self._background(self.table_id)
        query.on_end = lambda _query: on_end()
        query.on_reply = lambda _query, reply: on_reply(reply)
        query.begin()

    def _visit_slow(self, query: Query, asking: Asking) -> None:
        """A bootstrap node is silent: its name may have another address by now."""
        node = self._state.bootstrap.node_at(asking.question.to)
        if node is not None:
            self._resolve_for(query, node)
        query.slow(asking)

    def _resolve_for(self, query: Query, node: BootstrapNode) -> None:
        state = self._state
        answered = False

        def offer(found: Address | None) -> None:
            query.offer(found, awaited=answered)

        if state.bootstrap.resolve(node, state.now, offer):
            answered = True
            query.await_names(1)

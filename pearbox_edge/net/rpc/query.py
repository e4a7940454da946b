"""One walk through the DHT towards a target: nearest nodes first, then a commit to those found."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .messages import OK, node_id
from .requests import RETRIES, Asking, Failure, Question, Reply
from .routing_table import K

CONCURRENCY = 10  # SPEC questions under way at once
QUERY_RETRIES = 5  # SPEC
_CAUTIOUS = 3  # SPEC at once while only the given nodes are asked
_ENOUGH = K // 4  # SPEC answers of the given nodes, below which the table is asked too
MAX_CLOSER = K  # SPEC nodes that are taken from one answer
MAX_VISITS = 512  # TUNING nodes asked; an honest walk needs below a hundred
MAX_SEEN = 4096  # TUNING addresses heard of in one walk
_MAX_NAMERS = 8  # TUNING nodes that are told of one that is down


class Commit(NamedTuple):
    """What to ask one of the closest nodes for, with the token it gave."""

    command: int
    value: bytes | None


Committer = Callable[[Reply], Commit | None]
"""Says what to commit to the node that gave this answer; None for nothing."""


class QueryOptions(NamedTuple):
    """How to walk."""

    concurrency: int = CONCURRENCY
    retries: int = QUERY_RETRIES
    nodes: Sequence[Address] = ()
    """Where to begin, best first, instead of the routing table."""
    only_nodes: bool = False
    """Ask just those."""
    force: bool = False
    """Ask each once, past the congestion window."""
    commit: Committer | None = None
    background: bool = False
    """Leave room to others."""


class QueryHost(Protocol):
    """What a query needs of its node."""

    def ask_for(
        self, query: "Query", question: Question, retries: int, *, force: bool
    ) -> Asking | None:
        """Ask, and call the query's `answered`, `failed` and `slow` later; None if it cannot be."""
        ...

    def drop(self, asking: Asking) -> None:
        """Forget a question; the query is not told."""
        ...

    def closest(self, target: bytes, count: int) -> list[Address]:
        """Nodes of the routing table."""
        ...

    def want_bootstrap(self, query: "Query") -> None:
        """Have the bootstrap nodes `offer`ed, now or once their names are resolved."""
        ...

    def is_welcome(self, address: Address) -> bool:
        """Whether a node may be asked: not ourselves, not filtered out."""
        ...

    def report_down(self, down: Address, namers: Sequence[Address]) -> None:
        """Tell those who named a node that it does not answer."""
        ...

    def is_busy(self) -> bool:
        """Whether a background query should hold back."""
        ...

    def query_ended(self, query: "Query") -> None:
        """It is done; see `failure`."""
        ...

    def query_answered(self, query: "Query", reply: Reply) -> None:
        """An answer without an error."""
        ...


class Query:
    """A walk under way, or done.

    WALKING --nothing left to ask--> COMMITTING --all answered--> done
       \\-------------- cancelled ------------/
    """

    def __init__(
        self,
        host: QueryHost,
        target: bytes,
        command: int,
        value: bytes | None,
        options: QueryOptions,
        *,
        internal: bool,
    ) -> None:
        self.target = target
        self.command = command
        self.value = value
        self.internal = internal
        self.successes = 0
        self.errors = 0
        self.closest: list[Reply] = []
        """The answers of the nearest nodes so far, nearest first, 20 at most."""
        self.done = False
        self.failure: str | None = None
        """Why it failed, in words; None if it went well."""
        self.stored = 0
        """Nodes that took the commit."""
        self.on_end: Callable[[Query], None] | None = None
        self.on_reply: Callable[[Query, Reply], None] | None = None
        self._host = host
        self._options = options
        self._target = int.from_bytes(target, "big")
        self._distances: list[int] = []
        self._pending: list[tuple[int, Address]] = []
        self._namers: dict[Address, list[Address] | None] = {}
        self._down: set[Address] = set()
        self._asking: set[Asking] = set()
        self._slow: set[Asking] = set()
        self._visits = 0
        self._from_table = False
        self._is_cautious = False
        self._names_awaited = 0
        self._committing = False
        self._committed = 0

    def begin(self) -> None:
        """Start to walk."""
        options = self._options
        for address in options.nodes:
            self._add(address, None)
        if not options.only_nodes and len(self._pending) < K:
            self._add_from_table()
            if len(self._pending) < K:
                self._host.want_bootstrap(self)
        self._go_on()

    def cancel(self, failure: str = "cancelled") -> None:
        """Stop; nothing more is asked."""
        self._end(failure)

    def distance(self, address: Address) -> int:
        """How far a node is from the target."""
        return self._target ^ int.from_bytes(node_id(address), "big")

    # -- what the node tells us -------------------------------------------------------------------

    def await_names(self, count: int) -> None:
        """So many `offer`s will follow later."""
        self._names_awaited += count

    def offer(self, address: Address | None, *, awaited: bool = False) -> None:
        """A bootstrap node; None if its name is not known."""
        if awaited:
            self._names_awaited -= 1
        if self.done or self._committing:
            return
        if address is not None:
            self._add(address, None)
        if awaited:
            self._go_on()

    def answered(self, asking: Asking, reply: Reply) -> None:
        """One of our questions was answered."""
        self._settle(asking)
        if self.done:
            return
        if self._committing:
            self._commit_settled(taken=reply.error == OK)
            return
        self._namers[reply.sender] = None
        if reply.error == OK:
            self.successes += 1
            if reply.id is not None:
                self._keep_if_near(reply, reply.id)
        else:
            self.errors += 1
        for address in reply.closer[:MAX_CLOSER]:
            self._add(address, reply.sender if reply.id is not None else None)
        if self.successes + self.errors >= self._concurrency:
            self._is_cautious = False
        if reply.error == OK:
            self._host.query_answered(self, reply)
        self._go_on()

    def failed(self, asking: Asking, failure: Failure) -> None:
        """One of our questions was not answered."""
        self._settle(asking)
        if self.done:
            return
        if self._committing:
            self._commit_settled(taken=False)
            return
        self.errors += 1
        address = asking.question.to
        if failure is Failure.TIMED_OUT:
            self._down.add(address)
            namers = self._namers.get(address)
            self._namers[address] = None
            if namers:
                self._host.report_down(address, namers)
        self._go_on()

    def slow(self, asking: Asking) -> None:
        """One of our questions was not answered within its first timeout."""
        if asking in self._asking and not self._committing:
            self._slow.add(asking)
            self._go_on()

    # -- inside -----------------------------------------------------------------------------------

    @property
    def _concurrency(self) -> int:
        options = self._options
        if options.background and self._host.is_busy():
            return min(options.concurrency, max(2, options.concurrency // 8))
        return options.concurrency

    def _add_from_table(self) -> None:
        self._from_table = True
        for address in self._host.closest(self.target, K - len(self._pending)):
            self._add(address, None)

    def _add(self, address: Address, namer: Address | None) -> None:
        if address in self._namers:
            namers = self._namers[address]
            if namer is None:
                return
            if namers is not None:
                if len(namers) < _MAX_NAMERS:
                    namers.append(namer)
            elif address in self._down:
                self._host.report_down(address, (namer,))
            return
        if self._options.only_nodes and namer is not None:
            return
        if len(self._namers) >= MAX_SEEN or not self._host.is_welcome(address):
            return
        distance = self.distance(address)
        if self._is_nearer(distance):
            self._namers[address] = [] if namer is None else [namer]
            heappush(self._pending, (distance, address))

    def _is_nearer(self, distance: int) -> bool:
        return len(self._distances) < K or distance < self._distances[-1]

    def _keep_if_near(self, reply: Reply, id_: NodeId) -> None:
        distance = self._target ^ int.from_bytes(id_, "big")
        if not self._is_nearer(distance) or distance in self._distances:
            return
        place = next((i for i, d in enumerate(self._distances) if d > distance), len(self.closest))
        self._distances.insert(place, distance)
        self.closest.insert(place, reply)
        if len(self.closest) > K:
            self._distances.pop()
            self.closest.pop()

    def _go_on(self) -> None:
        if self.done or self._committing:
            return
        pending = self._pending
        while pending:
            limit = _CAUTIOUS if self._is_cautious else self._concurrency
            if len(self._asking) - len(self._slow) >= limit or self._visits >= MAX_VISITS:
                break
            distance, address = heappop(pending)
            if self._is_nearer(distance):
                self._visit(address)
        if not self._from_table and not self.successes and not self.errors:
            self._is_cautious = True
        if self._visits >= MAX_VISITS:
            pending.clear()
        if pending or self._names_awaited:
            return
        has_all = len(self.closest) >= K and len(self._slow) == len(self._asking)
        if self._asking and not has_all:
            return
        if not self._from_table and not self._options.only_nodes and self.successes < _ENOUGH:
            self._add_from_table()
            self._go_on()
            return
        self._finish_walk()

    def _visit(self, address: Address) -> None:
        self._visits += 1
        question = Question(
            address,
            self.command,
            self.internal,
            self.target,
            self.value,
            id=node_id(address),
        )
        options = self._options
        retries = 0 if options.force else options.retries
        asking = self._host.ask_for(self, question, retries, force=options.force)
        if asking is None:
            self.errors += 1
        else:
            self._asking.add(asking)

    def _settle(self, asking: Asking) -> None:
        self._asking.discard(asking)
        self._slow.discard(asking)

    def _finish_walk(self) -> None:
        self._committing = True
        committer = self._options.commit
        if committer is None:
            self._end(None)
            return
        self._drop_questions()
        if not self.closest:
            self._end("too few nodes answered")
            return
        commits = [(reply, committer(reply)) for reply in self.closest]
        wanted = [(reply, commit) for reply, commit in commits if commit is not None]
        if not wanted:
            self._end(None)
            return
        self._committed = len(wanted)
        for reply, commit in wanted:
            if reply.token is None:
                self._commit_settled(taken=False)
                continue
            question = Question(
                reply.sender, commit.command, self.internal, self.target, commit.value, reply.token
            )
            asking = self._host.ask_for(self, question, RETRIES, force=False)
            if asking is None:
                self._commit_settled(taken=False)
            else:
                self._asking.add(asking)

    def _commit_settled(self, *, taken: bool) -> None:
        self.stored += taken
        self._committed -= 1
        if not self._committed:
            self._end(None if self.stored else "no node took the commit")

    def _drop_questions(self) -> None:
        dropped, self._asking = self._asking, set()
        self._slow.clear()
        for asking in dropped:
            self._host.drop(asking)

    def _end(self, failure: str | None) -> None:
        if self.done:
            return
        self.done = True
        self.failure = failure
        self._pending.clear()
        self._drop_questions()
        self._host.query_ended(self)

"""A node on two UDP sockets: reads many datagrams a wake-up, keeps one timer, answers callers."""

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .health import Connectivity
from .messages import REQUEST, RESPONSE
from .node import RpcNodeMachine
from .options import (
    CLIENT,
    SERVER,
    Answered,
    Bootstrapped,
    Datagram,
    DatagramPort,
    Event,
    IncomingRequest,
    NameWanted,
    OpenPort,
    QueryAnswered,
    QueryEnded,
    RequestArrived,
    RpcOptions,
    Unanswered,
)
from .port import UdpPort
from .query import Committer, Query, QueryOptions
from .requests import RETRIES, Asking, Failure, Outgoing, Question, Reply

NAME_TIMEOUT = 5.0  # TUNING seconds to resolve a bootstrap node's name
_DHT_KINDS = (REQUEST, RESPONSE)

_log = logging.getLogger(__name__)

Handler = Callable[[IncomingRequest], bool]
"""Answers a question by the node's `reply`, `error` or `relay`; False if it is none of its."""


def clock() -> float:
    """Seconds that go on while the machine sleeps, so that waking up is noticed."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class RpcQuery:
    """A walk through the DHT: iterate over the answers as they come, or await `finished`."""

    def __init__(self, node: "RpcNode") -> None:
        self._node = node
        self._walk: Query | None = None
        self._replies: deque[Reply] = deque()
        self._news = asyncio.Event()
        self._is_done = False

    @property
    def closest(self) -> list[Reply]:
        """Answers of the nodes nearest to the target, nearest first, 20 at most."""
        return [] if self._walk is None else list(self._walk.closest)

    @property
    def successes(self) -> int:
        """Answers without an error."""
        return 0 if self._walk is None else self._walk.successes

    @property
    def errors(self) -> int:
        """Answers with an error, and nodes that did not answer."""
        return 0 if self._walk is None else self._walk.errors

    @property
    def stored(self) -> int:
        """Nodes that took the commit."""
        return 0 if self._walk is None else self._walk.stored

    async def finished(self) -> list[Reply]:
        """Wait for the end; returns `closest`. Raises UnavailableError if it failed."""
        async for _ in self:
            pass
        return self.closest

    def cancel(self) -> None:
        """Ask nobody any more."""
        if self._walk is not None and not self._is_done:
            self._node.cancel_query(self._walk)

    async def __aiter__(self) -> AsyncIterator[Reply]:
        """Answers without an error, in the order they come. Raises like `finished`.

        Leaving the loop early does not end the walk: `cancel` does.
        """
        while True:
            while self._replies:
                yield self._replies.popleft()
            if self._is_done:
                break
            self._news.clear()
            await self._news.wait()
        failure = None if self._walk is None else self._walk.failure
        if failure is not None:
            raise UnavailableError(f"a walk through the DHT failed: {failure}", code="QUERY_FAILED")

    # -- for the node -----------------------------------------------------------------------------

    def begun(self, walk: Query) -> None:
        """The machine's side of it."""
        self._walk = walk

    def answered(self, reply: Reply) -> None:
        """One more answer."""
        self._replies.append(reply)
        self._news.set()

    def ended(self) -> None:
        """It is over."""
        self._is_done = True
        self._news.set()


class RpcNode:
    """A node of the DHT on two sockets; used with `async with`.

    Questions for the application go to `handler`; other events to `on_event`.
    `open_port` binds the sockets: plain ones unless given. Datagrams that are no DHT messages are
    left to whoever shares the port.
    """

    def __init__(
        self,
        options: RpcOptions,
        handler: Handler | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        is_welcome: Callable[[Address], bool] | None = None,
        open_port: OpenPort = UdpPort.open,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.machine = RpcNodeMachine(options, clock(), random_bytes, is_welcome)
        self.handler = handler
        self.on_event = on_event
        self._options = options
        self._open_port = open_port
        self._ports: dict[int, DatagramPort] = {}
        self._bound = (0, 0)
        self._next_socket = CLIENT + 1
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._is_pumping = False
        self._ready = asyncio.Event()
        self._askings: dict[Asking, asyncio.Future[Reply]] = {}
        self._queries: dict[Query, RpcQuery] = {}
        self._closed = False

    # -- life -------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Bind the sockets and begin to meet the DHT. Raises UnavailableError without a port."""
        self._loop = asyncio.get_running_loop()
        self._bind()
        await self._group.__aenter__()
        self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Give up what is under way and release the sockets."""
        self.suspend()
        self._closed = True
        self._ready.set()
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(kind, error, tb)

    async def ready(self) -> None:
        """Wait for the end of the first walk. Raises UnavailableError if the node is closed."""
        await self._ready.wait()
        if self._closed:
            raise UnavailableError("the node is closed", code="REQUEST_DESTROYED")

    def suspend(self) -> None:
        """Close the sockets; who waits for an answer gets UnavailableError."""
        if self.machine.suspended:
            return
        self.machine.suspend(clock())
        self._pump()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for port in self._ports.values():
            port.on_datagrams(None)
            port.close()
        self._ports.clear()

    def resume(self) -> None:
        """Bind the same ports again (others if they are taken) and go on."""
        if self._closed:
            raise UnavailableError("the node is closed", code="REQUEST_DESTROYED")
        if self.machine.suspended:
            self._bind()
            self._start()

    def network_changed(self) -> None:
        """Tell the node that this machine's addresses have changed."""
        self.machine.network_changed(clock())
        self._pump()

    # -- what it is -------------------------------------------------------------------------------

    @property
    def server_address(self) -> Address:
        """Where the server socket is bound. Raises UnavailableError while suspended."""
        return self.port(SERVER).address

    @property
    def client_address(self) -> Address:
        """Where the client socket is bound. Raises UnavailableError while suspended."""
        return self.port(CLIENT).address

    @property
    def address(self) -> Address:
        """Where the socket is bound that our questions leave from."""
        return self.port(self.machine.socket).address

    @property
    def id(self) -> NodeId | None:
        """Our id, while we are a lasting member of the DHT."""
        return self.machine.id

    @property
    def connectivity(self) -> Connectivity:
        """How well the network answers."""
        return self.machine.connectivity

    def port(self, number: int) -> DatagramPort:
        """The port behind a socket number."""
        port = self._ports.get(number)
        if port is None:
            raise UnavailableError("this socket is closed", code="IO_SUSPENDED")
        return port

    def add_port(self, port: DatagramPort) -> int:
        """Ask and answer from one more port, too; returns its socket number. We read from it."""
        number = self._next_socket
        self._next_socket += 1
        self._attach(number, port)
        return number

    def remove_port(self, number: int) -> None:
        """Leave a port to its owner again."""
        port = self._ports.pop(number, None)
        if port is not None:
            port.on_datagrams(None)

    # -- asking -----------------------------------------------------------------------------------

    async def request(
        self,
        to: Address,
        command: int,
        *,
        target: bytes | None = None,
        value: bytes | None = None,
        token: bytes | None = None,
        retries: int = RETRIES,
        socket: int | None = None,
        ttl: int = 0,
    ) -> Reply:
        """Ask a node for an application's command. Raises UnavailableError without an answer.

        An answer may hold an error number. The same question may arrive more than once.
        """
        question = Question(to, command, target=target, value=value, token=token)
        return await self._answer(
            self.machine.ask(question, clock(), retries=retries, socket=socket, ttl=ttl)
        )

    async def ping(
        self,
        address: Address,
        *,
        retries: int = RETRIES,
        socket: int | None = None,
        padding: int = 0,
        ttl: int = 0,
    ) -> Reply:
        """Wait for a sign of life. Raises UnavailableError without an answer."""
        now = clock()
        return await self._answer(
            self.machine.ping(
                address, now, retries=retries, socket=socket, padding=padding, ttl=ttl
            )
        )

    async def delayed_ping(
        self, address: Address, delay: float, *, socket: int | None = None
    ) -> Reply:
        """Wait for a sign of life that comes `delay` seconds late, 10 at most."""
        return await self._answer(self.machine.delayed_ping(address, delay, clock(), socket=socket))

    def find_node(self, target: bytes, options: QueryOptions | None = None) -> RpcQuery:
        """Walk to the nodes nearest to a target."""
        return self._begin(self.machine.find_node(target, clock(), options))

    def query(
        self,
        target: bytes,
        command: int,
        value: bytes | None = None,
        options: QueryOptions | None = None,
        *,
        commit: Committer | None = None,
        nodes: Sequence[Address] = (),
    ) -> RpcQuery:
        """Walk towards a target, asking each node on the way; then `commit` to the closest."""
        options = options or QueryOptions(concurrency=self._options.concurrency)
        if commit is not None or nodes:
            options = options._replace(
                commit=commit or options.commit, nodes=nodes or options.nodes
            )
        return self._begin(self.machine.query(target, command, value, clock(), options))

    def cancel_query(self, walk: Query) -> None:
        """For RpcQuery.cancel."""
        walk.cancel()
        self._pump()

    # -- answering --------------------------------------------------------------------------------

    def reply(
        self,
        request: IncomingRequest,
        value: bytes | None = None,
        *,
        token: bool = True,
        closer: bool = True,
        to: Address | None = None,
        socket: int | None = None,
    ) -> None:
        """Answer a question; see RpcNodeMachine.reply."""
        self.machine.reply(
            request, value, clock(), token=token, closer=closer, to=to, socket=socket
        )
        self._pump()

    def error(
        self, request: IncomingRequest, code: int, *, token: bool = False, closer: bool = True
    ) -> None:
        """Answer with an error number; 16 and above are the application's."""
        self.machine.error(request, code, clock(), token=token, closer=closer)
        self._pump()

    def relay(
        self,
        request: IncomingRequest,
        value: bytes | None,
        to: Address,
        *,
        socket: int | None = None,
    ) -> None:
        """Pass a question on to another node."""
        self.machine.relay(request, value, to, clock(), socket=socket)
        self._pump()

    # -- inside -----------------------------------------------------------------------------------

    def _bind(self) -> None:
        server_port, client_port = self._bound
        candidates = self._options.ports()
        server = self._open_first([server_port, *candidates] if server_port else candidates)
        try:
            client = self._open_first([client_port, 0] if client_port else [0])
        except BaseException:
            server.close()
            raise
        self._bound = (server.address.port, client.address.port)
        self._attach(SERVER, server)
        self._attach(CLIENT, client)

    def _open_first(self, ports: list[int]) -> DatagramPort:
        for port in ports[:-1]:
            try:
                return self._open_port(self._options.host, port)
            except UnavailableError as error:
                _log.debug("%s", error)
        return self._open_port(self._options.host, ports[-1])

    def _attach(self, number: int, port: DatagramPort) -> None:
        self._ports[number] = port
        port.on_datagrams(partial(self._arrived, number))

    def _start(self) -> None:
        self.machine.start(self._bound[0], clock())
        self._pump()

    def _arrived(self, number: int, datagrams: list[Datagram]) -> None:
        ours = [
            datagram
            for datagram in datagrams
            if datagram.data[:1] and datagram.data[0] in _DHT_KINDS
        ]
        if ours:
            self.machine.receive(ours, clock(), number)
            self._pump()

    def _expired(self) -> None:
        self._timer = None
        self.machine.expire(clock())
        self._pump()

    def _pump(self) -> None:
        """Hand out events, send, re-arm the timer."""
        if self._is_pumping:
            return
        self._is_pumping = True
        machine = self.machine
        try:
            while events := machine.events():
                for event in events:
                    self._tell(event)
            self._send(machine.transmit(clock()))
        finally:
            self._is_pumping = False
        self._arm(machine.deadline())

    def _send(self, out: list[Outgoing]) -> None:
        ports = self._ports
        for number, data, address, ttl in out:
            port = ports.get(number)
            if port is not None:
                port.send(data, address, ttl)

    def _arm(self, deadline: float | None) -> None:
        if self._timer is not None:
            if deadline == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer_at = deadline
            self._timer = self._loop.call_later(max(0.0, deadline - clock()), self._expired)

    def _tell(self, event: Event) -> None:
        match event:
            case RequestArrived(request):
                self._serve(request)
            case Answered(asking, reply):
                self._settle(asking, reply)
            case Unanswered(asking, failure):
                self._settle(asking, failure)
            case QueryAnswered(walk, reply):
                if walk in self._queries:
                    self._queries[walk].answered(reply)
            case QueryEnded(walk):
                if walk in self._queries:
                    self._queries.pop(walk).ended()
            case NameWanted(name):
                self._resolve(name)
            case _:
                if isinstance(event, Bootstrapped):
                    self._ready.set()
                if self.on_event is not None:
                    self.on_event(event)

    def _serve(self, request: IncomingRequest) -> None:
        try:
            handled = self.handler is not None and self.handler(request)
        except PeerError as error:
            _log.debug("a question that is none, from %s: %s", request.sender.host, error)
            return
        if not handled:
            self.machine.unhandled(request, clock())

    async def _answer(self, asking: Asking) -> Reply:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._askings[asking] = future
        self._pump()
        try:
            return await future
        finally:
            if self._askings.pop(asking, None) is not None:
                self.machine.cancel(asking, clock())
                self._pump()

    def _settle(self, asking: Asking, result: Reply | Failure) -> None:
        future = self._askings.pop(asking, None)
        if future is None or future.done():
            return
        if isinstance(result, Reply):
            future.set_result(result)
            return
        to = asking.question.to
        words = {
            Failure.TIMED_OUT: "did not answer",
            Failure.SUSPENDED: "was not heard: we are suspended",
        }.get(result, "is not waited for any more")
        future.set_exception(UnavailableError(f"{to.host}:{to.port} {words}", code=result.value))

    def _begin(self, walk: Query) -> RpcQuery:
        query = RpcQuery(self)
        query.begun(walk)
        self._queries[walk] = query
        if walk.done:
            query.ended()
            del self._queries[walk]
        self._pump()
        return query

    def _resolve(self, name: str) -> None:
        task = self._group.create_task(self._look_up(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, name: str) -> None:
        host: str | None = None
        try:
            async with asyncio.timeout(NAME_TIMEOUT):
                found = await self._loop.getaddrinfo(
                    name, None, family=socket.AF_INET, type=socket.SOCK_DGRAM
                )
                host = str(found[0][4][0])
        except (OSError, TimeoutError, UnicodeError) as error:
            _log.debug("%s cannot be resolved: %s", name, error)
        self.machine.resolved(name, host, clock())
        self._pump()

"""Answering: the DHT's own commands, tokens, and what a stranger may cost."""

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush

from pearbox_edge.ids import NodeId
from pearbox_edge.wire import Address

from .limits import Held, HeldAnswers, HostRates, ProvenHosts, fits
from .messages import (
    ADDRESS_SIZE,
    DELAYED_PING,
    DOWN_HINT,
    FIND_NODE,
    INVALID_TOKEN,
    OK,
    PING,
    PING_NAT,
    UNKNOWN_COMMAND,
    Request,
    Response,
    encode_request,
    encode_response,
    node_id,
    unpack_address,
)
from .options import IncomingRequest, RequestArrived
from .requests import Outgoing, Question, Reply
from .state import NodeState
from .tokens import TokenIssuer

MAX_DELAYED = 1024  # TUNING delayed pings waiting; further ones are not answered
_MAX_DELAYED_PER_HOST = 32  # TUNING
_BURST_SECONDS = 2.0  # TUNING of a host's rate, at once
_SPARED = 4  # TUNING closer nodes left out so that an answer may go at once


class Answers:
    """Answer what comes in, within limits.

    A large answer to an address that may be forged waits until the address has answered a ping.
    Format: npm dht-rpc 6.27.0. Vectors: 04-dht-rpc.json, replies.
    """

    def __init__(self, state: NodeState, on_down_hint: Callable[[NodeId], None]) -> None:
        self.tokens = TokenIssuer(state.now, state.random_bytes)
        self.proven = ProvenHosts()
        self.refused = 0
        """Questions not answered because of a cap."""
        self.challenges = 0
        """Pings sent because an answer was too large for an address that may be forged."""
        self._state = state
        self._on_down_hint = on_down_hint
        rate = state.options.max_requests_per_second
        self._rates = HostRates(rate, rate * _BURST_SECONDS)
        self._held = HeldAnswers()
        self._delayed: list[tuple[float, int, IncomingRequest]] = []
        self._delayed_count = 0
        self._delayed_by_host: Counter[str] = Counter()

    # -- what comes in ----------------------------------------------------------------------------

    def receive(self, request: Request, sender: Address, socket: int, size: int) -> None:
        """Answer a question, or hand it to the application."""
        state = self._state
        if not self._rates.allows(sender.host, state.now):
            self.refused += 1
            return
        id_ = request.id if request.id is not None and request.id == node_id(sender) else None
        asked = IncomingRequest(
            sender,
            id_,
            request.to,
            request.token,
            request.command,
            request.target,
            request.value,
            request.tid,
            request.internal,
            socket,
            size,
        )
        if request.token is not None:
            if not self.tokens.is_valid(request.token, sender.host, state.now):
                self.answer(asked, INVALID_TOKEN, token=True)
                return
            self.proven.prove(sender.host, state.now)
        if id_ is not None and state.is_welcome(sender):
            is_proven = self.proven.is_proven(sender.host, state.now)
            state.contacts.heard_from(
                sender, request.to, sample=socket == state.socket, asked=is_proven
            )
        if request.internal:
            self._serve(asked)
        else:
            state.events.append(RequestArrived(asked))

    def _serve(self, asked: IncomingRequest) -> None:
        value = asked.value or b""
        if asked.command == PING:
            self.answer(asked, closer=False)
        elif asked.command == PING_NAT:
            port = int.from_bytes(value[:2], "little") if len(value) >= 2 else 0
            if port:
                self.answer(asked, closer=False, to=Address(asked.sender.host, port))
        elif asked.command == FIND_NODE:
            if asked.target is not None:
                self.answer(asked)
        elif asked.command == DOWN_HINT:
            if len(value) >= ADDRESS_SIZE:
                self._on_down_hint(node_id(unpack_address(value[:ADDRESS_SIZE])))
                self.answer(asked, closer=False)
        elif asked.command == DELAYED_PING:
            if len(value) >= 4:
                self._delay(asked, int.from_bytes(value[:4], "little") / 1000)
        else:
            self.answer(asked, UNKNOWN_COMMAND)

    # -- what goes out ----------------------------------------------------------------------------

    def answer(
        self,
        asked: IncomingRequest,
        error: int = OK,
        value: bytes | None = None,
        *,
        token: bool = False,
        closer: bool = True,
        to: Address | None = None,
        socket: int | None = None,
    ) -> None:
        """Answer a question; see RpcNodeMachine.reply."""
        state = self._state
        to = asked.sender if to is None else to
        socket = asked.socket if socket is None else socket
        near: list[Address] = []
        if closer and asked.target is not None:
            near = [node.address for node in state.contacts.table.closest(asked.target)]
        response = Response(
            asked.tid,
            to,
            state.id_for(socket),
            self.tokens.issue(to.host, state.now) if token else None,
            tuple(near),
            error,
            value,
        )
        data = encode_response(response)
        limit = state.options.amplification_limit
        if limit and not self.proven.is_proven(to.host, state.now):
            spare = _SPARED
            while spare and near and not fits(len(data), asked.size, limit):
                spare -= 1
                near.remove(_farthest(near, asked.target or b""))
                data = encode_response(response._replace(closer=tuple(near)))
            if not fits(len(data), asked.size, limit):
                self._challenge(to, socket, data)
                return
        state.out.append(Outgoing(socket, data, to))

    def relay(
        self, asked: IncomingRequest, value: bytes | None, to: Address, socket: int | None = None
    ) -> None:
        """Pass a question on; see RpcNodeMachine.relay."""
        state = self._state
        socket = asked.socket if socket is None else socket
        request = Request(
            asked.tid,
            to,
            state.id_for(socket),
            None,
            asked.internal,
            asked.command,
            asked.target,
            value,
        )
        state.out.append(Outgoing(socket, encode_request(request), to))

    def _challenge(self, to: Address, socket: int, data: bytes) -> None:
        """Ask for a sign of life before sending so much."""
        known = self._held.get(to)
        if known is not None:
            known.socket, known.data = socket, data
            return
        self.challenges += 1
        held = Held(socket, data)
        dropped = self._held.hold(to, held)
        if dropped is not None and dropped.asking is not None:
            self._state.requests.cancel(dropped.asking, self._state.now)

        def pong(_reply: Reply) -> None:
            held = self._held.release(to)
            if held is not None:
                self._state.out.append(Outgoing(held.socket, held.data, to))

        asking = self._state.ask(
            Question(to, PING, internal=True),
            pong,
            lambda _failure: self._drop_held(to),
            retries=0,
            socket=socket,
            counted=False,
        )
        if asking is None:
            self._drop_held(to)
        held.asking = asking

    def _drop_held(self, to: Address) -> None:
        self.refused += 1
        self._held.release(to)

    # -- time -------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When the next delayed ping is due."""
        return self._delayed[0][0] if self._delayed else None

    def expire(self) -> None:
        """Answer the delayed pings that are due."""
        delayed = self._delayed
        while delayed and delayed[0][0] <= self._state.now:
            asked = heappop(delayed)[2]
            self._delayed_by_host[asked.sender.host] -= 1
            if not self._delayed_by_host[asked.sender.host]:
                del self._delayed_by_host[asked.sender.host]
            self.answer(asked, closer=False)

    def clear(self) -> None:
        """Forget what waits."""
        self._delayed.clear()
        self._delayed_by_host.clear()
        self._held.clear()

    def _delay(self, asked: IncomingRequest, delay: float) -> None:
        if delay > self._state.options.max_ping_delay:
            return
        host = asked.sender.host
        if (
            len(self._delayed) >= MAX_DELAYED
            or self._delayed_by_host[host] >= _MAX_DELAYED_PER_HOST
        ):
            self.refused += 1
            return
        self._delayed_by_host[host] += 1
        self._delayed_count += 1
        heappush(self._delayed, (self._state.now + delay, self._delayed_count, asked))


def _farthest(addresses: list[Address], target: bytes) -> Address:
    goal = int.from_bytes(target, "big")
    return max(addresses, key=lambda address: goal ^ int.from_bytes(node_id(address), "big"))

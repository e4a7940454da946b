"""Passing handshakes and hole punch messages on between clients and servers that announced here."""

from dataclasses import dataclass

from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address

from .addresses import is_dialable
from .answers import Answer, PassOn, Value
from .caches import ExpiringCache
from .messages import (
    Mode,
    PassedHandshake,
    PassedHolepunch,
    decode_handshake,
    decode_holepunch,
    encode_handshake,
    encode_holepunch,
    target_of,
)

MAX_ROUTES = 65536  # SPEC
ROUTE_AGE = 20 * 60.0  # SPEC seconds


@dataclass(frozen=True, slots=True)
class Route:
    """A machine that announced itself here: where it did so from, and its record."""

    relay: Address
    record: bytes


class Router:
    """Who announced itself, by the hash of its key; what to do with messages for it.

        client --FROM_CLIENT--> relay --FROM_RELAY--> server
        client <----- REPLY --- relay <-FROM_SERVER-- server

    A message leaves a relay no larger than it came (but for an address), to one place only.
    Pure. Format: npm hyperdht 6.34.0, `lib/router.js`.
    """

    def __init__(self) -> None:
        self._routes: ExpiringCache[bytes, Route] = ExpiringCache(MAX_ROUTES, ROUTE_AGE)

    def __len__(self) -> int:
        return len(self._routes)

    def set(self, target: bytes, route: Route, now: float) -> None:
        """Remember where a machine announced itself from."""
        self._routes.set(target, route, now)

    def get(self, target: bytes, now: float) -> Route | None:
        """Where the machine with this hash of its key announced itself from."""
        return self._routes.get(target, now)

    def delete(self, target: bytes) -> None:
        """It is gone."""
        self._routes.pop(target)

    def pass_handshake(self, request: IncomingRequest, now: float) -> Answer | None:
        """What to do with a handshake message for somebody else. PeerError if it is none."""
        message = decode_handshake(request.value or b"")
        route = self.get(target_of(request.target), now)
        relay = None if route is None else route.relay
        if not message.noise:
            return None
        match message.mode:
            case Mode.FROM_CLIENT:
                to = message.relay_address or relay
                if to is None:
                    return Value(token=False)  # closer nodes help the client on
                passed = PassedHandshake(Mode.FROM_RELAY, message.noise, request.sender)
                return _pass_on(encode_handshake(passed), to)
            case Mode.FROM_RELAY:
                if relay is None:
                    return None
                passed = PassedHandshake(
                    Mode.FROM_SECOND_RELAY, message.noise, message.peer_address, request.sender
                )
                return _pass_on(encode_handshake(passed), relay)
            case Mode.FROM_SERVER:
                if message.peer_address is None:
                    return None
                reply = PassedHandshake(Mode.REPLY, message.noise, request.sender)
                return _reply_to(encode_handshake(reply), message.peer_address)
            case _:
                return None

    def pass_holepunch(self, request: IncomingRequest, now: float) -> Answer | None:
        """What to do with a hole punch message for somebody else. PeerError if it is none."""
        message = decode_holepunch(request.value or b"")
        route = self.get(target_of(request.target), now)
        match message.mode:
            case Mode.FROM_CLIENT:
                to = message.peer_address or (None if route is None else route.relay)
                if to is None:
                    return None
                passed = PassedHolepunch(Mode.FROM_RELAY, message.id, message.box, request.sender)
                return _pass_on(encode_holepunch(passed), to)
            case Mode.FROM_SERVER:
                if message.peer_address is None:
                    return None
                reply = PassedHolepunch(Mode.REPLY, message.id, message.box, request.sender)
                return _reply_to(encode_holepunch(reply), message.peer_address)
            case _:
                return None


def reply_to_handshake(
    request: IncomingRequest, noise: bytes, *, socket: int | None = None
) -> Answer | None:
    """How the server itself answers message 1 with message 2, by the way it came.

    socket: where the answer leaves from, if not from the one that the question came to.
    """
    message = decode_handshake(request.value or b"")
    match message.mode:
        case Mode.FROM_CLIENT:
            reply = PassedHandshake(Mode.REPLY, noise)
            return Value(encode_handshake(reply), token=False, closer=False, socket=socket)
        case Mode.FROM_RELAY:
            to: Address | None = request.sender
        case Mode.FROM_SECOND_RELAY:
            to = message.relay_address
        case _:
            return None
    if to is None or not is_dialable(to):
        return None
    answer = PassedHandshake(Mode.FROM_SERVER, noise, message.peer_address)
    return PassOn(encode_handshake(answer), to, socket)


def reply_to_holepunch(
    request: IncomingRequest, box: bytes, *, socket: int | None = None
) -> Answer | None:
    """How the server itself answers a hole punch message that a relay passed on."""
    message = decode_holepunch(request.value or b"")
    if message.mode != Mode.FROM_RELAY or message.peer_address is None:
        return None
    answer = PassedHolepunch(Mode.FROM_SERVER, 0, box, message.peer_address)
    return PassOn(encode_holepunch(answer), request.sender, socket)


def _pass_on(value: bytes, to: Address) -> Answer | None:
    return PassOn(value, to) if is_dialable(to) else None


def _reply_to(value: bytes, to: Address) -> Answer | None:
    if not is_dialable(to):
        return None
    return Value(value, token=False, closer=False, to=to)

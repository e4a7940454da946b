"""The server's side of handshakes: who may come in, and what the others are told."""

from collections.abc import Callable
from typing import Protocol

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import UnavailableError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address

from .addresses import is_dialable
from .answers import Answer
from .caches import ExpiringCache
from .handshake import Agreement, PeerHandshake
from .messages import ABORTED, NO_ERROR, VERSION_MISMATCH, Firewall, Mode, decode_handshake
from .payloads import VERSION, NoisePayload, UdxInfo
from .router import reply_to_handshake

MAX_ATTEMPTS = 1024  # TUNING handshakes of one server; the oldest is given up first
ATTEMPT_AGE = 10.0  # SPEC seconds until a client must have come, and a reply is kept

Refuses = Callable[[PublicKey, NoisePayload, Address], bool]
"""(who, what it says, where it is) -> whether to leave it without an answer."""


class Attempt:
    """One client's handshake; the same message may come through several relays.

    ANSWERED --its first packet | we connect--> connected
        \\---- 10 s ----> given up
    """

    def __init__(self) -> None:
        self.reply: bytes | None = None
        """Message 2; None for silence."""
        self.agreement: Agreement | None = None
        self.stream_id: int | None = None
        self.connected = False


class ServerHost(Protocol):
    """What handshakes need of the shell."""

    def own_address(self) -> Address | None:
        """Where everybody reaches us, if we know that they do."""
        ...

    def addresses(self) -> tuple[Address, ...]:
        """Where clients may reach us, the best first."""
        ...

    def relay_addresses(self) -> tuple[Address, ...]:
        """Nodes that pass messages on to us."""
        ...

    def open_stream(self, attempt: Attempt) -> int:
        """Make a stream that connects to its first packet. UnavailableError if there are enough."""
        ...

    def connect(self, attempt: Attempt, address: Address, socket: int | None) -> None:
        """Connect the attempt's stream; socket None is the usual one."""
        ...

    def abandon(self, attempt: Attempt) -> None:
        """Drop the attempt's stream, if it has one that is not connected."""
        ...


class Acceptor:
    """Answers handshake messages for one key pair, each client's once.

    A refused client gets no answer at all. We take part in no hole punching: clients are told to
    send to us directly, which works if we are open, on their network, or behind a friendly NAT.
    Pure but for its host. Format: npm hyperdht 6.34.0, `lib/server.js`.
    """

    def __init__(
        self,
        key_pair: KeyPair,
        host: ServerHost,
        random_bytes: Callable[[int], bytes],
        refuses: Refuses | None = None,
    ) -> None:
        self._key_pair = key_pair
        self._host = host
        self._random_bytes = random_bytes
        self._refuses = refuses
        self._attempts: ExpiringCache[bytes, Attempt] = ExpiringCache(
            MAX_ATTEMPTS, ATTEMPT_AGE, on_drop=lambda _noise, attempt: host.abandon(attempt)
        )

    def __len__(self) -> int:
        return len(self._attempts)

    def handshake(self, request: IncomingRequest, now: float) -> Answer | None:
        """Answer a handshake message; None for silence. PeerError if it cannot be read."""
        message = decode_handshake(request.value or b"")
        is_direct = message.mode == Mode.FROM_CLIENT
        client = request.sender if is_direct else message.peer_address
        if message.mode not in (Mode.FROM_CLIENT, Mode.FROM_RELAY, Mode.FROM_SECOND_RELAY):
            return None
        if client is None or not is_dialable(client):
            return None
        self.expire(now)
        attempt = self._attempts.get(message.noise, now)
        if attempt is None:
            attempt = self._meet(message.noise, client, now, request.socket if is_direct else None)
        if attempt.reply is None:
            return None
        return reply_to_handshake(request, attempt.reply)

    def holepunch(self, _request: IncomingRequest, _now: float) -> Answer | None:
        """Silence: no client was told that we punch."""
        return None

    def expire(self, now: float) -> None:
        """Give up clients that did not come."""
        self._attempts.expire(now)

    def close(self) -> None:
        """Give up all that did not come yet."""
        self._attempts.expire(float("inf"))

    def _meet(self, noise: bytes, client: Address, now: float, socket: int | None) -> Attempt:
        handshake = PeerHandshake(self._key_pair, self._random_bytes)
        remote = handshake.read(noise)
        attempt = Attempt()
        self._attempts.set(noise, attempt, now)
        if self._refuses is not None and self._refuses(handshake.remote_public_key, remote, client):
            return attempt
        error = NO_ERROR
        if remote.version != VERSION:
            error = VERSION_MISMATCH
        elif remote.udx is None:
            error = ABORTED
        host = self._host
        if error == NO_ERROR:
            try:
                attempt.stream_id = host.open_stream(attempt)
            except UnavailableError:
                return attempt
        own = host.own_address()
        attempt.reply = handshake.write(
            NoisePayload(
                error,
                Firewall.UNKNOWN if own is None else Firewall.OPEN,
                addresses4=host.addresses(),
                udx=UdxInfo(attempt.stream_id or 0),
                secret_stream=VERSION,
                relay_addresses=host.relay_addresses() or None,
            )
        )
        attempt.agreement = handshake.agreement()
        if error == NO_ERROR and (socket is not None or remote.firewall == Firewall.OPEN):
            host.connect(attempt, client, socket)
        return attempt

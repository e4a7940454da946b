"""Which way a client's stream takes to a server whose handshake it has."""

from collections.abc import Sequence
from dataclasses import dataclass

from pearbox_edge.wire import Address

from .addresses import best_match, is_bogon, is_dialable, is_reserved
from .handshake import Agreement
from .messages import Firewall


@dataclass(frozen=True, slots=True)
class Reached:
    """A server answered our handshake message."""

    agreement: Agreement
    stream_id: int
    """The server's stream."""
    relay: Address
    """Whom we asked: a node that passed it on, or the server itself."""
    server: Address
    """The server as the relay sees it."""
    client: Address
    """We as the relay sees us."""
    relayed: bool
    socket: int
    """Which of our sockets the answer came to."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Send there at once; `socket` is the number of ours, None for the usual one."""

    address: Address
    socket: int | None = None


@dataclass(frozen=True, slots=True)
class Passive:
    """Wait for the server's packets: everybody reaches us."""


@dataclass(frozen=True, slots=True)
class Lan:
    """Both are behind the same address: ping the server at its own one, then send there."""

    address: Address


Path = Direct | Passive | Lan


def choose_path(
    reached: Reached, *, is_open: bool, local_hosts: Sequence[str], lan: bool = True
) -> Path | None:
    """How to get a stream through; None if both ends only let answers in.

    is_open: whether we told the server that everybody reaches us. local_hosts: our own addresses.
    lan: whether to try the server's local addresses.
    Format: npm hyperdht 6.34.0, `lib/connect.js`.
    """
    remote = reached.agreement.remote
    if not reached.relayed:
        return Direct(reached.relay, reached.socket)
    can_punch = remote.holepunch is not None and bool(remote.holepunch.relays)
    if remote.firewall == Firewall.OPEN or not can_punch:
        public = [a for a in remote.addresses4 if not is_bogon(a.host) and is_dialable(a)]
        return _direct(public[0] if public else reached.server)
    if is_open:
        return Passive()
    if lan and reached.client.host == reached.server.host:
        known = [a for a in remote.addresses4 if not is_reserved(a.host) and is_dialable(a)]
        if known:
            return Lan(best_match(local_hosts, known) or known[0])
    return None


def _direct(address: Address) -> Path | None:
    return Direct(address) if is_dialable(address) else None

"""Measuring a NAT with UDP packets only, in the terms of RFC 4787."""

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .host import Host

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class NatReport:
    """What lies between a peer and the public hosts."""

    local: Address
    mapped: list[Address | None]
    """The peer's address as three public sockets on two hosts saw it."""
    mapping: str | None = None
    filtering: str | None = None
    unsolicited: bool = False
    """Whether a packet to a port that was never used arrives."""

    @property
    def outbound(self) -> bool:
        """Whether all that the peer sent came out."""
        return all(self.mapped)

    @property
    def port_preserved(self) -> bool:
        """Whether the mapped port is the local one."""
        return self.mapped[0] is not None and self.mapped[0][1] == self.local[1]


def classify_nat(peer: Host, public: Sequence[Host], wait: float = 0.35) -> NatReport:
    """Find out what lies between `peer` and three or more public hosts.

    Every public host plays a tiny STUN server: it looks at the source address of what the peer
    sent and later sends packets back from addresses the peer has or has not written to.
    """
    with contextlib.ExitStack() as stack:

        def bound(host: Host) -> socket.socket:
            sock = stack.enter_context(host.socket())
            sock.bind((host.address, 0))
            sock.settimeout(wait)
            return sock

        inner = bound(peer)
        one, one_b, one_c = bound(public[0]), bound(public[0]), bound(public[0])
        two, stranger = bound(public[1]), bound(public[2])
        mapped = [_seen_by(sock, inner) for sock in (one, one_b, two)]
        local = inner.getsockname()
        first = mapped[0]
        if first is None or not all(mapped):
            return NatReport(local, mapped)
        if first == local:
            mapping = "none"
        elif len(set(mapped)) == 1:
            mapping = "endpoint-independent"
        elif first == mapped[1]:
            mapping = "address-dependent"
        else:
            mapping = "address-and-port-dependent"
        inbound = _arrives(one, inner, first, wait)
        # Strictest first, so that no probe opens the way for the next one.
        if _arrives(stranger, inner, first, wait):
            filtering = "endpoint-independent"
        elif _arrives(one_c, inner, first, wait):
            filtering = "address-dependent"
        else:
            filtering = "address-and-port-dependent" if inbound else "everything"
        # Open only with a real public address or a forwarded port.
        fresh = bound(peer)
        unused = (first[0], fresh.getsockname()[1])
        return NatReport(local, mapped, mapping, filtering, _arrives(stranger, fresh, unused, wait))


def _seen_by(server: socket.socket, inner: socket.socket) -> Address | None:
    inner.sendto(b"where am I", server.getsockname())
    try:
        _, (host, port) = server.recvfrom(2048)
    except OSError:
        return None
    return host, port


def _arrives(sender: socket.socket, inner: socket.socket, target: Address, wait: float) -> bool:
    tag = os.urandom(8)
    sender.sendto(tag, target)
    end = time.monotonic() + wait
    while time.monotonic() < end:
        try:
            if inner.recv(2048) == tag:
                return True
        except OSError:
            return False
    return False

"""UDP packets between the hosts of a lab, all from this process."""

import select
import socket
import struct
import time

from tests.lab.netlab import Host

_SO_RCVBUFFORCE = 33  # SPEC Linux socket.h


def ping(source: Host, target: Host, seconds: float = 1.0) -> bool:
    """Whether one UDP packet gets there and one back."""
    with source.socket() as a, target.socket() as b:
        b.bind((target.address, 0))
        a.settimeout(seconds)
        b.settimeout(seconds)
        try:
            a.sendto(b"ping", b.getsockname())
            b.sendto(b"pong", b.recvfrom(100)[1])
            return a.recvfrom(100)[0] == b"pong"
        except OSError:
            return False


def flow(
    source: Host, target: Host, count: int, gap: float = 0.001, drain: float = 0.3
) -> list[tuple[int, float]]:
    """Numbered UDP packets of 200 bytes; returns what arrived as (number, one-way seconds)."""
    arrived: list[tuple[int, float]] = []
    with source.socket() as tx, target.socket() as rx:
        rx.bind((target.address, 0))
        rx.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 23)
        rx.setblocking(False)

        def read_until(end: float) -> None:
            while select.select([rx], [], [], max(0.0, end - time.monotonic()))[0]:
                number, sent = struct.unpack_from("!Id", rx.recv(65535))
                arrived.append((number, time.monotonic() - sent))

        for number in range(count):
            tx.sendto(struct.pack("!Id", number, time.monotonic()) + bytes(188), rx.getsockname())
            read_until(time.monotonic() + gap)
        read_until(time.monotonic() + drain)
    return arrived

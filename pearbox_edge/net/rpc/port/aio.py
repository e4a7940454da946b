"""A plain UDP socket on the event loop: many datagrams a wake-up."""

import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Self

from pearbox_edge.errors import UnavailableError
from pearbox_edge.net.rpc.messages import MAX_DATAGRAM
from pearbox_edge.net.rpc.options import Datagram
from pearbox_edge.wire import Address, Buffer

BATCH = 64  # TUNING datagrams read in one wake-up, before others get a turn
RECEIVE_BUFFER = 1 << 20  # SPEC sheet 02
MAX_UNSENT = 256  # TUNING datagrams kept while the kernel takes none; the newest are lost

_log = logging.getLogger(__name__)


class UdpPort:
    """A plain UDP socket. For tests, and for nodes that carry no streams."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._address = Address(*sock.getsockname()[:2])
        self._loop = asyncio.get_running_loop()
        self._callback: Callable[[list[Datagram]], None] | None = None
        self._unsent: deque[tuple[Buffer, Address, int]] = deque()
        self._closed = False

    @classmethod
    def open(cls, host: str, port: int) -> Self:
        """Bind. Raises UnavailableError if the address cannot be had."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind((host, port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        except OSError as error:
            sock.close()
            code = errno.errorcode.get(error.errno or 0, "UNAVAILABLE")
            raise UnavailableError(
                f"cannot bind UDP {host}:{port}: {error.strerror}", code=code
            ) from error
        return cls(sock)

    @property
    def address(self) -> Address:
        """Where it is bound."""
        return self._address

    def send(self, data: Buffer, address: Address, ttl: int = 0) -> None:
        """Send one datagram, or lose it."""
        if self._closed:
            return
        if self._unsent:
            if len(self._unsent) < MAX_UNSENT:
                self._unsent.append((data, address, ttl))
            return
        try:
            self._send_now(data, address, ttl)
        except BlockingIOError:
            self._unsent.append((data, address, ttl))
            self._loop.add_writer(self._socket, self._flush)
        except OSError as error:
            _log.debug("a datagram to %s:%d was not sent: %s", *address, error)

    def on_datagrams(self, callback: Callable[[list[Datagram]], None] | None) -> None:
        """Read from now on, or stop."""
        if self._closed:
            return
        self._callback = callback
        if callback is None:
            self._loop.remove_reader(self._socket)
        else:
            self._loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Release the socket."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._unsent.clear()
            self._socket.close()

    def _send_now(self, data: Buffer, address: Address, ttl: int) -> None:
        if not ttl:
            self._socket.sendto(data, address)
            return
        usual = self._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        try:
            self._socket.sendto(data, address)
        finally:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, usual)

    def _flush(self) -> None:
        while self._unsent:
            try:
                self._send_now(*self._unsent[0])
            except BlockingIOError:
                return
            except OSError as error:
                _log.debug("a datagram was not sent: %s", error)
            self._unsent.popleft()
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        batch: list[Datagram] = []
        receive = self._socket.recvfrom
        try:
            for _ in range(BATCH):
                data, sender = receive(MAX_DATAGRAM)
                batch.append(Datagram(data, Address(*sender)))
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            _log.debug("reading: %s", error)  # an ICMP message, about one datagram of ours
        if batch and self._callback is not None:
            self._callback(batch)

"""A UDP socket that moves dozens of datagrams with one system call."""

import asyncio
import errno
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence

from pearbox_edge.errors import UnavailableError
from pearbox_edge.wire import Buffer

Address = tuple[str, int]

Received = tuple[memoryview, int, Address]
"""(memory, size, from): datagrams of `size` bytes one behind the other, the last perhaps shorter.

The memory is valid, and may be written to, until the next `receive` into the same buffer.
"""

LARGEST = 65536  # SPEC UDP: no system call brings more
READ_BUFFER = 512 << 10  # TUNING one wake-up takes this much at most, then acks leave
READS = 64  # TUNING system calls per wake-up
RECEIVE_BUFFER = 4 << 20  # TUNING the kernel's queue; it may give less
SEND_BUFFER = 1 << 20  # TUNING
MAX_BACKLOG = 512  # TUNING sends that wait for the kernel; more are lost, as on a full line
MAX_KNOWN = 4096  # TUNING addresses whose other form is remembered

_UDP_SEGMENT = 103  # SPEC linux/udp.h; the socket module has no names for these
_UDP_GRO = 104
_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3  # set DF, and do not believe ICMP
_CONTROL_SIZE = 64
_MSG_TRUNC = int(socket.MSG_TRUNC)  # plain numbers: the enum's are slow where every packet passes
_SOL_UDP = int(socket.SOL_UDP)
_UINT16 = struct.Struct("=H")
_INT = struct.Struct("=i")
_MAPPED = "::ffff:"

_log = logging.getLogger(__name__)


class DatagramSocket:
    """Sends and receives without ever waiting.

    While the kernel takes no more, `is_blocked`: hand it nothing new until `on_writable` is called.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        on_readable: Callable[[], None],
        on_writable: Callable[[], None],
        offload: bool = True,
        buffer: memoryview | None = None,
    ) -> None:
        """Bind; port 0 takes any free one. Raises UnavailableError.

        offload: False sends and receives one by one, as on a kernel that cannot do better.
        buffer: READ_BUFFER bytes that many sockets may share.
        """
        self._is_ipv6 = ":" in host
        family = socket.AF_INET6 if self._is_ipv6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._tune()
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise UnavailableError(
                f"cannot bind UDP {host} port {port}: {error.strerror}",
                code=errno.errorcode.get(error.errno or 0),
            ) from error
        name = self._socket.getsockname()
        self.address: Address = (name[0], name[1])
        self.can_segment = offload and self._try(socket.SOL_UDP, _UDP_SEGMENT, 0)
        """Whether one system call may send many datagrams."""
        self.can_coalesce = offload and self._try(socket.SOL_UDP, _UDP_GRO, 1)
        """Whether one system call may bring many datagrams."""
        self.is_closed = False
        self._loop = asyncio.get_running_loop()
        self._on_writable = on_writable
        self._buffer = memoryview(bytearray(READ_BUFFER)) if buffer is None else buffer
        self._backlog: deque[tuple[Sequence[Buffer], int, Address, int | None]] = deque()
        self._known: dict[str, str] = {}
        self._loop.add_reader(self._socket, on_readable)

    @property
    def is_ipv6(self) -> bool:
        """Whether packets have IPv6 headers (those to IPv4 hosts have not)."""
        return self._is_ipv6

    @property
    def is_blocked(self) -> bool:
        """Whether the kernel takes no more for now."""
        return bool(self._backlog)

    def receive(self) -> list[Received]:
        """What has arrived, up to 512 KiB; the memory of the call before is used again."""
        found: list[Received] = []
        buffer = self._buffer
        start = 0
        limit = len(buffer) - LARGEST
        receive = self._socket.recvmsg_into
        try:
            while start <= limit and len(found) < READS and not self.is_closed:
                space = buffer[start : start + LARGEST]
                size, control, flags, where = receive((space,), _CONTROL_SIZE)
                if flags & _MSG_TRUNC or not size:
                    continue
                each = size
                for level, kind, value in control:
                    if level == _SOL_UDP and kind == _UDP_GRO:
                        each = _INT.unpack(value)[0]
                address = (where[0], where[1])
                if self._is_ipv6 and where[0].startswith(_MAPPED):
                    address = (where[0][len(_MAPPED) :], where[1])
                found.append((space[:size], each, address))
                start += size
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:  # an ICMP error of an earlier send: nothing of ours
            _log.debug("receiving on %s: %s", self.address, error)
        return found

    def send(
        self, parts: Sequence[Buffer], size: int, to: Address, *, ttl: int | None = None
    ) -> None:
        """Send datagrams of `size` bytes, of two parts each; the last may be shorter."""
        if self.is_closed:
            return
        if self._backlog:
            self._wait(parts, size, to, ttl)
            return
        try:
            self._send(parts, size, to, ttl)
        except (BlockingIOError, InterruptedError):
            self._wait(parts, size, to, ttl)

    def close(self) -> None:
        """Give the port back; what waits to be sent is lost."""
        if self.is_closed:
            return
        self.is_closed = True
        self._loop.remove_reader(self._socket)
        if self._backlog:
            self._loop.remove_writer(self._socket)
            self._backlog.clear()
        self._socket.close()

    # -- inside -----------------------------------------------------------------------------------

    def _send(self, parts: Sequence[Buffer], size: int, to: Address, ttl: int | None) -> None:
        """One system call, or one a datagram. Raises BlockingIOError; other errors lose them."""
        control: list[tuple[int, int, bytes]] = []
        if ttl is not None:
            control.append(self._ttl(ttl, to))
        where = self._outward(to)
        try:
            if len(parts) <= 2:
                self._socket.sendmsg(parts, control, 0, where)
                return
            if self.can_segment:
                segment = (socket.SOL_UDP, _UDP_SEGMENT, _UINT16.pack(size))
                self._socket.sendmsg(parts, [*control, segment], 0, where)
                return
        except (BlockingIOError, InterruptedError):
            raise
        except OSError as error:
            if len(parts) <= 2 or error.errno not in (errno.EIO, errno.EINVAL):
                _log.debug("sending to %s: %s", to, error)
                return
            if error.errno == errno.EIO:  # the card cannot: see udp(7)
                self.can_segment = False
                _log.info("no segmentation offload on %s: packets leave one by one", self.address)
        self._send_singly(parts, size, to, ttl)

    def _send_singly(
        self, parts: Sequence[Buffer], size: int, to: Address, ttl: int | None
    ) -> None:
        for start in range(0, len(parts), 2):
            try:
                self._send(parts[start : start + 2], size, to, ttl)
            except (BlockingIOError, InterruptedError):
                self._wait(parts[start:], size, to, ttl)
                return

    def _wait(self, parts: Sequence[Buffer], size: int, to: Address, ttl: int | None) -> None:
        if not self._backlog:
            self._loop.add_writer(self._socket, self._flush)
        if len(self._backlog) < MAX_BACKLOG:
            self._backlog.append((parts, size, to, ttl))

    def _flush(self) -> None:
        """The kernel takes more."""
        waiting, self._backlog = self._backlog, deque()
        try:
            while waiting:
                self._send(*waiting[0])
                waiting.popleft()
                if self._backlog:  # a rest of it waits again
                    break
        except (BlockingIOError, InterruptedError):
            pass
        self._backlog.extend(waiting)
        if not self._backlog:
            self._loop.remove_writer(self._socket)
            self._on_writable()

    def _outward(self, to: Address) -> Address:
        """The address as this socket's family writes it."""
        if not self._is_ipv6 or ":" in to[0]:
            return to
        return (_MAPPED + to[0], to[1])

    def _ttl(self, ttl: int, to: Address) -> tuple[int, int, bytes]:
        if ":" in to[0]:
            return (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _INT.pack(ttl))
        return (socket.IPPROTO_IP, socket.IP_TTL, _INT.pack(ttl))

    def _tune(self) -> None:
        self._try(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._try(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._try(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        if self._is_ipv6:
            self._try(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._try(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)

    def _try(self, level: int, option: int, value: int) -> bool:
        try:
            self._socket.setsockopt(level, option, value)
        except OSError:
            return False
        return True

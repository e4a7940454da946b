"""UDX sockets and streams on the event loop: read much, hand it on, send much, one timer each."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self, assert_never

from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.wire import Buffer

from .budget import Budget
from .datagrams import READ_BUFFER, Address, DatagramSocket
from .finished import FinishedStreams
from .mtu import OVERHEAD_IPV4, OVERHEAD_IPV6
from .packet import DESTROY, END, HEADER_SIZE, ID_OFFSET, is_udx, is_uniform, readdress
from .stream import Closed, Moved, RemoteEnded, UdxStreamMachine

Firewall = Callable[["UdxSocket", str, int], bool]
"""(socket, host, port) -> whether to refuse a packet that came where the stream is not."""

MAX_STREAMS = 4096  # TUNING streams of one Udx: more are refused
WRITE_HIGH = 2 << 20  # TUNING unsent bytes above which drain() waits
WRITE_LOW = 512 << 10  # TUNING until this few are left, so that the line never runs dry
WRITE_LIMIT = 64 << 20  # TUNING a peer that reads nothing while we go on answering is dropped
CLOSE_TIMEOUT = 5.0  # TUNING seconds that close() waits while they take nothing of what is left
CLOSE_LIMIT = 60.0  # TUNING seconds that it waits for one that takes little

_END = memoryview(b"")
_NOWHERE: Address = ("", 0)
_log = logging.getLogger(__name__)


class Udx:
    """All sockets and streams of one node: packets find their stream on whatever socket they come.

    Used with `async with`, or ended by `close`.
    """

    def __init__(self, random_bytes: Callable[[int], bytes], *, offload: bool = True) -> None:
        """offload: False does without the kernel's help, as on old kernels."""
        self._random_bytes = random_bytes
        self._offload = offload
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, UdxStream] = {}
        self._finished = FinishedStreams()
        self._budget = Budget()
        self._sockets: set[UdxSocket] = set()
        # One for all sockets: hole punching binds hundreds.
        self._buffer = memoryview(bytearray(READ_BUFFER))

    def bind(self, host: str, port: int = 0) -> "UdxSocket":
        """A new socket. Raises UnavailableError when the port is taken."""
        socket = UdxSocket(self, host, port, offload=self._offload, buffer=self._buffer)
        self._sockets.add(socket)
        return socket

    def stream(
        self, id_: int | None = None, *, first: int = 0, firewall: Firewall | None = None
    ) -> "UdxStream":
        """A new stream, known by its id from now on; `connect` opens it.

        first: where our numbers begin. firewall: asked about packets that arrive before `connect`,
        or on another socket; without one they are refused.
        """
        if len(self._streams) >= MAX_STREAMS:
            raise UnavailableError("too many streams")
        if id_ is None:
            id_ = self._free_id()
        elif id_ in self._streams:
            raise UsageError(f"stream {id_} exists already")
        phase = self._random_bytes(1)[0] % 7
        stream = UdxStream(
            self, id_, first=first, firewall=firewall, phase=phase, budget=self._budget
        )
        self._streams[id_] = stream
        return stream

    def close(self) -> None:
        """Drop all streams and give back all ports."""
        for stream in list(self._streams.values()):
            stream.abort()
        for socket in list(self._sockets):
            socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    # -- for the room -----------------------------------------------------------------------------

    def find(self, id_: int) -> "UdxStream | None":
        """The stream that packets with this id are for."""
        return self._streams.get(id_)

    def forget(self, stream: "UdxStream", last_ack: bytes) -> None:
        """The stream is over; `last_ack` answers those who did not hear so."""
        if self._streams.get(stream.id) is stream:
            del self._streams[stream.id]
        if last_ack:
            self._finished.add(stream.id, last_ack, self._loop.time())

    def last_ack(self, id_: int) -> bytes | None:
        """What to answer the END of a stream that is over."""
        return self._finished.ack(id_, self._loop.time())

    def drop_socket(self, socket: "UdxSocket") -> None:
        """The socket is closed: its streams are dropped."""
        self._sockets.discard(socket)
        for stream in list(self._streams.values()):
            if stream.socket is socket:
                stream.abort()

    def _free_id(self) -> int:
        while True:
            id_ = int.from_bytes(self._random_bytes(4), "little")
            if id_ not in self._streams and id_ not in self._finished:
                return id_


class UdxSocket:
    """One UDP port, shared by streams and by a protocol of plain datagrams."""

    def __init__(
        self, udx: Udx, host: str, port: int, *, offload: bool, buffer: memoryview
    ) -> None:
        """Made by `Udx.bind`."""
        self.on_datagram: Callable[[bytes, Address], None] | None = None
        """Gets every datagram that is no known stream's, with the address it came from."""
        self._udx = udx
        self._loop = asyncio.get_running_loop()
        self._touched: dict[UdxStream, None] = {}
        self._is_scheduled = False
        self._datagrams = DatagramSocket(
            host,
            port,
            on_readable=self._on_readable,
            on_writable=self._flush,
            offload=offload,
            buffer=buffer,
        )

    @property
    def address(self) -> Address:
        """Host and port that it is bound to."""
        return self._datagrams.address

    @property
    def udx(self) -> Udx:
        """The node that it belongs to."""
        return self._udx

    def overhead(self, host: str) -> int:
        """Bytes of headers that a packet to `host` has."""
        return OVERHEAD_IPV6 if ":" in host else OVERHEAD_IPV4

    def send(self, data: Buffer, to: Address, *, ttl: int | None = None) -> None:
        """Send one plain datagram; it may be lost, here too. ttl: hops it may take."""
        self._datagrams.send((data,), len(data), to, ttl=ttl)

    def send_batch(self, parts: list[Buffer], size: int, to: Address) -> None:
        """Send datagrams of `size` bytes, two parts each; the last may be shorter."""
        self._datagrams.send(parts, size, to)

    def close(self) -> None:
        """Give the port back; streams on it are dropped."""
        if not self._datagrams.is_closed:
            self._udx.drop_socket(self)
            self._datagrams.close()
            self._touched.clear()

    def touch(self, stream: "UdxStream") -> None:
        """The stream has something to send: at the end of this turn of the loop it may."""
        self._touched[stream] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    # -- inside -----------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._is_scheduled = False
        touched = self._touched
        while touched and not self._datagrams.is_blocked:
            stream = next(iter(touched))  # who waited longest
            del touched[stream]
            stream.flush()

    def _on_readable(self) -> None:
        """Hand every stream all that came for it, then send what they answer."""
        groups: dict[UdxStream, list[tuple[memoryview, int]]] = {}
        for view, size, address in self._datagrams.receive():
            if len(view) <= size or (
                size >= HEADER_SIZE and is_udx(view) and is_uniform(view, size)
            ):
                self._sort(view, size, address, groups)
            else:  # another protocol's, or of several streams
                for start in range(0, len(view), size):
                    self._sort(view[start : start + size], size, address, groups)
        now = self._loop.time()
        for stream, datagrams in groups.items():
            stream.receive(datagrams, now)
            self._touched[stream] = None
        if self._touched:
            self._flush()

    def _sort(
        self,
        view: memoryview,
        size: int,
        address: Address,
        groups: dict["UdxStream", list[tuple[memoryview, int]]],
    ) -> None:
        if is_udx(view):
            id_ = int.from_bytes(view[ID_OFFSET : ID_OFFSET + 4], "little")
            stream = self._udx.find(id_)
            if stream is not None:
                if stream.socket is not self and stream.refuses(self, address):
                    return
                if stream.destination is not None:
                    stream.forward(view, size)
                elif stream in groups:
                    groups[stream].append((view, size))
                else:
                    groups[stream] = [(view, size)]
                return
            ack = self._udx.last_ack(id_)
            if ack is not None:
                if view[2] & END:
                    self.send(ack, address)
                return
        if self.on_datagram is not None:
            for start in range(0, len(view), size):
                self.on_datagram(bytes(view[start : start + size]), address)


class UdxStream:
    """One reliable stream: a ByteStream. Made by `Udx.stream`, opened by `connect`.

    The other end's id and address come from elsewhere (a handshake through the DHT).
    """

    def __init__(
        self,
        udx: Udx,
        id_: int,
        *,
        first: int,
        firewall: Firewall | None,
        phase: int,
        budget: Budget,
    ) -> None:
        self.id = id_
        self.socket: UdxSocket | None = None
        """The socket it is connected on."""
        self.destination: UdxStream | None = None
        """Where packets are passed on to, if this end is only a relay."""
        self.on_message: Callable[[bytes], None] | None = None
        """Gets unordered messages."""
        self._udx = udx
        self._loop = asyncio.get_running_loop()
        self._machine = UdxStreamMachine(
            id_, now=self._loop.time(), first=first, phase=phase, budget=budget
        )
        self._firewall = firewall
        self._paths: list[tuple[UdxSocket, Address]] = []
        self._remote_ids: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.Future[None] | None = None
        self._drainers: list[asyncio.Future[None]] = []
        self._movers: list[asyncio.Future[None]] = []
        self._is_ending = False
        self._is_released = False
        self._error: UnavailableError | None = None
        self._closed = asyncio.Event()

    # -- opening and moving -----------------------------------------------------------------------

    def connect(self, socket: UdxSocket, remote_id: int, host: str, port: int) -> None:
        """Send to this stream of this address from now on; what came before is acked."""
        if self._is_released:
            raise UnavailableError("the stream is closed")
        now = self._loop.time()
        self._machine.connect(remote_id, now, overhead=socket.overhead(host))
        self.socket = socket
        self._paths.append((socket, (host, port)))
        self._remote_ids.append(remote_id)
        socket.touch(self)

    async def move(self, socket: UdxSocket, remote_id: int, host: str, port: int) -> None:
        """Take another path; returns when all that was sent on the old one has arrived.

        Raises UnavailableError when the stream ends before that.
        """
        if self._is_released:
            raise UnavailableError("the stream is closed")
        self._machine.move(remote_id, self._loop.time(), overhead=socket.overhead(host))
        self.socket = socket
        self._paths.append((socket, (host, port)))
        self._remote_ids.append(remote_id)
        waiter = self._loop.create_future()
        self._movers.append(waiter)
        socket.touch(self)
        self._settle()
        await waiter
        if self._error is not None:
            raise self._error

    def relay_to(self, destination: "UdxStream") -> None:
        """Pass every packet that comes for this stream on, as if `destination` had sent it.

        Both must be connected; for both directions call it on both.
        """
        self.destination = destination

    @property
    def remote_address(self) -> Address:
        """Host and port of the other end (of the newest path)."""
        return self._paths[-1][1] if self._paths else _NOWHERE

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called."""
        return bool(self._paths)

    @property
    def is_closed(self) -> bool:
        """Whether the stream is over."""
        return self._is_released

    @property
    def machine(self) -> UdxStreamMachine:
        """The machine, for those who want its numbers (round-trip time, window, MTU)."""
        return self._machine

    def set_keep_alive(self, seconds: float | None) -> None:
        """Ask after this long a silence whether the other end is there; None: never."""
        self._machine.keep_alive = seconds
        self._arm()

    # -- the ByteStream ---------------------------------------------------------------------------

    async def read(self) -> memoryview:
        """Bytes that have arrived; empty at the end. See ByteStream."""
        if self._reader is not None:
            raise UsageError("two readers on one UDX stream")
        await asyncio.sleep(0)  # others get a turn, and more arrives meanwhile
        machine = self._machine
        while not self._is_ending:
            data = machine.read()
            if data:
                if machine.wants_transmit and self.socket is not None:
                    self.socket.touch(self)
                return memoryview(data)
            if machine.receiver.is_drained:
                return _END
            if self._error is not None:
                raise self._error
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._error is not None:
            raise self._error
        return _END

    def write(self, data: Buffer) -> None:
        """Queue bytes; what is written in one turn of the loop leaves together."""
        if self._is_released or self._is_ending or not len(data):
            return
        self._machine.write(data)
        if self._machine.unsent > WRITE_LIMIT:
            self._fail(UnavailableError("it does not take what is sent to it", code="ETIMEDOUT"))
        elif self.socket is not None:
            self.socket.touch(self)

    async def drain(self) -> None:
        """Wait until at most 2 MiB wait to be sent. See ByteStream."""
        await asyncio.sleep(0)
        if self._machine.unsent > WRITE_HIGH:
            while self._machine.unsent > WRITE_LOW and not self._is_released:
                await self._progress()
        if self._error is not None:
            raise self._error
        if self._is_released:
            raise UnavailableError("the stream is closed", code="ECONNRESET")

    def end(self) -> None:
        """Say that no more comes from us, after what is queued; reading goes on."""
        self._machine.end()
        if self.socket is not None:
            self.socket.touch(self)

    async def close(self) -> None:
        """Send what is queued, end our side, wait a little for theirs, drop the rest."""
        if self._is_released or self._is_ending:
            return
        self._is_ending = True
        self._wake_reader()
        if self.socket is None:
            self.abort()
            return
        self.end()
        flight = self._machine.sender.flight
        limit = self._loop.time() + CLOSE_LIMIT
        acked, until = -1, limit
        try:
            while not self._closed.is_set() and self._loop.time() < until:
                if flight.acked != acked:
                    acked = flight.acked
                    until = min(self._loop.time() + CLOSE_TIMEOUT, limit)
                try:
                    async with asyncio.timeout_at(until):
                        await self._progress()
                except TimeoutError:
                    pass
                self._skip()
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the stream and what is queued, now: the other end is told, once."""
        if self._is_released:
            return
        self._machine.destroy(self._loop.time())
        self._error = self._error or self._machine.error
        self._transmit()
        self._settle()

    async def wait_closed(self) -> None:
        """Wait until the stream is over, whoever ended it."""
        await self._closed.wait()

    def send_message(self, data: Buffer) -> bool:
        """Send one unordered datagram; False if it was dropped on the spot."""
        if self.socket is None or not self._machine.send_message(data):
            return False
        self.socket.touch(self)
        return True

    # -- for the socket ---------------------------------------------------------------------------

    def refuses(self, socket: UdxSocket, address: Address) -> bool:
        """Whether a packet is unwelcome that came where this stream is not connected."""
        if any(own is socket for own, _ in self._paths):
            return False
        return self._firewall is None or self._firewall(socket, *address)

    def receive(self, datagrams: list[tuple[memoryview, int]], now: float) -> None:
        """Packets for this stream."""
        machine = self._machine
        machine.receive(datagrams, now)
        if machine.receiver.has_data:
            if self._is_ending:
                self._skip()
            else:
                self._wake_reader()
        if machine.receiver.messages:
            for message in machine.messages():
                if self.on_message is not None:
                    self.on_message(message)

    def forward(self, view: memoryview, size: int) -> None:
        """Pass packets on under the destination's name."""
        other = self.destination
        if other is None or other.is_closed or not other.is_connected:
            return
        flags = bytes(view[2::size])
        socket, address = other.newest_path
        readdress(view, size, other.remote_id)
        parts: list[Buffer] = []
        kept = memoryview(bytes(view))  # the memory is the socket's
        for start in range(0, len(view), size):
            parts += (b"", kept[start : start + size])
        socket.send_batch(parts, size, address)
        if DESTROY in flags:
            for stream in (self, other):
                stream.vanish()

    @property
    def newest_path(self) -> tuple[UdxSocket, Address]:
        """Where packets leave to."""
        return self._paths[-1]

    @property
    def remote_id(self) -> int:
        """The other end's id on the newest path."""
        return self._remote_ids[-1]

    def vanish(self) -> None:
        """Over, without a word to anybody."""
        if not self._is_released:
            self._fail(UnavailableError("the relay is over", code="ECONNRESET"))

    def flush(self) -> None:
        """Send what may leave, tell what happened, set the timer."""
        if self._is_released:
            return
        self._transmit()
        self._settle()
        self._arm()

    # -- inside -----------------------------------------------------------------------------------

    def _transmit(self) -> None:
        for path, parts, size in self._machine.transmit(self._loop.time()):
            socket, address = self._paths[path]
            socket.send_batch(parts, size, address)

    def _settle(self) -> None:
        """Tell those who wait what has happened."""
        for event in self._machine.events():
            match event:
                case RemoteEnded():
                    self._wake_reader()
                case Moved():
                    self._wake(self._movers)
                case Closed(error):
                    self._release(error)
                case _:
                    assert_never(event)
        if self._drainers:
            self._wake(self._drainers)

    def _arm(self) -> None:
        """One timer: set earlier when it must be, put later only when it goes off."""
        if self._is_released:
            return
        deadline = self._machine.deadline()
        timer = self._timer
        if deadline is None or (timer is not None and timer.when() <= deadline):
            return
        if timer is not None:
            timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        deadline = self._machine.deadline()
        if deadline is not None and deadline <= now:
            self._machine.expire(now)
            if self.socket is not None:
                self.socket.touch(self)
        self._settle()
        self._arm()

    def _skip(self) -> None:
        """Nobody reads any more: what arrives is thrown away, so that their END can come."""
        while self._machine.read():
            pass

    async def _progress(self) -> None:
        waiter = self._loop.create_future()
        self._drainers.append(waiter)
        await waiter

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _wake(self, waiters: list[asyncio.Future[None]]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        waiters.clear()

    def _fail(self, error: UnavailableError) -> None:
        if self._error is None:
            self._error = error
        self._machine.destroy(self._loop.time())
        self._release(error)

    def _release(self, error: UnavailableError | None) -> None:
        if self._is_released:
            return
        self._is_released = True
        if self._error is None:
            self._error = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._udx.forget(self, self._machine.final_ack() if error is None else b"")
        self._wake_reader()
        self._wake(self._drainers)
        self._wake(self._movers)
        self._closed.set()
        if error is not None:
            _log.debug("stream %d: %s", self.id, error)

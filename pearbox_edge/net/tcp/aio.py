"""TCP sockets driven by the event loop: read when asked, write as much as the kernel takes."""

import asyncio
import contextlib
import errno
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from itertools import islice
from struct import Struct
from types import TracebackType
from typing import Self

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.wire import Buffer

from .addresses import address_of, check_port, unavailable, written

READ_LEAST = 64 << 10  # TUNING buffer of a connection on which little happens
READ_MOST = 1 << 20  # TUNING and of a busy one: one system call may bring this much
READ_SPACE = 16 << 10  # TUNING with less space left than this, a fresh buffer is taken
WRITE_HIGH = 4 << 20  # TUNING above this, drain() waits
WRITE_LOW = 1 << 20  # TUNING until this little is left, so that the line never runs dry
WRITE_LIMIT = 64 << 20  # TUNING a peer that reads nothing while we go on answering is dropped
WRITE_PARTS = 64  # TUNING buffers handed to one system call
LINE_TIMEOUT = 10.0  # TUNING seconds without an answer to what was sent: the line is cut
WATCH_INTERVAL = 2.0  # TUNING how often that is looked at
PROBE_AFTER = 4  # TUNING seconds of silence before the kernel's own probes
PROBE_INTERVAL = 2  # TUNING seconds between them
PROBES = 3  # TUNING unanswered ones that end the line: ten seconds in all
CLOSE_TIMEOUT = 5.0  # TUNING how long close() waits for the other end to take all and end too
MAX_STREAMS = 512  # TUNING connections served at once; more wait in the kernel's queue
BACKLOG = 128  # TUNING the kernel's queue
ACCEPT_PAUSE = 0.2  # TUNING after a failed accept (too many open files), so as not to spin

_TCP_INFO_SIZE = 60  # SPEC linux/tcp.h, struct tcp_info: as much of it as is read here
_UNACKED_AT, _LAST_ACK_AT = 24, 56  # SPEC the same: u32 segments; u32 milliseconds
_u32 = Struct("=I").unpack_from

_log = logging.getLogger(__name__)
_END = memoryview(b"")


class TcpStream:
    """One TCP connection: a ByteStream.

    Reading is by pull: nothing is taken from the kernel while nobody reads, and so the other end is
    slowed down by TCP itself. The memory handed out is never touched again.
    """

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected socket."""
        sock.setblocking(False)
        _tune(sock)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._remote_address = address_of(sock.getpeername())
        self._space = _END
        self._last_read = 0
        self._reader: asyncio.Future[None] | None = None
        self._remote_ended = False
        self._ending = False
        self._closed = False
        self._error: UnavailableError | None = None
        self._queue: deque[memoryview] = deque()
        self._queued = 0
        self._writer_is_armed = False
        self._drainers: list[asyncio.Future[None]] = []
        self._watcher = self._loop.call_later(WATCH_INTERVAL, self._watch)

    @property
    def remote_address(self) -> tuple[str, int]:
        """Host and port of the other end."""
        return self._remote_address

    async def read(self) -> memoryview:
        """All bytes that have arrived, up to 1 MiB; empty at the end. See ByteStream."""
        if self._reader is not None:
            raise UsageError("two readers on one TCP stream")
        await asyncio.sleep(0)  # others get a turn, and more arrives meanwhile
        while self._error is None and not self._remote_ended and not self._ending:
            if len(self._space) < max(self._last_read, READ_SPACE):
                size = min(max(2 * self._last_read, READ_LEAST), READ_MOST)
                self._space = memoryview(bytearray(size))
            try:
                size = self._socket.recv_into(self._space)
            except (BlockingIOError, InterruptedError):
                await self._readable()
                continue
            except OSError as error:
                raise self._break(error) from error
            if size:
                self._last_read = min(size, READ_MOST // 2)
                data, self._space = self._space[:size], self._space[size:]
                return data
            self._remote_ended = True
        if self._error is not None:
            raise self._error
        return _END

    def write(self, data: Buffer) -> None:
        """Queue bytes; the kernel gets what it takes at once. Nothing happens after the end."""
        if self._closed or self._ending or not len(data):
            return
        self._queue.append(memoryview(data))
        self._queued += len(data)
        if not self._writer_is_armed:
            self._flush()
        if self._queued > WRITE_LIMIT:
            self._break(TimeoutError(f"it does not take the {self._queued >> 20} MiB sent to it"))

    async def drain(self) -> None:
        """Wait until at most 4 MiB are queued. See ByteStream."""
        await asyncio.sleep(0)
        if self._queued > WRITE_HIGH:
            await self._drained()
        if self._error is not None:
            raise self._error
        if self._closed:
            raise UnavailableError("the connection is closed", code="ECONNRESET")

    async def close(self) -> None:
        """Send what is queued, end our side, wait a little for theirs, release the socket."""
        if self._closed or self._ending:
            return
        self._ending = True
        self._wake_reader()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if self._queued:
                    await self._drained(empty=True)
                if not self._closed:
                    self._socket.shutdown(socket.SHUT_WR)
                    # Closing over unread bytes would reset the line and lose what was just sent.
                    await self._skip_to_end()
        except (OSError, UnavailableError):  # TimeoutError too: they had their time
            pass
        finally:
            self._release()

    def abort(self) -> None:
        """Drop the connection and what is queued, now: the other end sees a reset."""
        if self._closed:
            return
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if self._error is None:
            self._error = UnavailableError("the connection was dropped", code="ECONNRESET")
        self._release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    # -- inside -----------------------------------------------------------------------------------

    async def _readable(self) -> None:
        """Wait until there is something to read, or the stream ends."""
        waiter = self._loop.create_future()
        self._reader = waiter
        self._loop.add_reader(self._socket, self._wake_reader)
        try:
            await waiter
        finally:
            if self._reader is waiter:  # close() may wait in our place already
                self._reader = None
                if not self._closed:
                    self._loop.remove_reader(self._socket)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def _skip_to_end(self) -> None:
        scratch = bytearray(READ_LEAST)
        while not self._remote_ended and not self._closed:
            try:
                self._remote_ended = self._socket.recv_into(scratch) == 0
            except BlockingIOError:
                await self._readable()
            else:
                await asyncio.sleep(0)

    def _flush(self) -> None:
        """Give the kernel what it takes; come back when it takes more."""
        queue = self._queue
        try:
            while queue:
                if len(queue) == 1:
                    sent = self._socket.send(queue[0])
                else:
                    sent = self._socket.sendmsg(islice(queue, WRITE_PARTS))
                self._queued -= sent
                while queue and sent >= len(queue[0]):
                    sent -= len(queue.popleft())
                if sent:
                    queue[0] = queue[0][sent:]
        except (BlockingIOError, InterruptedError):
            if not self._writer_is_armed:
                self._writer_is_armed = True
                self._loop.add_writer(self._socket, self._flush)
        except OSError as error:
            self._break(error)
        else:
            self._disarm_writer()
        if self._queued <= (0 if self._ending else WRITE_LOW):
            self._wake_drainers()

    def _watch(self) -> None:
        """Notice a cut line soon.

        TCP_USER_TIMEOUT would do it too, but it also ends connections to a machine that is there
        and only too busy to read (a card that stalls for 15 s).
        """
        silence = _unanswered_for(self._socket)
        if silence >= LINE_TIMEOUT:
            self._break(TimeoutError(errno.ETIMEDOUT, f"no answer for {silence:.0f} s"))
        else:
            self._watcher = self._loop.call_later(WATCH_INTERVAL, self._watch)

    def _disarm_writer(self) -> None:
        if self._writer_is_armed:
            self._writer_is_armed = False
            self._loop.remove_writer(self._socket)

    async def _drained(self, *, empty: bool = False) -> None:
        while not self._closed and self._queued > (0 if empty else WRITE_LOW):
            waiter = self._loop.create_future()
            self._drainers.append(waiter)
            await waiter

    def _wake_drainers(self) -> None:
        drainers, self._drainers = self._drainers, []
        for waiter in drainers:
            if not waiter.done():
                waiter.set_result(None)

    def _break(self, error: OSError) -> UnavailableError:
        """The pipe is gone: everybody who waits or comes later is told why."""
        if self._error is None:
            self._error = unavailable("the connection broke", error)
        self._release()
        return self._error

    def _release(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._watcher.cancel()
        if self._reader is not None:
            self._loop.remove_reader(self._socket)
        self._disarm_writer()
        self._queue.clear()
        self._queued = 0
        self._socket.close()
        self._wake_reader()
        self._wake_drainers()


async def connect(host: str, port: int, *, timeout: float = 10.0) -> TcpStream:
    """Dial; every address of `host` is tried. Raises UnavailableError when none answers in time."""
    loop = asyncio.get_running_loop()
    where = f"cannot connect to {written(host, port)}"
    check_port(where, port)
    failure: OSError | None = None
    try:
        async with asyncio.timeout(timeout):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
                try:
                    await loop.sock_connect(sock, address)
                    return TcpStream(sock)
                except OSError as error:
                    sock.close()
                    failure = error
                except BaseException:
                    sock.close()
                    raise
    except TimeoutError as error:
        raise UnavailableError(
            f"{where}: no answer within {timeout:g} s", code="ETIMEDOUT"
        ) from error
    except (OSError, UnicodeError, OverflowError, ValueError) as error:
        raise unavailable(where, error) from error
    raise unavailable(where, failure) from failure


def listen(
    host: str, port: int, on_stream: Callable[[TcpStream], Awaitable[None]]
) -> "TcpListener":
    """Accept connections while the returned listener is used with `async with`.

    `on_stream` owns its stream and runs in a task of the listener; PeerError and UnavailableError
    end just that connection. Port 0 takes any free one; see `.address`.
    """
    return TcpListener(host, port, on_stream)


class TcpListener:
    """An open port, and a task for each connection to it."""

    def __init__(
        self, host: str, port: int, on_stream: Callable[[TcpStream], Awaitable[None]]
    ) -> None:
        self._host = host
        self._port = port
        self._on_stream = on_stream
        self._socket: socket.socket | None = None
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MAX_STREAMS)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        if self._socket is None:
            raise UsageError("the listener is not open")
        return address_of(self._socket.getsockname())

    async def __aenter__(self) -> Self:
        """Open the port. Raises UnavailableError if it cannot be had."""
        where = f"cannot listen on {written(self._host, self._port)}"
        check_port(where, self._port)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, kind, protocol, _, address = found[0]
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        except (OSError, UnicodeError, OverflowError, ValueError) as error:
            raise unavailable(where, error) from error
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(address)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            raise unavailable(where, error) from error
        self._socket = sock
        await self._group.__aenter__()
        self._start(self._accept(sock))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Close the port and end every connection's task."""
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, tb)
        finally:
            if self._socket is not None:
                self._socket.close()

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                accepted, _ = await loop.sock_accept(sock)
                stream = _take_over(accepted)
            except OSError as error:
                # The caller may be gone again already, or we are out of files for now.
                _log.debug("a connection could not be accepted: %s", error)
                self._room.release()
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            # Not in the task itself: it may be cancelled before it has begun.
            self._start(self._serve(stream)).add_done_callback(partial(self._served, stream))

    async def _serve(self, stream: TcpStream) -> None:
        try:
            async with stream:
                await self._on_stream(stream)
        except (PeerError, UnavailableError) as error:
            _log.debug("%s: %s", stream.remote_address, error)

    def _served(self, stream: TcpStream, _task: asyncio.Task[None]) -> None:
        stream.abort()
        self._room.release()


def _take_over(sock: socket.socket) -> TcpStream:
    try:
        return TcpStream(sock)
    except OSError:
        sock.close()
        raise


def _tune(sock: socket.socket) -> None:
    """Small messages leave at once; the kernel probes a line on which nothing happens."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_INTERVAL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def _unanswered_for(sock: socket.socket) -> float:
    """Seconds since the other machine's kernel last answered, 0.0 if it owes no answer."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    unacked, last_ack_ms = _u32(info, _UNACKED_AT)[0], _u32(info, _LAST_ACK_AT)[0]
    return float(last_ack_ms) / 1000 if unacked else 0.0

"""One UDX stream as a pure machine: datagrams in, datagrams out, with time as an argument."""

from collections.abc import Sequence
from dataclasses import dataclass

from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.wire import Buffer

from .budget import Budget
from .flight import Run
from .mtu import MAX_MTU, OVERHEAD_IPV4
from .packet import (
    DATA,
    DESTROY,
    END,
    HEADER_SIZE,
    HEARTBEAT,
    MAX_SACKS,
    MESSAGE,
    SACK,
    SEQUENCES,
    Packet,
    decode_packet,
    difference,
    header,
    headers,
    layout,
    write_sacks,
)
from .receiver import Receiver
from .sender import MAX_EXPIRIES, MAX_RUN, MAX_RUN_BYTES, Sender

MAX_MESSAGES_OUT = 256  # TUNING unordered messages that wait to leave; more are dropped
_MASK = SEQUENCES - 1
_DATA_WORD = 255 | 1 << 8 | DATA << 16
_ACK_WORD = 255 | 1 << 8
_END_FLAGS = DATA | END

Batch = tuple[int, list[Buffer], int]
"""What one system call may send: (path, parts, size). Two parts are one datagram: head and payload.

All datagrams have `size` bytes, but the last may have fewer.
"""


@dataclass(frozen=True, slots=True)
class RemoteEnded:
    """The other end has sent its last byte."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Everything sent before the change of path has arrived: the old one is not needed any more."""

    path: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The stream is over: both ends have ended (no error), or it broke."""

    error: UnavailableError | None


Event = RemoteEnded | Moved | Closed


class UdxStreamMachine:
    """A reliable, ordered, two-way pipe over datagrams.

        IDLE --connect--> OPEN --our END acked, theirs arrived--> CLOSED
        any --destroy | DESTROY arrived | seven timeouts--> CLOSED

    Packets are taken before `connect`; they are acked by it. A path is a number of the caller's:
    0 for the address of `connect`, then one more for every `move`. `transmit` says which one each
    batch takes. Pure: `now` is seconds on a monotonic clock.
    Format: npm udx-native 1.21.3. Vectors: 02-udx.json.
    """

    def __init__(
        self,
        id_: int,
        *,
        now: float,
        first: int = 0,
        remote_first: int = 0,
        phase: int = 0,
        budget: Budget | None = None,
    ) -> None:
        """`first`, `remote_first`: where each side's numbers begin; `phase`: 0 to 6, by chance.

        budget: memory that is shared with other streams.
        """
        self.id = id_
        self.sender = Sender(first=first, phase=phase)
        self.receiver = Receiver(remote_first, budget)
        self.is_connected = False
        self.is_closed = False
        self.error: UnavailableError | None = None
        self.keep_alive: float | None = None
        """Seconds of silence after which the other end is asked whether it is there."""
        self._remote_ids: list[int] = []
        self._move_end: int | None = None
        self._messages: list[Buffer] = []
        self._events: list[Event] = []
        self._end_told = False
        self._end_acked_told = False
        self._heartbeats = 0  # unanswered
        self._heartbeat_due = False
        self._window_probe_at: float | None = None
        self._active_at = now
        self._window_seq = remote_first
        self._window_ack = first
        self._last_words: tuple[int, list[Buffer], int] | None = None
        self._out: list[Batch] = []
        self._out_total = 0
        self._out_open = False
        self._out_ack = 0
        self._out_window = 0

    # -- verbs ------------------------------------------------------------------------------------

    def connect(
        self,
        remote_id: int,
        now: float,
        *,
        overhead: int = OVERHEAD_IPV4,
        mtu_limit: int = MAX_MTU,
    ) -> None:
        """Send to the stream `remote_id` from now on. `overhead`: see mtu.py."""
        if self.is_connected:
            raise UsageError("the stream is connected already")
        self.is_connected = True
        self._remote_ids.append(remote_id)
        self.sender.use_path(0, overhead=overhead, limit=mtu_limit, reset=False)
        self._active_at = now

    def move(
        self,
        remote_id: int,
        now: float,
        *,
        overhead: int = OVERHEAD_IPV4,
        mtu_limit: int = MAX_MTU,
    ) -> int:
        """Take another path, and return its number; `Moved` tells when the old one is done with."""
        if not self.is_connected:
            raise UsageError("a stream moves after it was connected")
        self._remote_ids.append(remote_id)
        sender = self.sender
        sender.use_path(len(self._remote_ids) - 1, overhead=overhead, limit=mtu_limit, reset=True)
        self._move_end = sender.flight.next
        self._active_at = now
        self._check_move()
        return sender.path

    def write(self, data: Buffer) -> None:
        """Queue bytes; they must not change any more. Nothing happens after `end`."""
        if not self.is_closed and not self.sender.wants_end:
            self.sender.write(data)

    def end(self) -> None:
        """Say, after what is queued, that no more comes; the other end may go on."""
        if not self.is_closed:
            self.sender.end()

    def send_message(self, data: Buffer) -> bool:
        """Queue one datagram that may be lost or overtake others. False if it was dropped here."""
        if self.is_closed or len(self._messages) >= MAX_MESSAGES_OUT:
            return False
        if len(data) > self.sender.mtu.payload:
            raise UsageError(f"a message may have {self.sender.mtu.payload} bytes on this path")
        self._messages.append(data)
        return True

    def destroy(self, now: float) -> None:
        """Drop the stream; the other end is told once. `transmit` has its last words."""
        if self.is_closed:
            return
        if self.is_connected:
            seq = self.sender.flight.next
            head = self._header(DESTROY, seq)
            self._last_words = (self.sender.path, [head, b""], HEADER_SIZE)
        self._active_at = now
        self._close(UnavailableError("the stream was dropped", code="ECONNRESET"))

    def read(self) -> bytearray:
        """Bytes that have arrived, in order; none if there are none."""
        return self.receiver.read()

    def messages(self) -> list[bytes]:
        """The unordered messages that have arrived."""
        messages = list(self.receiver.messages)
        self.receiver.messages.clear()
        return messages

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent for the first time."""
        return self.sender.outbox.size

    @property
    def wants_transmit(self) -> bool:
        """Whether an ack waits to leave (after `read`, which may open the window)."""
        return self.receiver.must_ack

    def final_ack(self) -> bytes:
        """What answers an END that comes again after the stream is over."""
        return self._header(0, self.sender.flight.next) if self.is_connected else b""

    # -- the five verbs ---------------------------------------------------------------------------

    def receive(self, datagrams: Sequence[tuple[memoryview, int]], now: float) -> None:
        """Packets arrived: each item is memory and the size of each packet in it but the last.

        The memory is used only during the call. What is not UDX is skipped.
        """
        if self.is_closed:
            return
        receiver = self.receiver
        inbox = receiver.inbox
        sender = self.sender
        expected = inbox.next & _MASK
        run: list[memoryview] = []
        acked = sender.flight.acked
        acked32 = acked & _MASK
        best = acked
        sacks: list[tuple[int, int]] = []
        for view, size in datagrams:
            whole = len(view) // size
            position = 0
            words = layout(size).iter_unpack(view[: whole * size]) if size >= HEADER_SIZE else ()
            for word, _, window, seq, ack in words:
                stop = position + size
                if word == _DATA_WORD and seq == expected and size > HEADER_SIZE:
                    run.append(view[position + HEADER_SIZE : stop])
                    expected = expected + 1 & _MASK
                elif word == _DATA_WORD:
                    if run:
                        self._take_run(run)
                        run = []
                    receiver.add(seq, view[position + HEADER_SIZE : stop], end=False)
                    expected = inbox.next & _MASK
                elif word != _ACK_WORD:
                    if run:
                        self._take_run(run)
                        run = []
                    packet = self._on_packet(view[position:stop], sacks)
                    if self.is_closed:
                        return
                    expected = inbox.next & _MASK
                    if packet is None or packet.flags & HEARTBEAT:
                        position = stop
                        continue
                position = stop
                ahead = ((ack - acked32 + 0x8000_0000) & _MASK) - 0x8000_0000
                if ahead + acked >= best:
                    best = self._on_ack_field(ahead + acked, seq, window, best)
            if position < len(view) and len(view) - position >= HEADER_SIZE:
                if run:
                    self._take_run(run)
                    run = []
                best = self._on_rest(view[position:], acked, best, sacks)
                if self.is_closed:
                    return
                expected = inbox.next & _MASK
        if run:
            self._take_run(run)
        receiver.settle()
        self._active_at = now
        self._heartbeats = 0
        if best > acked or sacks:
            sender.on_acks(best, self._absolute(sacks, acked), now)
        self._progress()

    def transmit(self, now: float) -> list[Batch]:
        """Everything that must leave now, in as few batches as it fits in."""
        if self._last_words is not None:
            words, self._last_words = self._last_words, None
            return [words]
        if not self.is_connected or self.is_closed:
            return []
        self._out = []
        self._out_open = False
        self._out_window = self.receiver.take_window()
        self._out_ack = self.receiver.inbox.next
        if self.receiver.must_ack:
            self._put_ack()
        for message in self._messages:
            head = self._header(MESSAGE, self.sender.flight.next)
            self._put(self.sender.path, [head, message], HEADER_SIZE + len(message), tail=True)
        self._messages.clear()
        self.sender.send(now, self._put_run)
        self._probe_window(now)
        if self._heartbeat_due:
            self._heartbeat_due = False
            head = self._header(HEARTBEAT, self.sender.flight.next)
            self._put(self.sender.path, [head, b""], HEADER_SIZE, tail=True)
        out, self._out = self._out, []
        if out:
            self._active_at = now
        self._check_closed()
        return out

    def deadline(self) -> float | None:
        """When to call `expire`, and `transmit` after it."""
        if self.is_closed or not self.is_connected:
            return None
        first = self.sender.deadline()
        if self._window_probe_at is not None and (first is None or self._window_probe_at < first):
            first = self._window_probe_at
        if self.keep_alive is not None:
            moment = self._active_at + self.keep_alive
            if first is None or moment < first:
                first = moment
        return first

    def expire(self, now: float) -> None:
        """A deadline has come."""
        if self.is_closed or not self.is_connected:
            return
        self.sender.expire(now)
        if self._window_probe_at is not None and now >= self._window_probe_at:
            self._window_probe_at = now + 2 * self.sender.rtt.rto
            self._beat()
        if self.keep_alive is not None and now >= self._active_at + self.keep_alive:
            self._active_at = now
            self._beat()
        if self.sender.expiries >= MAX_EXPIRIES or self._heartbeats > MAX_EXPIRIES:
            self._close(
                UnavailableError("the other end does not answer any more", code="ETIMEDOUT")
            )

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    # -- packets in -------------------------------------------------------------------------------

    def _take_run(self, run: list[memoryview]) -> None:
        """Packets in order, one behind the other."""
        receiver = self.receiver
        if not receiver.inbox.has_holes:
            receiver.add_run(run)
            return
        first = receiver.inbox.next  # it may leap ahead meanwhile, over what was waiting
        for number, payload in enumerate(run):
            receiver.add(first + number & _MASK, payload, end=False)

    def _on_rest(
        self, data: memoryview, acked: int, best: int, sacks: list[tuple[int, int]]
    ) -> int:
        """The last packet of a batch, which is shorter than the others."""
        packet = self._on_packet(data, sacks)
        if packet is None or packet.flags & HEARTBEAT:
            return best
        ack = acked + difference(packet.ack, acked & _MASK)
        return self._on_ack_field(ack, packet.seq, packet.window, best) if ack >= best else best

    def _on_packet(self, data: memoryview, sacks: list[tuple[int, int]]) -> Packet | None:
        """One packet of any kind, but for its ack."""
        padding = data[3]
        if padding > len(data) - HEADER_SIZE or data[0] != 255 or data[1] != 1:
            return None
        packet = decode_packet(data)
        flags = packet.flags
        receiver = self.receiver
        if flags & SACK:
            sacks += packet.sacks
        if flags & (DATA | END):
            receiver.add(packet.seq, memoryview(packet.payload), end=bool(flags & END))
        elif flags & MESSAGE:
            receiver.messages.append(bytes(packet.payload))
        elif flags & HEARTBEAT:
            receiver.must_ack = True
        if flags & DESTROY and difference(packet.seq, receiver.inbox.next & _MASK) >= 0:
            receiver.settle()
            self._close(UnavailableError("the other end dropped the stream", code="ECONNRESET"))
        return packet

    def _on_ack_field(self, ack: int, seq: int, window: int, best: int) -> int:
        """Judge one packet's ack and window; returns the highest ack so far."""
        if ack > self.sender.flight.next:
            return best
        newer = difference(seq, self._window_seq)
        if newer > 0 or (newer == 0 and ack >= self._window_ack):
            self._window_seq = seq
            self._window_ack = ack
            self.sender.window = window
        return ack

    def _absolute(self, sacks: list[tuple[int, int]], acked: int) -> list[tuple[int, int]]:
        base = acked & _MASK
        return [
            (acked + difference(start, base), acked + difference(end, base)) for start, end in sacks
        ]

    def _progress(self) -> None:
        """Tell what has come to pass."""
        if self.receiver.inbox.ended and not self._end_told:
            self._end_told = True
            self._events.append(RemoteEnded())
        if self.sender.end_is_acked and not self._end_acked_told:
            self._end_acked_told = True
            if not self._end_told:
                self.receiver.must_ack = True  # they may be waiting for a word from us
        if not self.sender.is_blocked:
            self._window_probe_at = None
        self._check_move()
        if not self.receiver.must_ack:
            self._check_closed()

    def _check_move(self) -> None:
        if self._move_end is not None and self.sender.flight.acked >= self._move_end:
            self._move_end = None
            self._events.append(Moved(self.sender.path))

    def _check_closed(self) -> None:
        """Over when both have ended and their END was acked by us."""
        if self._end_acked_told and self._end_told and not self.is_closed:
            self._close(None)

    def _close(self, error: UnavailableError | None) -> None:
        self.is_closed = True
        self.error = error
        self.sender.clear()
        self.receiver.settle_account()
        self._messages.clear()
        self._events.append(Closed(error))

    # -- packets out ------------------------------------------------------------------------------

    def _header(self, flags: int, seq: int) -> bytes:
        window = self.receiver.take_window()
        ack = self.receiver.inbox.next
        return header(flags, self._remote_ids[self.sender.path], window, seq, ack)

    def _put_ack(self) -> None:
        self.receiver.must_ack = False
        path, seq = self.sender.path, self.sender.flight.next
        sacks = self.receiver.sacks()
        if not sacks:
            self._put(path, [self._header(0, seq), b""], HEADER_SIZE, tail=True)
            return
        head = self._header(SACK, seq)
        for start in range(0, len(sacks), MAX_SACKS):
            blocks = write_sacks(sacks[start : start + MAX_SACKS])
            self._put(path, [head, blocks], HEADER_SIZE + len(blocks), tail=False)
        self._out_open = False

    def _put_run(self, run: Run) -> None:
        """A run of data gets its headers; it joins the batch before it if it fits."""
        id_ = self._remote_ids[run.path]
        window, ack = self._out_window, self._out_ack
        payload, size = run.payload, run.size
        parts: list[Buffer] = []
        if run.padding:
            flags = _END_FLAGS if run.ends_stream else DATA
            head = header(flags, id_, window, run.first, ack, run.padding)
            parts = [head + bytes(run.padding), payload]
            self._put(run.path, parts, len(parts[0]) + len(payload), tail=True)
            return
        heads = headers(DATA, id_, window, run.first, run.end, ack)
        if run.ends_stream:
            flags = _END_FLAGS if len(payload) else END
            heads[-1] = header(flags, id_, window, run.end - 1, ack)
        start = 0
        for head in heads:
            stop = start + size
            parts.append(head)
            parts.append(payload[start:stop])
            start = stop
        datagram = HEADER_SIZE + min(size, len(payload))
        self._put(run.path, parts, datagram, tail=len(payload) < size * len(heads))

    def _put(self, path: int, parts: list[Buffer], size: int, *, tail: bool) -> None:
        """Add datagrams of `size` bytes (`tail`: the last may be shorter, nothing joins it)."""
        total = size * (len(parts) >> 1)
        if self._out and self._out_open:
            last_path, last_parts, last_size = self._out[-1]
            fits = size == last_size or (len(parts) == 2 and size < last_size)
            room = self._out_total + total <= MAX_RUN_BYTES
            if fits and room and path == last_path and len(last_parts) + len(parts) <= 2 * MAX_RUN:
                last_parts += parts
                self._out_total += total
                self._out_open = not tail and size == last_size
                return
        self._out.append((path, parts, size))
        self._out_total = total
        self._out_open = not tail

    def _probe_window(self, now: float) -> None:
        """Their window is shut and we have data: ask at once, then again and again."""
        if not self.sender.is_blocked:
            self._window_probe_at = None
        elif self._window_probe_at is None:
            self._window_probe_at = now + self.sender.rtt.rto
            self._beat()

    def _beat(self) -> None:
        self._heartbeats += 1
        self._heartbeat_due = True

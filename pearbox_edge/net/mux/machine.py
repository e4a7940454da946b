"""All rules of the mux: numbers, pairing, early messages, batches."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.net.stream import Message
from pearbox_edge.wire import Buffer

from .channel import Channel, ChannelHandler, Pairing, RemoteEnd
from .messages import (
    CLOSE,
    CONTROL,
    OPEN,
    REJECT,
    Outgoing,
    decode_number,
    decode_open,
    encode_open,
    encode_uint,
    join_frames,
    split_frame,
)

MAX_CHANNELS = 4096  # TUNING numbers one side may use; a store of many drives needs thousands
MAX_UNDECIDED = 256  # TUNING opens being decided on before reading pauses
MAX_EARLY = 32768  # SPEC sheet 07: bytes of early messages before reading pauses
EARLY_COST = 512  # SPEC sheet 07: what each of them counts on top of its size
_TYPES = [bytes((number,)) for number in range(16)]


@dataclass(frozen=True, slots=True)
class RemoteOpen:
    """They opened a channel nobody has opened here: open it too, then call `settle`."""

    protocol: str
    id: bytes | None


class MuxMachine:
    """Frames in, handler calls and frames out.

    Handlers are called from within `receive`, `deliver`, `end` and `Channel.close`, and may send,
    open and close from there. After a PeerError the stream has to be destroyed and `end` called.
    `wake` is called when something waits for `deliver` and `transmit`.
    Format: npm protomux 3.12.1.
    """

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._wake = wake
        self._woken = False
        self._ended = False
        self._aliases: dict[str, str] = {}
        self._pairings: dict[tuple[str, bytes | None], Pairing] = {}
        self._remote: list[RemoteEnd | None] = []
        self._local: list[Channel | None] = []
        self._free: list[int] = []
        self._asked: dict[int, Channel] = {}
        self._opening: deque[Channel] = deque()
        self._early = 0
        self._undecided = 0
        self._out: list[Outgoing] = []
        self._events: list[RemoteOpen] = []

    # -- what we want -----------------------------------------------------------------------------

    def alias(self, name: str, protocol: str) -> None:
        """Take their `name` for our `protocol`."""
        self._aliases[name] = protocol

    def canonical(self, protocol: str) -> str:
        """The name that an alias stands for; any other name stands for itself."""
        return self._aliases.get(protocol, protocol)

    def is_open(self, protocol: str, id_: bytes | None) -> bool:
        """Whether we have a channel for this, asked for or opened."""
        pairing = self._pairings.get((self.canonical(protocol), id_))
        return pairing is not None and pairing.open_count > 0

    def open(
        self,
        protocol: str,
        id_: bytes | None,
        handler: ChannelHandler,
        *,
        handshake: Buffer = b"",
        unique: bool = True,
    ) -> Channel:
        """Open our end. If theirs is open already, `on_open` follows with the next `deliver`."""
        if self._ended:
            raise UnavailableError("the connection has ended", code="ECONNRESET")
        id_ = id_ or None
        pairing = self._pairing(protocol, id_)
        if unique and pairing.open_count:
            raise UsageError(f"a channel for {protocol} is open already")
        if not self._free and len(self._local) >= MAX_CHANNELS:
            self._forget(pairing)
            raise UnavailableError(f"more than {MAX_CHANNELS} channels on one connection")
        if self._free:
            number = self._free.pop()
        else:
            self._local.append(None)
            number = len(self._local)
        channel = Channel(self, protocol, id_, handler, number, pairing)
        self._local[number - 1] = channel
        pairing.open_count += 1
        if pairing.wanted:
            self._link(channel, pairing.wanted.popleft())
            self._opening.append(channel)
        else:
            pairing.asked.append(channel)
            self._asked[number] = channel
        self._control(OPEN, encode_open(number, protocol, id_, handshake))
        return channel

    def send(self, channel: Channel, kind: int, body: tuple[Buffer, ...]) -> None:
        """Queue a message. For Channel."""
        size = 0
        for part in body:
            size += len(part)
        number = _TYPES[kind] if kind < len(_TYPES) else encode_uint(kind)
        self._out.append((channel.number, number, body, size))
        if not self._woken:
            self._call_wake()

    def close(self, channel: Channel) -> None:
        """Close our end. For Channel."""
        number = channel.number
        self._control(CLOSE, encode_uint(number))
        self._end_channel(channel, by_remote=False)

    def settle(self, protocol: str, id_: bytes | None) -> None:
        """A RemoteOpen has been decided on: reject what was not opened."""
        pairing = self._pairings.get((self.canonical(protocol), id_))
        if pairing is None:
            return
        self._undecided -= 1
        pairing.deciding -= 1
        if pairing.deciding == 0:
            while pairing.wanted:
                remote = pairing.wanted.popleft()
                self._free_remote(remote)
                self._control(REJECT, encode_uint(remote.number))
            self._forget(pairing)
        self._call_wake()

    def end(self) -> None:
        """The stream has ended: so have all channels."""
        if self._ended:
            return
        self._ended = True
        for channel in list(self._local):
            if channel is not None:
                self._end_channel(channel, by_remote=True)
        self._out.clear()
        self._events.clear()

    @property
    def is_congested(self) -> bool:
        """Whether reading should pause until more has been decided on."""
        return self._early > MAX_EARLY or self._undecided > MAX_UNDECIDED

    # -- frames -----------------------------------------------------------------------------------

    def receive(self, frame: memoryview) -> None:
        """A frame arrived. Raises PeerError when it breaks the rules."""
        for number, kind, body in split_frame(frame):
            if number == CONTROL:
                self._on_control(kind, body)
                continue
            # A message for a number that is closed was just on its way.
            remote = self._remote[number - 1] if number <= len(self._remote) else None
            if remote is None or remote.closed:
                continue
            channel = remote.channel
            if remote.pending is not None:
                # A copy: it may wait long, and must not hold on to the buffer it came in.
                remote.pending.append((kind, bytes(body)))
                self._add_early(remote, EARLY_COST + len(body))
            elif channel is not None:
                channel.handler.on_message(kind, body)

    def deliver(self) -> None:
        """Tell the handlers of channels that got their other end meanwhile."""
        while self._opening:
            self._announce(self._opening.popleft())

    def transmit(self) -> list[Message]:
        """The messages to send, in order."""
        self._woken = False
        if not self._out:
            return []
        waiting, self._out = self._out, []
        return join_frames(waiting)

    def events(self) -> list[RemoteOpen]:
        """Channels that are wanted here since the last call."""
        if not self._events:
            return []
        events, self._events = self._events, []
        return events

    # -- inside -----------------------------------------------------------------------------------

    def _on_control(self, kind: int, body: memoryview) -> None:
        if kind == OPEN:
            self._on_open(body)
        elif kind == REJECT:
            self._on_reject(decode_number(body))
        elif kind == CLOSE:
            self._on_close(decode_number(body))
        # SPEC sheet 07: control types that nobody knows are ignored

    def _on_open(self, body: memoryview) -> None:
        asked = decode_open(body)
        number = asked.channel
        if number == len(self._remote) + 1 and number <= MAX_CHANNELS:
            self._remote.append(None)
        if not 0 < number <= len(self._remote) or self._remote[number - 1] is not None:
            raise PeerError(f"an open with the channel number {number}, out of turn or in use")
        pairing = self._pairing(asked.protocol, asked.id)
        if pairing.asked:
            channel = pairing.asked.popleft()
            del self._asked[channel.number]
            if channel.closed:
                # They answer an open that we have taken back: they know, or will soon.
                self._free.append(channel.number)
                self._forget(pairing)
                return
            remote = RemoteEnd(number)
            remote.handshake = bytes(asked.handshake)
            self._link(channel, remote)
            self._announce(channel)
            return
        remote = RemoteEnd(number)
        remote.handshake = bytes(asked.handshake)
        self._add_early(remote, len(remote.handshake))
        self._remote[number - 1] = remote
        pairing.wanted.append(remote)
        pairing.deciding += 1
        self._undecided += 1
        self._events.append(RemoteOpen(*pairing.key))

    def _on_reject(self, number: int) -> None:
        channel = self._asked.pop(number, None)
        if channel is None:
            raise PeerError(f"a reject of the channel number {number}, which was not asked for")
        channel.pairing.asked.remove(channel)
        self._free.append(number)
        if channel.closed:
            self._forget(channel.pairing)
        else:
            self._end_channel(channel, by_remote=True)

    def _on_close(self, number: int) -> None:
        remote = self._remote[number - 1] if 0 < number <= len(self._remote) else None
        if remote is None:
            return
        if remote.channel is None or remote.pending is not None:
            remote.closed = True  # what came before is still delivered, should we open it
        else:
            self._end_channel(remote.channel, by_remote=True)

    def _link(self, channel: Channel, remote: RemoteEnd) -> None:
        self._remote[remote.number - 1] = remote
        channel.remote = remote
        remote.channel = channel

    def _announce(self, channel: Channel) -> None:
        """Both ends are there: open it, then deliver what came early."""
        remote = channel.remote
        if remote is None or channel.closed:
            return
        channel.opened = True
        channel.handler.on_open(memoryview(remote.handshake))
        for kind, body in self._take_pending(remote):
            if channel.closed:
                return
            channel.handler.on_message(kind, memoryview(body))
        if remote.closed and not channel.closed:
            self._end_channel(channel, by_remote=True)

    def _add_early(self, remote: RemoteEnd, cost: int) -> None:
        remote.cost += cost
        self._early += cost

    def _take_pending(self, remote: RemoteEnd) -> list[tuple[int, bytes]]:
        pending, remote.pending = remote.pending or [], None
        self._early -= remote.cost
        remote.cost = 0
        return pending

    def _end_channel(self, channel: Channel, *, by_remote: bool) -> None:
        """Our end is over; its number is free if they know about it."""
        channel.closed = True
        channel.closed_by_remote = by_remote
        pairing = channel.pairing
        pairing.open_count -= 1
        self._local[channel.number - 1] = None
        if channel.remote is not None:
            self._free_remote(channel.remote)
            self._free.append(channel.number)
        self._forget(pairing)
        channel.handler.on_close()

    def _free_remote(self, remote: RemoteEnd) -> None:
        self._remote[remote.number - 1] = None
        self._take_pending(remote)

    def _pairing(self, protocol: str, id_: bytes | None) -> Pairing:
        key = (self.canonical(protocol), id_)
        pairing = self._pairings.get(key)
        if pairing is None:
            pairing = self._pairings[key] = Pairing(key)
        return pairing

    def _forget(self, pairing: Pairing) -> None:
        if not (pairing.open_count or pairing.asked or pairing.wanted or pairing.deciding):
            self._pairings.pop(pairing.key, None)

    def _control(self, kind: int, body: bytes) -> None:
        self._out.append((CONTROL, bytes((kind,)), (body,), len(body)))
        self._call_wake()

    def _call_wake(self) -> None:
        if not self._woken:
            self._woken = True
            if self._wake is not None:
                self._wake()

"""Whole encrypted messages on an ordered byte stream: framing, keys, keep-alive."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pearbox_edge.crypto import KeyPair, Opener, Sealer, keyed_hash, namespace
from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.stream import Message

from .handshake import HandshakeMachine, Pattern, SessionKeys

_INITIATOR, _RESPONDER, _SEND = namespace("hyperswarm/secret-stream", 3)

LENGTH_SIZE = 3  # SPEC sheet 03: little endian, before every frame
OVERHEAD = 17  # SPEC secretstream: one byte of tag before the text, 16 of MAC after it
MAX_FRAME = (1 << 24) - 1  # SPEC what the length can say
MAX_MESSAGE = MAX_FRAME - OVERHEAD  # SPEC
ID_SIZE = 32  # SPEC
HEADER_SIZE = ID_SIZE + 24  # SPEC the sender's id and the secretstream header

MAX_HANDSHAKE_FRAME = 1024  # TUNING a stranger's frames are 32 to 96 bytes long
SEAL_CHUNK = 1 << 20  # TUNING output buffers end at about this size: sent ones are freed early

_TAG_SPACE = b"\0"
_MAC_SPACE = bytes(OVERHEAD - 1)


@dataclass(frozen=True, slots=True)
class Options:
    """How a stream is kept alive; seconds, None for never."""

    keep_alive: float | None = 5.0
    """Send an empty message when nothing was sent for this long."""
    idle_timeout: float | None = None
    """Give up when nothing arrived for this long (only counted while we listen)."""


@dataclass(frozen=True, slots=True)
class HandshakeDone:
    """The other side is who it says; messages may be sent."""

    keys: SessionKeys


def stream_id(handshake_hash: bytes, *, is_initiator: bool) -> bytes:
    """The 32 bytes that each side's header begins with."""
    return keyed_hash(handshake_hash, _INITIATOR if is_initiator else _RESPONDER)


class SecretStreamMachine:
    """One side of a secret stream: bytes in, messages out, and back.

        HANDSHAKE --last noise message--> HEADER --their header--> MESSAGES
                   (we may send from here on)

    `receive` works in place: it decrypts inside the buffers it is given and the messages are views
    of them. Frames above the allowed length are refused by their length alone. After a PeerError
    the machine is dead; the messages before the fault are still in `messages()`.
    Pure: `now` is seconds on a monotonic clock.
    Format: npm @hyperswarm/secret-stream 6.9.2.
    """

    def __init__(
        self,
        *,
        random_bytes: Callable[[int], bytes],
        now: float,
        handshake: HandshakeMachine | None = None,
        keys: SessionKeys | None = None,
        options: Options | None = None,
    ) -> None:
        """Give `handshake` to run one in band, or `keys` when it was done elsewhere."""
        self.keys: SessionKeys | None = None
        self._options = options or Options()
        self._random_bytes = random_bytes
        self._handshake = handshake
        self._sizes = (1, MAX_HANDSHAKE_FRAME)  # what the next frame's length may be
        self._partial = bytearray()
        self._messages: list[memoryview] = []
        self._events: list[HandshakeDone] = []
        self._out: list[bytearray] = []
        self._opener: Opener | None = None
        self._sealer: Sealer | None = None
        self._last_sent = now
        self._listening_since: float | None = None
        if keys is not None:
            self._start(keys)
        elif handshake is None:
            raise UsageError("a secret stream needs a handshake or its keys")
        elif handshake.is_our_turn:
            self._write_frame(handshake.write())

    @classmethod
    def handshaking(
        cls,
        pattern: Pattern,
        *,
        is_initiator: bool,
        key_pair: KeyPair,
        random_bytes: Callable[[int], bytes],
        now: float,
        remote_public_key: PublicKey | None = None,
        options: Options | None = None,
    ) -> "SecretStreamMachine":
        """A stream that begins with a handshake in band (no prologue, no payloads)."""
        handshake = HandshakeMachine(
            pattern,
            is_initiator=is_initiator,
            key_pair=key_pair,
            random_bytes=random_bytes,
            remote_public_key=remote_public_key,
        )
        return cls(handshake=handshake, random_bytes=random_bytes, now=now, options=options)

    # -- the five verbs ---------------------------------------------------------------------------

    def receive(self, data: memoryview, now: float) -> None:
        """Bytes arrived; the memory is ours from now on. Raises PeerError when they are wrong."""
        if self._listening_since is not None:
            self._listening_since = now
        if data.readonly:
            data = memoryview(bytearray(data))
        start, end = 0, len(data)
        if self._partial:
            start = self._complete_partial(data)
        while end - start >= LENGTH_SIZE:
            size = data[start] | data[start + 1] << 8 | data[start + 2] << 16
            self._check_size(size)
            stop = start + LENGTH_SIZE + size
            if stop > end:
                break
            self._on_frame(data[start + LENGTH_SIZE : stop])
            start = stop
        if start < end:
            self._partial += data[start:]

    def transmit(self, now: float) -> list[bytearray]:
        """The bytes to put on the wire, in order; they do not change any more."""
        out = self._out
        if out:
            self._out = []
            self._last_sent = now
        return out

    def deadline(self) -> float | None:
        """When to call `expire`."""
        times: list[float] = []
        if self.keys is not None and self._options.keep_alive is not None:
            times.append(self._last_sent + self._options.keep_alive)
        if self._listening_since is not None and self._options.idle_timeout is not None:
            times.append(self._listening_since + self._options.idle_timeout)
        return min(times, default=None)

    def expire(self, now: float) -> None:
        """A deadline has come. Raises UnavailableError if the other side was silent too long."""
        idle, since = self._options.idle_timeout, self._listening_since
        if idle is not None and since is not None and now >= since + idle:
            raise UnavailableError(f"nothing arrived for {idle:g} s", code="ETIMEDOUT")
        keep_alive = self._options.keep_alive
        if self.keys is not None and keep_alive is not None and now >= self._last_sent + keep_alive:
            self.send([()])

    def events(self) -> list[HandshakeDone]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    # -- messages ---------------------------------------------------------------------------------

    def messages(self) -> list[memoryview]:
        """The messages that arrived since the last call, without the empty ones."""
        messages, self._messages = self._messages, []
        return messages

    def send(self, messages: Iterable[Message]) -> None:
        """Seal messages into as few output buffers as make sense."""
        if self._sealer is None:
            raise UsageError("the handshake is not done yet")
        pieces: list[bytes | bytearray | memoryview] = []
        sizes: list[int] = []
        total = 0
        for message in messages:
            size = OVERHEAD
            for part in message:
                size += len(part)
            if size > MAX_FRAME:
                raise UsageError(f"a message may have {MAX_MESSAGE} bytes at most")
            pieces.append(size.to_bytes(LENGTH_SIZE, "little") + _TAG_SPACE)
            pieces += message
            pieces.append(_MAC_SPACE)
            sizes.append(size)
            total += size
            if total >= SEAL_CHUNK:
                self._seal(pieces, sizes)
                pieces, sizes, total = [], [], 0
        if sizes:
            self._seal(pieces, sizes)

    @property
    def ended_cleanly(self) -> bool:
        """Whether the bytes so far end between two messages."""
        return not self._partial

    def listen(self, now: float) -> None:
        """We wait for the other side from now on: the idle timeout counts."""
        self._listening_since = now

    def rest(self) -> None:
        """We are busy and do not read: their silence means nothing."""
        self._listening_since = None

    # -- inside -----------------------------------------------------------------------------------

    def _seal(self, pieces: list[bytes | bytearray | memoryview], sizes: list[int]) -> None:
        sealer = self._sealer
        if sealer is None:
            raise UsageError("the handshake is not done yet")
        out = bytearray().join(pieces)  # one copy, into memory nobody cleared before
        view = memoryview(out)
        start = LENGTH_SIZE
        for size in sizes:
            sealer.seal(view[start : start + size])
            start += size + LENGTH_SIZE
        self._out.append(out)

    def _complete_partial(self, data: memoryview) -> int:
        """Fill up the frame that was cut off; returns how much of `data` that took."""
        partial = self._partial
        start = 0
        if len(partial) < LENGTH_SIZE:
            start = min(LENGTH_SIZE - len(partial), len(data))
            partial += data[:start]
            if len(partial) < LENGTH_SIZE:
                return start
        size = int.from_bytes(partial[:LENGTH_SIZE], "little")
        self._check_size(size)
        # It grows with what arrives, never with what was announced.
        taken = data[start : start + LENGTH_SIZE + size - len(partial)]
        partial += taken
        if len(partial) == LENGTH_SIZE + size:
            self._partial = bytearray()
            self._on_frame(memoryview(partial)[LENGTH_SIZE:])
        return start + len(taken)

    def _check_size(self, size: int) -> None:
        """Refuse a frame by its announced length, before a byte of it is kept."""
        smallest, largest = self._sizes
        if not smallest <= size <= largest:
            raise PeerError(f"a frame of {size} bytes, where {smallest} to {largest} are allowed")

    def _on_frame(self, frame: memoryview) -> None:
        opener = self._opener
        if opener is not None:
            message = opener.open(frame)
            if len(message):
                self._messages.append(message)
        elif self.keys is not None:
            self._on_header(self.keys, frame)
        elif self._handshake is not None:
            self._on_handshake(self._handshake, frame)

    def _on_handshake(self, handshake: HandshakeMachine, frame: memoryview) -> None:
        handshake.read(frame)
        if handshake.is_our_turn:
            self._write_frame(handshake.write())
        if handshake.keys is not None:
            self._handshake = None
            self._start(handshake.keys)

    def _on_header(self, keys: SessionKeys, frame: memoryview) -> None:
        expected = stream_id(keys.handshake_hash, is_initiator=not keys.is_initiator)
        if frame[:ID_SIZE] != expected:
            raise PeerError("the stream header does not belong to this handshake")
        self._opener = Opener(keys.rx, bytes(frame[ID_SIZE:]))
        self._sizes = (OVERHEAD, MAX_FRAME)

    def _start(self, keys: SessionKeys) -> None:
        self.keys = keys
        header = self._random_bytes(HEADER_SIZE - ID_SIZE)
        self._sealer = Sealer(keys.tx, header)
        self._sizes = (HEADER_SIZE, HEADER_SIZE)
        self._write_frame(stream_id(keys.handshake_hash, is_initiator=keys.is_initiator) + header)
        self._events.append(HandshakeDone(keys))

    def _write_frame(self, body: bytes) -> None:
        self._out.append(bytearray(len(body).to_bytes(LENGTH_SIZE, "little") + body))

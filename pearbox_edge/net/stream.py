"""The Protocols that all of `net` speaks: a raw byte pipe, and whole encrypted messages on it."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from pearbox_edge.ids import PublicKey
from pearbox_edge.wire import Buffer

Message = Sequence[Buffer]
"""One message to send, as the buffers that make it up, in order."""


class ByteStream(Protocol):
    """An ordered, reliable byte pipe to one other machine (TCP or UDX)."""

    @property
    def remote_address(self) -> tuple[str, int]:
        """Host and port of the other end."""
        ...

    async def read(self) -> memoryview:
        """All bytes that have arrived (at least one); empty once the other end has finished.

        The memory is the reader's own from then on: it is written to in place (messages are
        decrypted there) and stays valid as long as it is kept. One reader at a time. Raises
        UnavailableError when the pipe broke.
        """
        ...

    def write(self, data: Buffer) -> None:
        """Queue bytes for sending, in order; the buffer must not change any more."""
        ...

    async def drain(self) -> None:
        """Wait until little enough is queued that more may be written; others get a turn.

        Raises UnavailableError when the pipe broke.
        """
        ...

    async def close(self) -> None:
        """Send what is queued, end our side and release the pipe."""
        ...

    def abort(self) -> None:
        """Drop the pipe and what is queued, now."""
        ...


class MessageStream(Protocol):
    """Whole messages to and from one authenticated machine."""

    @property
    def is_initiator(self) -> bool:
        """Whether this side dialled."""
        ...

    @property
    def handshake_hash(self) -> bytes:
        """64 bytes that bind what runs on top to this very connection."""
        ...

    @property
    def remote_public_key(self) -> PublicKey:
        """Who is at the other end."""
        ...

    @property
    def remote_address(self) -> tuple[str, int]:
        """Host and port of the other end."""
        ...

    async def receive(self) -> list[memoryview]:
        """Every whole message that has arrived (at least one); empty list at the end.

        The views own their memory: they stay valid as long as they are kept.
        Raises PeerError when the other end broke the format, UnavailableError when the pipe broke.
        """
        ...

    def send(self, messages: Iterable[Message]) -> None:
        """Queue messages, in order, as one write; nothing happens once the stream has ended."""
        ...

    async def drain(self) -> None:
        """Wait until little enough is queued that more may be sent; others get a turn.

        Raises UnavailableError when the pipe broke.
        """
        ...

    async def close(self) -> None:
        """Send what is queued, then end."""
        ...

    def abort(self) -> None:
        """Drop the stream now."""
        ...

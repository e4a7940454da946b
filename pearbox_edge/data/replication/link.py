"""One stream to one other machine, as all cores that are replicated over it see it."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

from pearbox_edge.ids import PublicKey
from pearbox_edge.net.mux import Channel, ChannelHandler
from pearbox_edge.wire import Buffer

Work = Callable[[], Coroutine[object, object, None]]
"""Something to run in a task of the stream; it is made only when the task begins."""


@dataclass(slots=True)
class Traffic:
    """What went over one stream: blocks, and the bytes of their values."""

    blocks_received: int = 0
    bytes_received: int = 0
    blocks_sent: int = 0
    bytes_sent: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(
            self.blocks_received + other.blocks_received,
            self.bytes_received + other.bytes_received,
            self.blocks_sent + other.blocks_sent,
            self.bytes_sent + other.bytes_sent,
        )


class MuxLike(Protocol):
    """What a link needs of a mux."""

    def open(
        self,
        protocol: str,
        id: bytes | None,  # noqa: A002 -- the wire's word
        handler: ChannelHandler,
        *,
        handshake: Buffer = b"",
    ) -> Channel:
        """Open our end of (protocol, id)."""

    async def drain(self) -> None:
        """Send what is queued and wait until little enough is left that more may be sent."""

    def pause_reading(self) -> None:
        """Take no more from the stream until `resume_reading`."""

    def resume_reading(self) -> None:
        """Take back one `pause_reading`."""


class Link(Protocol):
    """What a peer needs of the stream it lives on."""

    traffic: Traffic
    heard_at: float
    """When an answer to any core's request came last."""

    @property
    def mux(self) -> MuxLike:
        """The channels of the stream."""

    @property
    def is_initiator(self) -> bool:
        """Whether this side dialled."""

    @property
    def handshake_hash(self) -> bytes:
        """64 bytes that name the stream."""

    @property
    def remote_public_key(self) -> PublicKey:
        """Who is at the other end."""

    def spawn(self, work: Work) -> None:
        """Run something until it ends or the stream does; a PeerError destroys the stream."""

    def fail(self, error: Exception) -> None:
        """Destroy the stream; its `run` raises `error`."""

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the loop's next turn."""

    def now(self) -> float:
        """Seconds on a monotonic clock."""

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""

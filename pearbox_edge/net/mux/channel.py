"""One protocol on a mux: what its users hold, and what they provide."""

from collections import deque
from typing import Protocol

from pearbox_edge.wire import Buffer


class ChannelHandler(Protocol):
    """What receives a channel's events. Raising PeerError destroys the whole stream."""

    def on_open(self, handshake: memoryview, /) -> None:
        """Both sides have opened it; `handshake` is what theirs came with."""
        ...

    def on_message(self, kind: int, body: memoryview, /) -> None:
        """A message of type `kind`; only after `on_open`.

        Types nobody knows are to be ignored, and so are bytes left over at the end of a body.
        The body may be kept; it keeps the whole buffer it arrived in.
        """
        ...

    def on_close(self) -> None:
        """It has ended, whoever closed it; called once, also if it never opened."""
        ...


class ChannelOwner(Protocol):
    """What a channel needs of its mux."""

    def send(self, channel: "Channel", kind: int, body: tuple[Buffer, ...]) -> None:
        """Queue a message."""
        ...

    def close(self, channel: "Channel") -> None:
        """Close our end."""
        ...


class Channel:
    """Our end of one (protocol, id). Made by `Mux.open`.

    ASKED --they open it too--> opened --either closes--> closed
      \\------------------- they reject, either closes ------/
    """

    __slots__ = (
        "_owner",
        "closed",
        "closed_by_remote",
        "handler",
        "id",
        "number",
        "opened",
        "pairing",
        "protocol",
        "remote",
    )

    def __init__(
        self,
        owner: ChannelOwner,
        protocol: str,
        id_: bytes | None,
        handler: ChannelHandler,
        number: int,
        pairing: "Pairing",
    ) -> None:
        self.protocol = protocol
        self.id = id_
        self.handler = handler
        self.opened = False
        """Whether both sides have opened it; messages may be sent before."""
        self.closed = False
        self.closed_by_remote = False
        """Whether it ended by the other side: closed, rejected or hung up."""
        self.number = number
        self.pairing = pairing
        self.remote: RemoteEnd | None = None
        self._owner = owner

    def send(self, kind: int, *body: Buffer) -> None:
        """Queue a message of type `kind`, of the given parts; they must not change any more.

        Nothing happens when the channel is closed.
        """
        if not self.closed:
            self._owner.send(self, kind, body)

    def close(self) -> None:
        """End it; their messages are dropped from now on."""
        if not self.closed:
            self._owner.close(self)


class RemoteEnd:
    """Their end of a channel: their number, and what came before we opened ours."""

    __slots__ = ("channel", "closed", "cost", "handshake", "number", "pending")

    def __init__(self, number: int) -> None:
        self.number = number
        self.channel: Channel | None = None
        self.closed = False
        self.handshake = b""
        self.cost = 0
        """What it adds to the early bytes of the mux."""
        self.pending: list[tuple[int, bytes]] | None = []
        """Messages that wait for our end to open; None once it has."""


class Pairing:
    """All that is open or asked for under one (protocol, id)."""

    __slots__ = ("asked", "deciding", "key", "open_count", "wanted")

    def __init__(self, key: tuple[str, bytes | None]) -> None:
        self.key = key
        self.open_count = 0
        self.asked: deque[Channel] = deque()
        """Our channels whose open they have not answered, oldest first; closed ones too."""
        self.wanted: deque[RemoteEnd] = deque()
        """Their ends that nobody opened here yet, oldest first."""
        self.deciding = 0
        """How many of their opens are being decided on."""

"""Side messages on a core, by name. An empty name stands for the one before (sheet 12, type 9)."""

from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer

from .messages import ExtensionMessage, encode_extension

MAX_PAYLOAD = 1 << 20
"""TUNING: bytes of one side message; a longer one is a peer's mistake."""
MAX_WAITING = 256
"""TUNING: side messages of one peer that wait for their turn; more are dropped."""


class ExtensionStream:
    """The side messages of one channel, both ways."""

    def __init__(self) -> None:
        self._heard = ""
        self._said = ""
        self._waiting: list[tuple[str, bytes]] = []

    def receive(self, message: ExtensionMessage) -> None:
        """One arrived. PeerError if it is too long or the first has no name."""
        name, payload = message
        if len(payload) > MAX_PAYLOAD:
            raise PeerError(f"an extension message of {len(payload)} bytes")
        name = self._heard = name or self._heard
        if not name:
            raise PeerError("an extension message without a name")
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((name, bytes(payload)))

    def take(self) -> list[tuple[str, bytes]]:
        """Those that arrived since: name and payload."""
        taken, self._waiting = self._waiting, []
        return taken

    def encode(self, name: str, payload: bytes) -> list[Buffer]:
        """The next one to send."""
        short = "" if name == self._said else name
        self._said = name
        return encode_extension(ExtensionMessage(short, payload))

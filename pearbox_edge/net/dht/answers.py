"""What a handler wants done with a question: nothing at all is the fifth answer."""

from dataclasses import dataclass

from pearbox_edge.net.rpc import UNKNOWN_COMMAND
from pearbox_edge.wire import Address


@dataclass(frozen=True, slots=True)
class Value:
    """Answer; with a token and closer nodes unless it is a bare answer."""

    value: bytes | None = None
    token: bool = True
    closer: bool = True
    to: Address | None = None
    """Somebody else than who asked."""
    socket: int | None = None
    """Another socket than the one it came to."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Answer with an error number."""

    code: int


@dataclass(frozen=True, slots=True)
class PassOn:
    """Send the question on to another node, which will answer who asked."""

    value: bytes
    to: Address
    socket: int | None = None


Answer = Value | Refusal | PassOn

BARE = Value(token=False, closer=False)
UNKNOWN = Refusal(UNKNOWN_COMMAND)

"""BLAKE3 of our own files: ETags and finding the same bytes twice. Never on the wire."""

from blake3 import blake3

from pearbox_edge.wire import Buffer


def fingerprint(data: Buffer) -> bytes:
    """Name these bytes, in 32 bytes."""
    return blake3(data).digest()


class Fingerprint:
    """The same for bytes that come piece by piece."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state = blake3()

    def update(self, data: Buffer) -> None:
        """Add the next piece."""
        self._state.update(data)

    def digest(self) -> bytes:
        """The fingerprint of all pieces so far, 32 bytes."""
        return self._state.digest()

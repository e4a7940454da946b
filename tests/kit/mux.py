"""A channel handler that writes down what it is told."""

from collections.abc import Callable


class RecordingHandler:
    """`log` has ("open", handshake), (type, body) and ("close",), in order; all as bytes."""

    def __init__(self, on_message: Callable[[int, bytes], None] | None = None) -> None:
        self.log: list[tuple[object, ...]] = []
        self._on_message = on_message

    def on_open(self, handshake: memoryview) -> None:
        self.log.append(("open", bytes(handshake)))

    def on_message(self, kind: int, body: memoryview) -> None:
        self.log.append((kind, bytes(body)))
        if self._on_message is not None:
            self._on_message(kind, bytes(body))

    def on_close(self) -> None:
        self.log.append(("close",))

    @property
    def messages(self) -> list[bytes]:
        """The bodies of the messages so far."""
        bodies = [line[1] for line in self.log if isinstance(line[0], int)]
        return [body for body in bodies if isinstance(body, bytes)]

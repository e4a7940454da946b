"""Side messages between those who replicate a core, by name; replication carries them.

A payload is what an extension makes of it; npm hypercore puts its length before it (compact
encoding `buffer`) unless an extension says otherwise.
"""

from collections.abc import Callable

from pearbox_edge.errors import UsageError

OnMessage = Callable[[bytes, object], None]
"""Called with the payload and the peer that sent it, in the loop. Must not raise but PeerError."""
Outlet = Callable[[str, bytes, object | None], None]
"""Sends a payload under a name to one peer, or to all of them if None."""


class Extension:
    """One kind of side message on a core. Made by `Extensions.register`."""

    def __init__(self, name: str, on_message: OnMessage | None, owner: "Extensions") -> None:
        self.name = name
        self.on_message = on_message
        self._owner = owner

    def broadcast(self, payload: bytes) -> None:
        """Send to all peers of the core that are connected now."""
        self._owner.send(self.name, payload, None)

    def send(self, payload: bytes, peer: object) -> None:
        """Send to one peer, as `on_message` was given it."""
        self._owner.send(self.name, payload, peer)

    def close(self) -> None:
        """Hear no more."""
        self._owner.remove(self)


class Extensions:
    """The kinds of side messages that somebody listens to on one core."""

    def __init__(self) -> None:
        self.outlet: Outlet | None = None
        self._by_name: dict[str, Extension] = {}

    def register(self, name: str, on_message: OnMessage | None = None) -> Extension:
        """Listen to a name from now on; who listened to it before does no more."""
        if not name:
            raise UsageError("an extension needs a name")
        extension = self._by_name[name] = Extension(name, on_message, self)
        return extension

    def remove(self, extension: Extension) -> None:
        """Listen to it no more."""
        if self._by_name.get(extension.name) is extension:
            del self._by_name[extension.name]

    def deliver(self, name: str, payload: bytes, peer: object) -> None:
        """A side message arrived; names that nobody listens to are dropped."""
        extension = self._by_name.get(name)
        if extension is not None and extension.on_message is not None:
            extension.on_message(payload, peer)

    def send(self, name: str, payload: bytes, peer: object | None) -> None:
        """Hand a message to replication; dropped while the core is not replicated."""
        if self.outlet is not None:
            self.outlet(name, payload, peer)

"""DHT messages and streams on one socket: a UDX socket as the DHT wants it."""

from collections.abc import Callable

from pearbox_edge.net.rpc import Datagram
from pearbox_edge.net.udx import UdxSocket
from pearbox_edge.wire import Address, Buffer


class UdxPort:
    """A DatagramPort on a UDX socket, which keeps the datagrams of its streams to itself.

    Datagrams of one byte are hole punches: they go to `on_punch`.
    """

    def __init__(self, socket: UdxSocket) -> None:
        self.socket = socket
        self.on_punch: Callable[[Address], None] | None = None
        self._callback: Callable[[list[Datagram]], None] | None = None
        socket.on_datagram = self._arrived

    @property
    def address(self) -> Address:
        """Where it is bound."""
        return Address(*self.socket.address)

    def send(self, data: Buffer, address: Address, ttl: int = 0) -> None:
        """Send one datagram, or lose it; `ttl` 0 is the usual one."""
        self.socket.send(data, address, ttl=ttl or None)

    def on_datagrams(self, callback: Callable[[list[Datagram]], None] | None) -> None:
        """Have the callback told of what arrives."""
        self._callback = callback

    def close(self) -> None:
        """Release the socket; streams on it are dropped."""
        self._callback = None
        self.on_punch = None
        self.socket.close()

    def _arrived(self, data: bytes, sender: tuple[str, int]) -> None:
        if len(data) == 1:
            if self.on_punch is not None:
                self.on_punch(Address(*sender))
        elif self._callback is not None:
            self._callback([Datagram(data, Address(*sender))])

"""Messages outside the ordered stream: each sealed for itself, so that any may be lost."""

from collections.abc import Callable

from pearbox_edge.crypto import keyed_hash, namespace, secretbox_open, secretbox_seal
from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.wire import Buffer

_INITIATOR, _RESPONDER, _SEND = namespace("hyperswarm/secret-stream", 3)

COUNTER_SIZE = 8  # SPEC sheet 03
OVERHEAD = COUNTER_SIZE + 16  # SPEC counter and MAC
_NONCE_PADDING = bytes(16)  # SPEC the nonce is 24 bytes, the counter first


class UnorderedBox:
    """Seals and opens datagrams under keys made from the handshake hash.

    There is no order and no replay check: what uses it must not mind.
    Format: npm @hyperswarm/secret-stream 6.9.2, `_boxMessage`.
    """

    def __init__(
        self, handshake_hash: bytes, *, is_initiator: bool, random_bytes: Callable[[int], bytes]
    ) -> None:
        forth = keyed_hash(handshake_hash, _INITIATOR, _SEND)
        back = keyed_hash(handshake_hash, _RESPONDER, _SEND)
        self._send_key, self._receive_key = (forth, back) if is_initiator else (back, forth)
        self._first = int.from_bytes(random_bytes(COUNTER_SIZE), "little")
        self._counter = self._first

    def seal(self, plain: Buffer) -> bytes:
        """One datagram, 24 bytes longer. Raises UnavailableError when all counters are used."""
        counter = (self._counter + 1) % (1 << 8 * COUNTER_SIZE)
        if counter == self._first:
            raise UnavailableError("this connection has sent all the datagrams it may")
        self._counter = counter
        prefix = counter.to_bytes(COUNTER_SIZE, "little")
        return prefix + secretbox_seal(prefix + _NONCE_PADDING, self._send_key, plain)

    def open(self, message: Buffer) -> bytes:
        """The plain bytes of a datagram. Raises PeerError for one to be dropped."""
        if len(message) < OVERHEAD:
            raise PeerError("the datagram is too short")
        view = memoryview(message)
        nonce = bytes(view[:COUNTER_SIZE]) + _NONCE_PADDING
        return secretbox_open(nonce, self._receive_key, view[COUNTER_SIZE:])

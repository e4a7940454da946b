"""The two Noise messages of a connection through the DHT, and boxes sealed with its secret."""

from collections.abc import Callable
from typing import NamedTuple

from pearbox_edge.crypto import KeyPair, keyed_hash, secretbox_open, secretbox_seal
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.noise import HandshakeMachine, Pattern, SessionKeys
from pearbox_edge.wire import Buffer

from .payloads import (
    HolepunchPayload,
    NoisePayload,
    decode_holepunch_payload,
    decode_noise_payload,
    encode_holepunch_payload,
    encode_noise_payload,
)
from .signatures import HANDSHAKE_TAG, HOLEPUNCH_TAG

_NONCE_SIZE = 24  # SPEC


class Agreement(NamedTuple):
    """What client and server know when the handshake is done."""

    keys: SessionKeys
    remote: NoisePayload
    """What the other side told."""
    holepunch_secret: bytes


class PeerHandshake:
    """One side of the handshake: a client writes, then reads; a server reads, then writes.

    Format: npm hyperdht 6.34.0, `lib/noise-wrap.js`. Vectors: 05-hyperdht.json, handshakes.
    """

    def __init__(
        self,
        key_pair: KeyPair,
        random_bytes: Callable[[int], bytes],
        remote_public_key: PublicKey | None = None,
    ) -> None:
        """remote_public_key: the server's, if we are the client."""
        self.remote: NoisePayload | None = None
        """What the other side told."""
        self._noise = HandshakeMachine(
            Pattern.IK,
            is_initiator=remote_public_key is not None,
            key_pair=key_pair,
            random_bytes=random_bytes,
            prologue=HANDSHAKE_TAG,
            remote_public_key=remote_public_key,
        )

    @property
    def remote_public_key(self) -> PublicKey:
        """Who is there; for a server, once it has read message 1."""
        key = self._noise.remote_public_key
        if key is None:
            raise UsageError("nothing was read yet")
        return key

    def write(self, payload: NoisePayload) -> bytes:
        """Our message."""
        return self._noise.write(encode_noise_payload(payload))

    def read(self, message: Buffer) -> NoisePayload:
        """Their message's payload. PeerError if anything in it is wrong."""
        self.remote = decode_noise_payload(self._noise.read(message))
        return self.remote

    def agreement(self) -> Agreement:
        """The outcome, once both messages have passed."""
        keys = self._noise.keys
        if keys is None or self.remote is None:
            raise UsageError("the handshake is not done")
        return Agreement(keys, self.remote, keyed_hash(keys.handshake_hash, HOLEPUNCH_TAG))


class HolepunchBox:
    """Seals and opens hole punch payloads of one connection, and makes tokens for addresses.

    Format: npm hyperdht 6.34.0, `lib/secure-payload.js`. Vectors: 05-hyperdht.json, sealed.
    """

    def __init__(self, secret: bytes, random_bytes: Callable[[int], bytes]) -> None:
        self._secret = secret
        self._random_bytes = random_bytes
        self._own_secret = random_bytes(32)

    def seal(self, payload: HolepunchPayload) -> bytes:
        """A box that only the two ends of the connection can open."""
        nonce = self._random_bytes(_NONCE_SIZE)
        return nonce + secretbox_seal(nonce, self._secret, encode_holepunch_payload(payload))

    def open(self, box: Buffer) -> HolepunchPayload:
        """What is in a box. PeerError if it was not sealed for this connection."""
        nonce = bytes(box[:_NONCE_SIZE])
        if len(nonce) < _NONCE_SIZE:
            raise PeerError(f"a box of {len(box)} bytes", code="OUT_OF_BOUNDS")
        return decode_holepunch_payload(
            secretbox_open(nonce, self._secret, bytes(box[_NONCE_SIZE:]))
        )

    def token(self, host: str) -> bytes:
        """What a machine must return to prove that it receives at `host`."""
        return keyed_hash(self._own_secret, host.encode())

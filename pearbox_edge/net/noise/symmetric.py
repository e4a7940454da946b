"""The running hash and key of a Noise handshake: what each message is mixed into."""

from pearbox_edge.crypto import aead_open, aead_seal, hash_512, hmac_512
from pearbox_edge.errors import PeerError
from pearbox_edge.wire import Buffer

HASH_SIZE = 64  # SPEC sheet 03: BLAKE2b-512
KEY_SIZE = 32  # SPEC
MAC_SIZE = 16  # SPEC
MAX_MESSAGE = 65535  # SPEC Noise: the largest message, tag included


def hkdf(chaining_key: bytes, material: bytes, count: int = 2) -> list[bytes]:
    """`count` 64-byte outputs of Noise's HKDF over HMAC-BLAKE2b-512."""
    secret = hmac_512(chaining_key, material)
    outputs: list[bytes] = []
    last = b""
    for number in range(1, count + 1):
        last = hmac_512(secret, last, bytes([number]))
        outputs.append(last)
    return outputs


class SymmetricState:
    """Noise's SymmetricState: hash, chaining key and, once there is one, the message key."""

    def __init__(self, protocol_name: bytes) -> None:
        self.hash = protocol_name.ljust(HASH_SIZE, b"\0")
        self.chaining_key = self.hash
        self.nonce = 0
        self._key: bytes | None = None

    @property
    def has_key(self) -> bool:
        """Whether what is sealed now is encrypted, and so 16 bytes longer."""
        return self._key is not None

    def mix_hash(self, data: Buffer) -> None:
        """Bind the handshake to `data`."""
        self.hash = hash_512(self.hash, data)

    def mix_key(self, material: bytes) -> None:
        """Take a shared secret into the keys."""
        self.chaining_key, key = hkdf(self.chaining_key, material)
        self._key = key[:KEY_SIZE]
        self.nonce = 0

    def seal(self, plain: Buffer) -> bytes:
        """Encrypt (in clear while there is no key) and mix what goes on the wire."""
        if self._key is None:
            sealed = bytes(plain)
        else:
            sealed = aead_seal(self._key, self._next_nonce(), self.hash, plain)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: Buffer) -> bytes:
        """Undo `seal`. Raises PeerError if it was tampered with."""
        if self._key is None:
            plain = bytes(sealed)
        elif len(sealed) < MAC_SIZE:
            raise PeerError("the handshake message is too short")
        else:
            plain = aead_open(self._key, self._next_nonce(), self.hash, sealed)
        self.mix_hash(sealed)
        return plain

    def split(self) -> tuple[bytes, bytes]:
        """The two 32-byte stream keys: initiator to responder, and back."""
        forth, back = hkdf(self.chaining_key, b"")
        return forth[:KEY_SIZE], back[:KEY_SIZE]

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self.nonce.to_bytes(8, "little")
        self.nonce += 1
        return nonce

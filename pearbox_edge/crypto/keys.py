"""Ed25519 key pairs: who signs, and the shared secret of two of them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_scalarmult_ed25519_noclamp,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError, CryptoError

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import KEY_SIZE, PublicKey
from pearbox_edge.wire import Buffer

_SEED_SIZE = 32
_SECRET_KEY_SIZE = 64
_SIGNATURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What a machine or signer is known by, and what proves it is the one.

    public_key: 32 bytes; secret_key: 64 bytes, the seed and then the public key.
    """

    public_key: PublicKey
    secret_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.public_key) != KEY_SIZE or len(self.secret_key) != _SECRET_KEY_SIZE:
            raise UsageError("a key pair is a public key of 32 bytes and a secret key of 64")

    @classmethod
    def from_seed(cls, seed: bytes) -> "KeyPair":
        """Make the one key pair of a seed; UsageError if it is not 32 bytes.

        Format: npm hypercore-crypto 3.7.0, `keyPair`. Vectors: 11-hypercore.json, keyPair.
        """
        if len(seed) != _SEED_SIZE:
            raise UsageError(f"a seed is {_SEED_SIZE} bytes, not {len(seed)}")
        public_key, secret_key = crypto_sign_seed_keypair(bytes(seed))
        return cls(PublicKey(public_key), secret_key)

    @classmethod
    def generate(cls, random_bytes: Callable[[int], bytes]) -> "KeyPair":
        """Make a key pair from 32 fresh random bytes."""
        return cls.from_seed(random_bytes(_SEED_SIZE))

    @property
    def seed(self) -> bytes:
        """The 32 bytes that the pair is made from."""
        return self.secret_key[:_SEED_SIZE]


def sign(message: Buffer, key_pair: KeyPair) -> bytes:
    """Sign a message: 64 bytes, the same every time for the same message and key pair."""
    return crypto_sign(bytes(message), key_pair.secret_key)[:_SIGNATURE_SIZE]


def verify(message: Buffer, signature: Buffer, public_key: Buffer) -> bool:
    """Tell whether `signature` is that key's on the message; false too for wrong sizes."""
    if len(signature) != _SIGNATURE_SIZE or len(public_key) != KEY_SIZE:
        return False
    try:
        crypto_sign_open(bytes(signature) + bytes(message), bytes(public_key))
    except BadSignatureError:
        return False
    return True


def exchange(own: KeyPair, their: Buffer) -> bytes:
    """Compute the secret of 32 bytes that only the owners of two key pairs can.

    their: the other's public key. Raises PeerError if it is no point of the curve's main group.
    Format: npm noise-curve-ed 2.1.0, `dh`. Vectors: 03-noise-secret-stream.json, dh.
    """
    if len(their) != KEY_SIZE:
        raise PeerError(f"a public key is {KEY_SIZE} bytes, not {len(their)}", code="INVALID_KEY")
    scalar = bytearray(hashlib.sha512(own.seed).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    try:
        return crypto_scalarmult_ed25519_noclamp(bytes(scalar), bytes(their))
    except CryptoError:
        raise PeerError("a public key is not on the curve", code="INVALID_KEY") from None

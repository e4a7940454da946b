"""Block encryption: XSalsa20 under a key that the core's key is mixed into (sheet 11).

A stored block is a prefix of 8 bytes and the ciphertext. There is no tag: the tree is the proof.
"""

from enum import Enum

from pearbox_edge.crypto import hash_bytes, keyed_hash, xsalsa20
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import KEY_SIZE, CoreKey
from pearbox_edge.wire import Buffer

from .manifest import DEFAULT_ENCRYPTION

PADDING = 8
"""SPEC sheet 11: bytes that encryption adds to each block."""


class EncryptionMode(Enum):
    """How the block key comes from the encryption key."""

    DEFAULT = "default"
    BLOCK = "block"
    COMPAT = "compat"


def block_key(mode: EncryptionMode, encryption_key: bytes, core_key: CoreKey) -> bytes:
    """The key that blocks of one core are encrypted with (32 bytes)."""
    match mode:
        case EncryptionMode.DEFAULT:
            return hash_bytes(DEFAULT_ENCRYPTION, core_key, encryption_key)
        case EncryptionMode.BLOCK:
            return encryption_key
        case EncryptionMode.COMPAT:
            return keyed_hash(core_key, encryption_key)


class BlockCipher:
    """Encrypts and decrypts the blocks of one core."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise UsageError("a block key has 32 bytes")
        self.block_key = key
        self.blinding_key = hash_bytes(key)

    def encrypt(self, index: int, fork: int, block: Buffer) -> bytes:
        """The stored form of block `index`; `fork` is that of the head when it is appended."""
        nonce = index.to_bytes(8, "little")
        prefix = xsalsa20(fork.to_bytes(8, "little"), nonce + bytes(16), self.blinding_key)
        return prefix + xsalsa20(block, nonce + prefix + bytes(8), self.block_key)

    def decrypt(self, index: int, stored: Buffer) -> bytes:
        """The plain bytes of a stored block; PeerError if it is too short to be one."""
        if len(stored) < PADDING:
            raise PeerError(f"block {index} is too short to be encrypted")
        view = memoryview(stored)
        nonce = index.to_bytes(8, "little") + bytes(view[:PADDING]) + bytes(8)
        return xsalsa20(view[PADDING:], nonce, self.block_key)

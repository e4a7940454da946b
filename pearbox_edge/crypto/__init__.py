"""Keys, hashes, signatures and ciphers: what Holepunch programs use, from libsodium and hashlib.

Upstream: npm hypercore-crypto 3.7.0, noise-curve-ed 2.1.0, sodium-secretstream 1.2.0.
Door: `KeyPair`, `sign`, `verify`, the hashes, `Sealer`, `Opener`, `exchange`, `fingerprint`.
Must not know: who is at the other end, where random bytes come from, files or sockets.
The wire speaks BLAKE2b; BLAKE3 is for our own `fingerprint` alone.
"""

from .aead import aead_open, aead_seal, secretbox_open, secretbox_seal
from .discovery import discovery_key
from .fingerprint import Fingerprint, fingerprint
from .hashes import (
    hash_512,
    hash_bytes,
    hmac_512,
    keyed_hash,
    leaf_hash,
    parent_hash,
    tree_hash,
)
from .keys import KeyPair, exchange, sign, verify
from .namespace import namespace
from .secret_stream import HEADER_SIZE, SEAL_SIZE, Opener, Sealer
from .xsalsa20 import xsalsa20, xsalsa20_into

__all__ = [
    "HEADER_SIZE",
    "SEAL_SIZE",
    "Fingerprint",
    "KeyPair",
    "Opener",
    "Sealer",
    "aead_open",
    "aead_seal",
    "discovery_key",
    "exchange",
    "fingerprint",
    "hash_512",
    "hash_bytes",
    "hmac_512",
    "keyed_hash",
    "leaf_hash",
    "namespace",
    "parent_hash",
    "secretbox_open",
    "secretbox_seal",
    "sign",
    "tree_hash",
    "verify",
    "xsalsa20",
    "xsalsa20_into",
]

"""Many key pairs from one primary key: namespaces, names and seeds (sheet 16)."""

from pearbox_edge.crypto import KeyPair, hash_bytes, keyed_hash, namespace
from pearbox_edge.data.core import Manifest, Signer

(_SEED_TAG,) = namespace("corestore", 1)  # SPEC sheet 16

ROOT_NAMESPACE = bytes(32)  # SPEC sheet 16
"""The namespace of a store itself."""

Name = str | bytes
"""What a core is called in its namespace: text (as UTF-8) or bytes."""


def name_bytes(name: Name) -> bytes:
    """A name as it is hashed."""
    return name.encode() if isinstance(name, str) else bytes(name)


def child_namespace(parent: bytes, name: Name) -> bytes:
    """The 32 bytes of a namespace within another.

    Format: npm corestore 7.12.5, `namespace`. Vectors: 16-corestore.json, named.
    """
    return hash_bytes(parent, name_bytes(name))


def seed_of(primary_key: bytes, in_namespace: bytes, name: Name) -> bytes:
    """The 32 byte seed of a named core's key pair.

    Format: npm corestore 7.12.5. Vectors: 16-corestore.json, named and binaryName.
    """
    return keyed_hash(primary_key, _SEED_TAG, in_namespace, name_bytes(name))


def key_pair_of(primary_key: bytes, in_namespace: bytes, name: Name) -> KeyPair:
    """The key pair that writes a named core."""
    return KeyPair.from_seed(seed_of(primary_key, in_namespace, name))


def manifest_of(key_pair: KeyPair, version: int = 1) -> Manifest:
    """The manifest of a core that one key pair writes; version 1 or 2."""
    return Manifest.create((Signer(key_pair.public_key),), version=version)


def alias_name(in_namespace: bytes, name: Name) -> str:
    """Where the discovery key of a named core is kept, so that the name stays tied to its key."""
    return f"corestore/alias/{in_namespace.hex()}/{name_bytes(name).hex()}"

"""Tags that keep hashes made for one purpose from serving another."""

from .hashes import hash_bytes

_MAX_TAGS = 256


def namespace(name: str, count: int) -> tuple[bytes, ...]:
    """Make the first `count` tags of a name, 32 bytes each: hash(hash(name), one-byte number).

    Format: npm hypercore-crypto 3.7.0, `namespace`. Vectors: 01-compact-encoding.json, namespaces.
    """
    base = hash_bytes(name.encode())
    return tuple(hash_bytes(base, bytes((number,))) for number in range(min(count, _MAX_TAGS)))

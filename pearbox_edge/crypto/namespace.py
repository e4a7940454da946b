"""Tags that keep hashes made for one purpose from serving another."""

from pearbox_edge.errors import UsageError

from .hashes import hash_bytes

_MAX_TAGS = 256  # SPEC: a tag's number is one byte


def namespace(name: str, count: int) -> tuple[bytes, ...]:
    """Make the first `count` tags of a name, 32 bytes each: hash(hash(name), one-byte number).

    Format: npm hypercore-crypto 3.7.0, `namespace`. Vectors: 01-compact-encoding.json, namespaces.
    """
    if not 0 <= count <= _MAX_TAGS:
        raise UsageError(f"a namespace has up to {_MAX_TAGS} tags, not {count}")
    base = hash_bytes(name.encode())
    return tuple(hash_bytes(base, bytes((number,))) for number in range(count))

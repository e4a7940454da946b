"""BLAKE2b in the shapes every layer uses, and the hashes of Merkle tree nodes."""

import hashlib
import hmac
from collections.abc import Iterable
from struct import Struct

from pearbox_edge.errors import UsageError
from pearbox_edge.wire import Buffer

_blake2b = hashlib.blake2b

_LEAF, _PARENT, _ROOT = 0, 1, 2  # SPEC sheet 10: the first byte hashed tells the kinds apart
_kind_and_size = Struct("<BQ").pack
_index_and_size = Struct("<QQ").pack

_MAX_KEY_SIZE = 64  # SPEC: BLAKE2b


def hash_bytes(*parts: Buffer) -> bytes:
    """Hash the concatenation of `parts`: BLAKE2b, 32 bytes."""
    state = _blake2b(digest_size=32)
    for part in parts:
        state.update(part)
    return state.digest()


def keyed_hash(key: bytes, *parts: Buffer) -> bytes:
    """Hash the concatenation of `parts` under a key of 64 bytes at most: BLAKE2b, 32 bytes."""
    if len(key) > _MAX_KEY_SIZE:
        raise UsageError(f"a hash key is {_MAX_KEY_SIZE} bytes at most, not {len(key)}")
    state = _blake2b(digest_size=32, key=key)
    for part in parts:
        state.update(part)
    return state.digest()


def hash_512(*parts: Buffer) -> bytes:
    """Hash the concatenation of `parts`: BLAKE2b, 64 bytes."""
    state = _blake2b()
    for part in parts:
        state.update(part)
    return state.digest()


def hmac_512(key: bytes, *parts: Buffer) -> bytes:
    """Authenticate the concatenation of `parts`: HMAC over BLAKE2b of 64 bytes (sheet 03)."""
    state = hmac.new(key, digestmod=_blake2b)
    for part in parts:
        state.update(part)
    return state.digest()


def leaf_hash(block: Buffer) -> bytes:
    """Hash a block as stored (with its encryption padding): the tree node of a leaf, 32 bytes.

    Gives up the interpreter lock for blocks over 2 KiB.
    Format: npm hypercore-crypto 3.7.0, `data`. Vectors: 10-flat-tree-and-merkle.json, leafHash.
    """
    state = _blake2b(_kind_and_size(_LEAF, len(block)), digest_size=32)
    state.update(block)
    return state.digest()


def parent_hash(size: int, left_hash: bytes, right_hash: bytes) -> bytes:
    """Hash two neighbours into their parent, 32 bytes.

    size: bytes below both together; left is the one with the smaller index.
    Format: npm hypercore-crypto 3.7.0, `parent`. Vectors: 10-flat-tree-and-merkle.json, parentHash.
    """
    return _blake2b(_kind_and_size(_PARENT, size) + left_hash + right_hash, digest_size=32).digest()


def tree_hash(roots: Iterable[tuple[int, int, bytes]]) -> bytes:
    """Hash the roots of a tree, (index, size, hash) from left to right: what a head signs.

    Format: npm hypercore-crypto 3.7.0, `tree`. Vectors: 10-flat-tree-and-merkle.json, treeHash.
    """
    data = bytearray((_ROOT,))
    for index, size, digest in roots:
        data += digest
        data += _index_and_size(index, size)
    return _blake2b(data, digest_size=32).digest()

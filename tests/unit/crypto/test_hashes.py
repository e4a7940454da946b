import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import (
    hash_512,
    hash_bytes,
    hmac_512,
    keyed_hash,
    leaf_hash,
    parent_hash,
    tree_hash,
)
from pearbox_edge.errors import UsageError

parts = st.lists(st.binary(max_size=40), max_size=4)


@given(parts)
def test_a_hash_is_over_the_concatenation(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert hash_bytes(*pieces) == hash_bytes(whole)
    assert hash_512(*pieces) == hash_512(whole)
    assert keyed_hash(b"key", *pieces) == keyed_hash(b"key", whole)
    assert hmac_512(b"key", *pieces) == hmac_512(b"key", whole)


def test_hashes_have_their_sizes() -> None:
    made = (hash_bytes(), keyed_hash(b"k"), hash_512(), hmac_512(b"k"), leaf_hash(b""))
    assert [len(digest) for digest in made] == [32, 32, 64, 64, 32]


def test_the_key_matters() -> None:
    assert keyed_hash(bytes(32), b"x") != keyed_hash(bytes(31) + b"\1", b"x") != hash_bytes(b"x")


def test_a_hash_key_of_over_64_bytes_is_a_bug_of_ours() -> None:
    keyed_hash(bytes(64), b"x")
    with pytest.raises(UsageError):
        keyed_hash(bytes(65), b"x")


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_hmac_takes_keys_of_any_size(key: bytes, data: bytes) -> None:
    padded = (key if len(key) <= 128 else hash_512(key)).ljust(128, b"\0")
    inner = hash_512(bytes(byte ^ 0x36 for byte in padded), data)
    assert hmac_512(key, data) == hash_512(bytes(byte ^ 0x5C for byte in padded), inner)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 65536])
def test_a_leaf_is_hashed_with_its_kind_and_size(size: int) -> None:
    block = bytes(size)
    preimage = b"\0" + size.to_bytes(8, "little") + block
    assert leaf_hash(memoryview(block)) == hash_bytes(preimage)


def test_a_parent_is_hashed_with_its_kind_and_size() -> None:
    left, right = hash_bytes(b"left"), hash_bytes(b"right")
    size = (1 << 53) - 1
    preimage = b"\1" + size.to_bytes(8, "little") + left + right
    assert parent_hash(size, left, right) == hash_bytes(preimage)


def test_a_leaf_never_passes_as_a_parent() -> None:
    left, right = hash_bytes(b"left"), hash_bytes(b"right")
    assert leaf_hash(left + right) != parent_hash(64, left, right)


def test_roots_are_hashed_in_the_order_given_from_any_iterable() -> None:
    one, two = (3, 100, hash_bytes(b"1")), (9, 50, hash_bytes(b"2"))
    assert tree_hash([one, two]) == tree_hash(iter((one, two))) != tree_hash([two, one])
    assert tree_hash(()) == hash_bytes(b"\2")

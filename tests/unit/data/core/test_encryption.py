"""Encrypted blocks: 8 bytes more, and the same again with the key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.core import PADDING, BlockCipher, EncryptionMode, block_key
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import CoreKey

KEY = CoreKey(bytes(32))
CIPHER = BlockCipher(bytes(range(32)))


@given(st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.binary(max_size=300))
def test_a_block_decrypts_to_itself(index: int, fork: int, block: bytes) -> None:
    stored = CIPHER.encrypt(index, fork, block)
    assert len(stored) == len(block) + PADDING
    assert CIPHER.decrypt(index, memoryview(stored)) == block


@given(st.binary(max_size=PADDING - 1))
def test_a_block_without_its_prefix_is_refused(stored: bytes) -> None:
    with pytest.raises(PeerError):
        CIPHER.decrypt(0, stored)


def test_the_same_block_looks_different_elsewhere_and_after_a_truncation() -> None:
    stored = {CIPHER.encrypt(index, fork, b"same") for index in (0, 1) for fork in (0, 1)}
    assert len(stored) == 4


def test_each_mode_has_its_own_block_key() -> None:
    assert len({block_key(mode, bytes(32), KEY) for mode in EncryptionMode}) == 3


def test_a_block_key_of_another_size_is_a_bug() -> None:
    with pytest.raises(UsageError):
        BlockCipher(b"short")

import pytest

from pearbox_edge.crypto import discovery_key, keyed_hash
from pearbox_edge.errors import UsageError
from pearbox_edge.ids import CoreKey


def test_a_discovery_key_is_the_word_hypercore_under_the_core_key() -> None:
    key = CoreKey(bytes(range(32)))
    assert discovery_key(key) == keyed_hash(key, b"hypercore")
    assert len(discovery_key(key)) == 32


def test_a_core_key_of_another_size_is_a_bug_of_ours() -> None:
    for size in (0, 31, 33, 64):
        with pytest.raises(UsageError):
            discovery_key(CoreKey(bytes(size)))

import pytest

from pearbox_edge.crypto import hash_bytes, namespace
from pearbox_edge.errors import UsageError


def test_tags_are_numbered_from_zero_and_do_not_depend_on_how_many_are_made() -> None:
    tags = namespace("hypercore", 6)
    assert namespace("hypercore", 3) == tags[:3]
    assert tags[2] == hash_bytes(hash_bytes(b"hypercore"), b"\2")


def test_another_name_makes_other_tags() -> None:
    assert not set(namespace("one", 4)) & set(namespace("two", 4))


def test_a_number_is_one_byte() -> None:
    assert len(namespace("name", 256)) == 256
    for count in (-1, 257):
        with pytest.raises(UsageError):
            namespace("name", count)

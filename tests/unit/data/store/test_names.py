import pytest

from pearbox_edge.data.store.names import (
    ROOT_NAMESPACE,
    alias_name,
    child_namespace,
    key_pair_of,
    manifest_of,
    seed_of,
)

PRIMARY = b"p" * 32


def test_text_and_its_bytes_are_the_same_name() -> None:
    assert seed_of(PRIMARY, ROOT_NAMESPACE, "é") == seed_of(PRIMARY, ROOT_NAMESPACE, "é".encode())


def test_every_part_of_the_place_changes_the_key() -> None:
    inner = child_namespace(ROOT_NAMESPACE, "inner")
    keys = {
        key_pair_of(PRIMARY, ROOT_NAMESPACE, "a").public_key,
        key_pair_of(PRIMARY, ROOT_NAMESPACE, "b").public_key,
        key_pair_of(PRIMARY, inner, "a").public_key,
        key_pair_of(PRIMARY, child_namespace(inner, "inner"), "a").public_key,
        key_pair_of(b"q" * 32, ROOT_NAMESPACE, "a").public_key,
    }
    assert len(keys) == 5


def test_the_manifest_version_changes_the_core() -> None:
    pair = key_pair_of(PRIMARY, ROOT_NAMESPACE, "a")
    assert manifest_of(pair).version == 1
    assert manifest_of(pair).key != manifest_of(pair, 2).key


@pytest.mark.parametrize("name", ["", "a/b", "\n", b"\xff\0"])
def test_any_name_has_an_alias_of_its_own(name: str | bytes) -> None:
    assert alias_name(ROOT_NAMESPACE, name).startswith("corestore/alias/00")
    assert alias_name(ROOT_NAMESPACE, name).isprintable()

"""Blocks of a bee: written as upstream does, read without trust."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.messages import (
    MAX_KEY_SIZE,
    MAX_LEVEL_KEYS,
    Header,
    Level,
    Metadata,
    check_key,
    decode_header,
    decode_index,
    decode_node,
    encode_header,
    encode_index,
    encode_node,
)
from pearbox_edge.errors import InputError, PeerError

numbers = st.integers(0, 2**53 - 1)
levels = st.lists(
    st.builds(Level, st.lists(numbers, max_size=9), st.lists(numbers, max_size=20)), max_size=5
)
metadata = st.none() | st.builds(
    Metadata, st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=40)
)


@given(st.binary(max_size=50), st.none() | st.binary(max_size=50), levels)
def test_a_node_comes_back_as_it_was_written(
    key: bytes, value: bytes | None, index: list[Level]
) -> None:
    node = decode_node(7, encode_node(key, value, encode_index(index)))
    assert (node.seq, node.key, node.value, node.levels) == (7, key, value, index)


@given(metadata)
def test_a_header_comes_back_as_it_was_written(given: Metadata | None) -> None:
    assert decode_header(encode_header(Header(given))) == Header(given)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_node_or_refused(data: bytes) -> None:
    try:
        node = decode_node(1, data)
        assert isinstance(node.levels, list)
    except PeerError:
        pass


@given(st.binary(max_size=60))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    with contextlib.suppress(PeerError):
        decode_header(data)


@given(st.binary(max_size=20), st.binary(max_size=20), levels, st.data())
def test_a_node_cut_anywhere_is_refused_or_lacks_its_end(
    key: bytes, value: bytes, index: list[Level], data: st.DataObject
) -> None:
    block = encode_node(key, value, encode_index(index))
    cut = block[: data.draw(st.integers(0, len(block) - 1))]
    try:
        node = decode_node(1, cut)
    except PeerError:
        return
    assert (node.key, node.value, node.levels) == (key, None, index)


def test_unknown_fields_are_skipped() -> None:
    block = encode_node(b"k", b"v", encode_index([Level([1], [])]))
    assert decode_node(1, b"\x28\x05" + block + b"\x32\x01x").value == b"v"


def test_a_header_of_another_format_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_header(b"\x0a\x03foo")


def test_a_key_of_ten_mib_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_node(1, encode_node(bytes(10 << 20), b"", b""))


def test_a_key_too_long_is_not_written() -> None:
    with pytest.raises(InputError):
        check_key(bytes(MAX_KEY_SIZE + 1))


def test_a_tree_node_of_too_many_keys_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_index(encode_index([Level([1] * (MAX_LEVEL_KEYS + 1), [])]))


@pytest.mark.parametrize(
    "level",
    [
        Level([0], []),
        Level([6], []),
        Level([1], [1, 0]),
        Level([1], [1, 0, 1]),
        Level([1], [1, 0, 6, 0]),
        Level([1], [0, 0, 1, 0]),
        Level([], [1, 0]),
    ],
)
def test_a_tree_node_that_points_astray_is_refused_when_walked(level: Level) -> None:
    node = decode_node(5, encode_node(b"k", b"", encode_index([level])))
    with pytest.raises(PeerError):
        node.level(0)


def test_a_tree_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_node(5, encode_node(b"k", b"", b"")).level(0)


def test_a_block_without_value_is_a_deletion_unless_a_tree_node_holds_it() -> None:
    gone = decode_node(5, encode_node(b"k", None, encode_index([Level([4], [])])))
    null = decode_node(5, encode_node(b"k", None, encode_index([Level([4, 5], [])])))
    assert gone.is_deletion()
    assert not null.is_deletion()

"""Hints between peers: whatever comes, a message or a refusal."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.bee.extension import (
    MAX_BLOCKS,
    Cache,
    Extension,
    Get,
    Iterator,
    decode_extension,
    encode_extension,
)
from pearbox_edge.errors import PeerError

numbers = st.integers(0, 2**53 - 1)
some = st.lists(numbers, max_size=9).map(tuple)
key = st.none() | st.binary(max_size=9)
messages = st.builds(
    Extension,
    st.none() | st.builds(Cache, numbers, numbers, some),
    st.none() | st.builds(Get, numbers, key),
    st.none() | st.builds(Iterator, numbers, key, key, key, key, numbers, st.booleans(), some),
)


@given(messages)
def test_a_message_comes_back_as_it_was_written(message: Extension) -> None:
    assert decode_extension(encode_extension(message)) == message


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(PeerError):
        decode_extension(data)


@given(messages, st.data())
def test_a_message_cut_anywhere_is_a_message_or_refused(
    message: Extension, data: st.DataObject
) -> None:
    encoded = encode_extension(message)
    with contextlib.suppress(PeerError):
        decode_extension(encoded[: data.draw(st.integers(0, len(encoded)))])


def test_a_message_that_names_too_many_blocks_is_refused() -> None:
    blocks = tuple(range(9 * MAX_BLOCKS))
    with pytest.raises(PeerError):
        decode_extension(encode_extension(Extension(cache=Cache(0, 1, blocks))))


def test_a_field_of_an_unknown_wire_type_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_extension(b"\x0d\x00\x00\x00\x00")

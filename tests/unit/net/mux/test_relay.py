from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.net.mux.relay import Pair, decode_pair, decode_unpair, encode_pair, encode_unpair

tokens = st.binary(min_size=32, max_size=32)


@given(st.booleans(), tokens, st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_what_is_written_is_read_again(first: bool, token: bytes, stream: int, seq: int) -> None:
    pair = Pair(first, token, stream, seq)
    assert decode_pair(encode_pair(pair)) == pair
    assert decode_unpair(encode_unpair(token)) == token


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_a_peer_error(data: bytes) -> None:
    for decode in (decode_pair, decode_unpair):
        with suppress(PeerError):
            decode(data)


@given(st.integers(0, 34))
def test_a_message_that_ends_early_is_refused(size: int) -> None:
    with pytest.raises(PeerError):
        decode_pair(encode_pair(Pair(True, bytes(32), 1))[:size])
    with pytest.raises(PeerError):
        decode_unpair(encode_unpair(bytes(32))[: min(size, 32)])

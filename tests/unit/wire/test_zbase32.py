import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.wire import z32_decode, z32_encode

ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"


@given(st.binary(max_size=70))
def test_bytes_come_back(data: bytes) -> None:
    text = z32_encode(data)
    assert len(text) == -(-len(data) * 8 // 5)
    assert set(text) <= set(ALPHABET)
    assert z32_decode(text) == data


@given(st.text(max_size=20))
def test_any_text_gives_bytes_or_a_peer_error(text: str) -> None:
    try:
        data = z32_decode(text)
    except PeerError:
        return
    assert len(data) == len(text) * 5 // 8


@given(st.text(ALPHABET, max_size=20))
def test_text_cut_anywhere_gives_the_same_first_bytes_or_a_peer_error(text: str) -> None:
    for size in range(len(text)):
        if size % 8 in {1, 3, 6} or len(text) % 8 in {1, 3, 6}:
            continue
        assert z32_decode(text).startswith(z32_decode(text[:size]))


@pytest.mark.parametrize("text", ["yl", "YY", "y=", "y ", "yy\n", "é" * 8, "v2", "y", "yyy"])
def test_characters_outside_the_alphabet_and_impossible_lengths_are_refused(text: str) -> None:
    with pytest.raises(PeerError):
        z32_decode(text)


def test_bits_left_over_in_the_last_character_are_ignored() -> None:
    assert z32_decode("yy") == z32_decode("yb") == b"\0"

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import Fingerprint, fingerprint


def test_the_fingerprint_of_nothing_is_the_known_one() -> None:
    assert fingerprint(b"").hex().startswith("af1349b9f5f9a1a6")
    assert len(fingerprint(b"")) == 32


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_piece_by_piece_gives_the_fingerprint_of_the_whole(pieces: list[bytes]) -> None:
    state = Fingerprint()
    for piece in pieces:
        state.update(memoryview(piece))
    assert state.digest() == fingerprint(b"".join(pieces))


def test_a_fingerprint_may_go_on_after_it_was_read() -> None:
    state = Fingerprint()
    state.update(b"a")
    assert state.digest() == fingerprint(b"a")
    state.update(bytearray(b"b"))
    assert state.digest() == fingerprint(b"ab")

import ctypes

import pytest

from pearbox_edge.crypto.sodium import find_xsalsa20, stream_pull, stream_push, stream_state


def test_a_sealed_stream_state_opens_with_an_equal_one() -> None:
    key, header = bytes(32), bytes(24)
    buffer = bytearray(b"\0hello" + bytes(16))
    stream_push(stream_state(key, header), memoryview(buffer))
    assert stream_pull(stream_state(key, header), memoryview(buffer))
    assert buffer[1:6] == b"hello"


def test_a_wrong_tag_is_told_and_changes_nothing() -> None:
    buffer = bytearray(20)
    assert not stream_pull(stream_state(bytes(32), bytes(24)), memoryview(buffer))
    assert buffer == bytes(20)


def test_xsalsa20_is_found_in_the_library_at_hand() -> None:
    assert find_xsalsa20() is not None


def test_a_library_that_hides_xsalsa20_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda path: object())
    assert find_xsalsa20() is None


def test_a_library_that_cannot_be_opened_again_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> object:
        raise OSError(path)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert find_xsalsa20() is None

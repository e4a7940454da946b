import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.wire import decode_key, encode_key

KEY = bytes(range(100, 132))
Z32 = encode_key(KEY)


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        bytearray(KEY),
        memoryview(KEY),
        Z32,
        KEY.hex(),
        KEY.hex().upper(),
        f"pear://{Z32}",
        f"pear://{KEY.hex()}",
        f"pear://{Z32}/a/path",
        f"pear://{Z32}/",
    ],
)
def test_a_key_is_read_in_every_form_it_travels_in(form: str | bytes) -> None:
    decoded = decode_key(form)
    assert decoded == KEY
    assert type(decoded) is bytes


@pytest.mark.parametrize(
    "form",
    [
        "",
        Z32[:-1],
        Z32 + "y",
        Z32.upper(),
        "l" + Z32[1:],
        "g" + KEY.hex()[1:],
        " " + KEY.hex()[1:-1] + " ",
        "é" * 64,
        "pear://",
        f"pear://0.12.{Z32}",
        f"hyper://{Z32}",
        f"{Z32}/path",
        KEY[1:],
        KEY + b"\0",
        b"",
    ],
)
def test_anything_else_is_refused_in_one_line(form: str | bytes) -> None:
    with pytest.raises(PeerError) as caught:
        decode_key(form)
    assert caught.value.code == "INVALID_KEY"
    assert "\n" not in str(caught.value)


def test_only_32_bytes_are_written_as_a_key() -> None:
    with pytest.raises(UsageError):
        encode_key(KEY[1:])


@given(st.binary(min_size=32, max_size=32))
def test_keys_come_back(key: bytes) -> None:
    assert len(encode_key(key)) == 52
    assert decode_key(encode_key(key)) == decode_key(key.hex()) == key


@given(st.one_of(st.text(max_size=70), st.text(min_size=52, max_size=52), st.binary(max_size=40)))
def test_anything_gives_a_key_or_a_peer_error(form: str | bytes) -> None:
    try:
        key = decode_key(form)
    except PeerError:
        return
    assert len(key) == 32

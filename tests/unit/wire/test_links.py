import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import InputError
from pearbox_edge.ids import CoreKey
from pearbox_edge.wire import Link, encode_key, format_link, parse_link

KEY = CoreKey(bytes(range(100, 132)))
Z32 = encode_key(KEY)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"pear://{Z32}", ""),
        (f"pear://{Z32}/", ""),
        (f"pear://{Z32}/photos/a b.jpg", "/photos/a b.jpg"),
        (f"pear://{KEY.hex()}/x", "/x"),
        (f"  pear://{Z32}\n", ""),
        (f"PEAR://{Z32.upper()}/Big", "/Big"),
        (Z32, ""),
        (f"{Z32}/notes", "/notes"),
        (KEY.hex().upper(), ""),
    ],
)
def test_a_link_is_read_as_people_type_it(text: str, path: str) -> None:
    assert parse_link(text) == Link(KEY, path)


@pytest.mark.parametrize(
    "text",
    ["", "pear://", "hello", f"hyper://{Z32}", f"pear://0.12.{Z32}", Z32[1:], "/" + Z32, "\x1b[2J"],
)
def test_anything_else_says_what_a_link_looks_like(text: str) -> None:
    with pytest.raises(InputError, match="a link looks like pear://KEY") as caught:
        parse_link(text)
    assert str(caught.value).isprintable()


def test_a_long_text_is_shown_short() -> None:
    with pytest.raises(InputError) as caught:
        parse_link("x" * 100_000)
    assert len(str(caught.value)) < 300


def test_a_link_is_written_with_its_scheme() -> None:
    assert format_link(KEY) == f"pear://{Z32}"


@given(st.binary(min_size=32, max_size=32), st.text(max_size=10).map(str.strip))
def test_links_come_back(key: bytes, path: str) -> None:
    link = parse_link(f"{format_link(key)}/{path}")
    assert link == Link(CoreKey(key), f"/{path}" if path else "")


@given(st.text(max_size=80))
def test_any_text_gives_a_link_or_an_input_error_of_one_line(text: str) -> None:
    said = ""
    try:
        parse_link(text)
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1

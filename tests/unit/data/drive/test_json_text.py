"""JSON as JavaScript writes it. The expected texts were printed by Node 22."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs import Json
from pearbox_edge.data.drive.json_text import MAX_DEPTH, parse, stringify
from pearbox_edge.errors import InputError, PeerError

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e15, 1e15)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=9,
)


@given(values)
def test_what_is_written_is_read_again(value: Json) -> None:
    assert parse(stringify(value).encode()) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_as_the_same_number(number: float) -> None:
    # A large one is read as a whole number of other digits, which stands for the same float.
    found = parse(stringify(number).encode())
    assert isinstance(found, int | float)
    assert float(found) == number
    assert stringify(found) == stringify(number)


@given(st.binary(max_size=20) | st.text(max_size=20).map(str.encode))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    with contextlib.suppress(PeerError):
        parse(data)


@given(values, st.data())
def test_text_cut_anywhere_is_json_or_refused(value: Json, data: st.DataObject) -> None:
    text = stringify(value).encode()
    with contextlib.suppress(PeerError):
        parse(text[: data.draw(st.integers(0, len(text)))])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1, "0.1"), (1e21, "1e+21"), (1e20, "100000000000000000000"),
        (123456789012345680000, "123456789012345680000"), (1e-7, "1e-7"), (1e-6, "0.000001"),
        (0.00001234, "0.00001234"), (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (-1.5, "-1.5"), (100, "100"),
        (1.0, "1"), (9007199254740993, "9007199254740992"), (1e16, "10000000000000000"),
        (123e-20, "1.23e-18"), (1.5e300, "1.5e+300"), (0.1 + 0.2, "0.30000000000000004"),
        (-0.0, "0"), (12345.678, "12345.678"), (math.nan, "null"), (math.inf, "null"),
        (10**400, "null"), (-7, "-7"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_javascript_does(number: float, text: str) -> None:
    assert stringify(number) == text


def test_keys_and_strings_are_written_as_javascript_does() -> None:
    value: Json = {
        "b": 1, "2": 2, "10": 3, "01": 4, "4294967295": 5, "4294967294": 6,
        "x": '\u0001\u2028\u007f\ud800é"\\\b',
    }  # fmt: skip
    expected = (
        '{"2":2,"10":3,"4294967294":6,"b":1,"01":4,"4294967295":5,'
        '"x":"\\u0001\u2028\u007f\\ud800é\\"\\\\\\b"}'
    )
    assert stringify(value) == expected
    assert stringify([True, False, None, []]) == "[true,false,null,[]]"


def test_nesting_has_an_end() -> None:
    value: Json = 1
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(InputError):
        stringify(value)
    with pytest.raises(PeerError):
        parse(b"[" * 200_000)


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"\xff", b"", b"{'a':1}", b"1" * 5000])
def test_what_javascript_does_not_read_is_refused(text: bytes) -> None:
    with pytest.raises(PeerError):
        parse(text)


def test_plain_values_are_written_as_the_json_module_does() -> None:
    value: Json = {"mime": "text/plain", "n": 46, "ä": ["ключ", None, True]}
    assert stringify(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))

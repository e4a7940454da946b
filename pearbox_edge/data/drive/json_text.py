"""JSON text exactly as JavaScript writes it, so that blocks come out the same.

Format: ECMAScript `JSON.stringify` without indentation.
"""

import json
import math
import re

from pearbox_edge.data.blobs import Json
from pearbox_edge.errors import InputError, PeerError

MAX_DEPTH = 100
"""TUNING: values within values; a stranger's nesting must not exhaust our stack."""

_MAX_INDEX = (1 << 32) - 1  # SPEC ECMAScript: keys below are array indices and come first
_MAX_INTEGER = 1 << 53
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_quoted = json.JSONEncoder(ensure_ascii=False).encode


def stringify(value: Json) -> str:
    """Write a value; InputError if it is nested too deep."""
    return _text(value, MAX_DEPTH)


def parse(text: bytes) -> Json:
    """Read a value; PeerError if the bytes are no JSON text."""
    try:
        value: Json = json.loads(str(text, "utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise PeerError("a value that is no JSON text") from None
    return value


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _text(value: Json, depth: int) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case int() | float():
            return _number(value)
        case list():
            _check_depth(depth)
            return "[" + ",".join(_text(item, depth - 1) for item in value) + "]"
        case dict():
            _check_depth(depth)
            # JavaScript keeps keys that look like array indices apart, in rising order, first.
            indices = sorted((key for key in value if _is_index(key)), key=int)
            names = [key for key in value if not _is_index(key)] if indices else list(value)
            parts = [_string(key) + ":" + _text(value[key], depth - 1) for key in indices + names]
            return "{" + ",".join(parts) + "}"


def _check_depth(depth: int) -> None:
    if depth <= 0:
        raise InputError("metadata that is nested too deep")


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) < _MAX_INDEX


def _string(value: str) -> str:
    text = _quoted(value)
    if _SURROGATE.search(text):
        text = _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", text)
    return text


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) <= _MAX_INTEGER:
        return str(value)
    try:
        value = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    # Python and JavaScript find the same shortest digits; they differ in where they put the point.
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Digits with the point after the first `point` of them, as ECMAScript's Number::toString."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    rest = "." + digits[1:] if count > 1 else ""
    return f"{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"

"""Links to drives, as people copy and type them."""

from typing import NamedTuple

from pearbox_edge.errors import InputError, PeerError
from pearbox_edge.ids import CoreKey

from .buffers import Buffer
from .keys import LINK_SCHEME, decode_key, encode_key

_LOOKS_LIKE = "a link looks like pear://KEY or pear://KEY/path, with a KEY of 52 letters and digits"
_SHOWN = 80  # TUNING: of a link that cannot be read, what fits in one line of a terminal


class Link(NamedTuple):
    """A drive, and a path in it: "" is the whole drive, anything else begins with "/"."""

    key: CoreKey
    path: str


def parse_link(text: str) -> Link:
    """Read a link that a person typed or pasted.

    text: `pear://KEY`, the bare KEY (z-base-32 or hex, capitals are fine), either with `/path`
    after it; blanks around it are dropped. Raises InputError that says what a link looks like.
    """
    rest = text.strip()
    if rest[: len(LINK_SCHEME)].lower() == LINK_SCHEME:
        rest = rest[len(LINK_SCHEME) :]
    key_text, slash, path = rest.partition("/")
    try:
        key = decode_key(key_text.lower())
    except PeerError as error:
        raise InputError(f"not a link: {_shown(text)} ({_LOOKS_LIKE})") from error
    return Link(CoreKey(key), slash + path if path else "")


def format_link(key: Buffer) -> str:
    """Write the link to a drive: `pear://` and its key in z-base-32."""
    return LINK_SCHEME + encode_key(key)


def _shown(text: str) -> str:
    """One line of what was typed, short, with nothing a terminal would obey."""
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return ascii(shown) if not shown.isprintable() else f"'{shown}'"

"""Names of files in a drive: how what people give becomes `/folder/file`, and what may be a file.

Format: npm unix-path-resolve as hyperdrive 13.3.4 uses it (sheet 15).
"""

import re

from pearbox_edge.errors import InputError

MAX_PATH_SIZE = 1 << 15
"""TUNING: bytes of UTF-8 in a path; Linux takes 4096."""

_SEPARATORS = re.compile(r"[/\\]")


def normalise(path: str) -> str:
    """The name a file is kept under; InputError if it is above the root or the root itself."""
    resolved = _resolve([], path)
    if not resolved:
        raise InputError("the name of a file is missing")
    return _checked("/" + "/".join(resolved))


def normalise_folder(path: str) -> str:
    """The name of a folder, empty for the root, as the beginning of what lies in it."""
    resolved = _resolve([], path)
    return _checked("/" + "/".join(resolved)) if resolved else ""


def resolve_link(path: str, target: str) -> str:
    """Where a link leads. A relative target counts from the link's own path, as if a folder."""
    resolved = _resolve(path.split("/"), target)
    if not resolved:
        raise InputError("a link that leads to no file")
    return _checked("/" + "/".join(resolved))


def _resolve(base: list[str], path: str) -> list[str]:
    names = _SEPARATORS.split(path)
    absolute = path.startswith(("/", "\\"))
    if len(names) > 1 and names[0].endswith(":"):
        absolute = True
        # A drive letter or `file:` goes, of any other scheme also the host (SPEC sheet 15).
        names = names[1:] if len(names[0]) == 2 or names[0] == "file:" else names[3:]
    out: list[str] = []
    for name in names if absolute else [*base, *names]:
        if name == "..":
            if not out:
                raise InputError("a path that leads out of the drive")
            out.pop()
        elif name not in {"", "."}:
            out.append(name)
    return out


def _checked(path: str) -> str:
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise InputError("a file's name that is not Unicode text") from None
    if size > MAX_PATH_SIZE:
        raise InputError(f"a path of {size} bytes is too long")
    return path

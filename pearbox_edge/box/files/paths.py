"""Which paths of a drive may be written to a disk, and where a symlink may point.

Attacks met here: `..` and absolute paths, NUL bytes, names that a file system cannot hold, and
links that lead out of the folder, alone or together with files "below" them.
"""

import posixpath

from pearbox_edge.errors import PeerError

MAX_NAME = 255  # SPEC: NAME_MAX of Linux file systems, bytes
MAX_DEPTH = 256  # TUNING: deeper trees are nobody's photos


class UnsafePath(PeerError):
    """A drive holds a path that must not be written here."""

    default_code = "UNSAFE_PATH"


def safe_parts(path: str) -> list[str]:
    """Split a drive's path (`/a/b`) into names that may be used one below the other.

    Raises UnsafePath with a reason that a person can read.
    """
    if not path.startswith("/"):
        raise UnsafePath("it does not begin with /")
    parts = path[1:].split("/")
    if len(parts) > MAX_DEPTH:
        raise UnsafePath(f"it is more than {MAX_DEPTH} folders deep")
    for part in parts:
        if part in ("", ".", ".."):
            raise UnsafePath("it has an empty, . or .. part")
        if "\0" in part:
            raise UnsafePath("it has a NUL byte")
        try:
            size = len(part.encode())
        except UnicodeEncodeError as error:
            raise UnsafePath("it is not proper Unicode") from error
        if size > MAX_NAME:
            raise UnsafePath(f"a name in it is longer than {MAX_NAME} bytes")
    return parts


def link_target(path: str, linkname: str) -> str:
    """The text of a symlink at `path` that points where the drive's link points, inside the folder.

    A drive-absolute target (`/a/b`) becomes a relative one. Raises UnsafePath if it leads out.
    """
    if not linkname or "\0" in linkname:
        raise UnsafePath("it is a link to nothing")
    try:
        if len(linkname.encode()) > 4095:  # SPEC: PATH_MAX less its NUL
            raise UnsafePath("it is a link with an over-long target")
    except UnicodeEncodeError as error:
        raise UnsafePath("it is a link whose target is not proper Unicode") from error
    folder = posixpath.dirname(path)
    resolved = posixpath.normpath(posixpath.join(folder, linkname))
    if linkname.startswith("/"):
        return posixpath.relpath(resolved, folder)
    depth = len(safe_parts(path)) - 1
    for part in linkname.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            raise UnsafePath("it is a link that leads out of the folder")
    return linkname

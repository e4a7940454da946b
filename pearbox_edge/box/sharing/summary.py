"""What a drive held at the end of an import, so that the next one need not list it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from .plan import Known
from .stamps import decode_stamp

_VERSION = 1
MAX_EXTRAS = 1024  # TUNING: links and files without a stamp; with more the drive is listed


@dataclass(frozen=True, slots=True)
class Summary:
    """The drive at `version` and `fork` has the files with a stamp, and the `extras`."""

    version: int
    fork: int
    extras: dict[str, Known]


def summarise(
    version: int, fork: int, known: Mapping[str, Known], stamps: Mapping[str, bytes]
) -> Summary | None:
    """What to remember of a drive; None if its entries and the stamps do not go together."""
    if any(path not in known or known[path].size is None for path in stamps):
        return None
    extras = {path: entry for path, entry in known.items() if path not in stamps}
    return Summary(version, fork, extras) if len(extras) <= MAX_EXTRAS else None


def restore(summary: Summary, stamps: Mapping[str, bytes]) -> dict[str, Known] | None:
    """The drive's entries as a summary tells; None if a stamp cannot be read."""
    known = dict(summary.extras)
    for path, stored in stamps.items():
        stamp = decode_stamp(stored)
        if stamp is None:
            return None
        known[path] = Known(stamp.size, stamp.executable, None)
    return known


def encode_summary(summary: Summary) -> bytes:
    """The summary as it is stored."""
    extras = {path: list(entry) for path, entry in summary.extras.items()}
    return json.dumps([_VERSION, summary.version, summary.fork, extras]).encode()


def decode_summary(stored: bytes | None) -> Summary | None:
    """A stored summary; None if there is none that can be read."""
    try:
        form, version, fork, extras = json.loads(stored or b"null")
        if form != _VERSION:
            return None
        known = {
            str(path): Known(size, bool(executable), link)
            for path, (size, executable, link) in extras.items()
        }
        return Summary(int(version), int(fork), known)
    except (ValueError, TypeError, AttributeError):
        return None

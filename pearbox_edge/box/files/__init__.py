"""The disk side of sharing: read a person's folder, and write a drive into one, safely.

Upstream: the idea of localdrive 2.2.1 (a folder seen as a drive); the rules are ours.
Door: `Source`, `plan_sources`, `scan`, `FoundFile`, `FoundLink`, `Skipped`, `Destination`, `Blob`.
Must not know: cores, the network, asyncio. All calls block: shells run them in a thread.
What a stranger wrote into a drive is never trusted here: see `paths.py`.
"""

from .blob import Blob
from .destination import Destination, NewFile
from .paths import UnsafePath, link_target, safe_parts
from .read import (
    ReadContent,
    ReadFile,
    fingerprint_of,
    is_same_content,
    read_chunks,
    read_content,
    read_whole,
)
from .scan import (
    Found,
    FoundFile,
    FoundLink,
    Skipped,
    Source,
    Stamp,
    plan_sources,
    printable,
    real_path,
    scan,
    scan_below,
)

__all__ = [
    "Blob",
    "Destination",
    "Found",
    "FoundFile",
    "FoundLink",
    "NewFile",
    "ReadContent",
    "ReadFile",
    "Skipped",
    "Source",
    "Stamp",
    "UnsafePath",
    "fingerprint_of",
    "is_same_content",
    "link_target",
    "plan_sources",
    "printable",
    "read_chunks",
    "read_content",
    "read_whole",
    "real_path",
    "safe_parts",
    "scan",
    "scan_below",
]

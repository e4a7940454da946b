"""The drives of one data directory: found by link, name or shared paths, and worked on.

Upstream: none for names; mirror-drive 1.14.2 for what a mirror does (sheet 15).
Door: `Library`, `DriveName`; `mirror` between a `DriveEnd` and a `FolderEnd`; `import_file`.
Must not know: connections, mDNS, the command line.
A drive is ours if its name is written down here; all others can only be read.
"""

from .aio import DriveEnd, End, FolderEnd, MirrorOptions, import_file, mirror
from .library import DriveName, Library
from .selection import Selection

__all__ = [
    "DriveEnd",
    "DriveName",
    "End",
    "FolderEnd",
    "Library",
    "MirrorOptions",
    "Selection",
    "import_file",
    "mirror",
]

"""A drive that is kept equal to a person's files: imported once, then followed.

Upstream: mirror-drive 1.14.2 (a folder into a drive); ours skips what it knows to be unchanged.
Door: `FolderShare`, `Imported`, `SharingProgress`.
Must not know: connections, mDNS, the command line.
Nothing is taken out of the drive because it could not be read: only because it is gone.
"""

from .aio import FolderShare, Imported

__all__ = ["FolderShare", "Imported"]

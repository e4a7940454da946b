"""A drive, or one path of it, as files in a folder: fetched, verified, and followed if asked.

Upstream: mirror-drive 1.14.2 (a drive into a folder); ours trusts no path that a drive holds.
Door: `DriveFetch`, `Fetched`, `FetchProgress`.
Must not know: connections, mDNS, the command line.
A file has its name only when it is whole; what is there already and equal is not touched.
"""

from .aio import DriveFetch, Fetched, FetchProgress

__all__ = ["DriveFetch", "FetchProgress", "Fetched"]

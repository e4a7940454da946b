"""Dialling a server by its key alone, through nodes that know it.

Upstream: hyperdht 6.34.0, `lib/connect.js`.
Door: Dialer.
Must not know: what runs on the connections.
"""

from .aio import Dialer

__all__ = ["Dialer"]

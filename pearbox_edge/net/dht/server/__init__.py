"""A server: announced under the hash of its key, it takes connections by the DHT.

Upstream: hyperdht 6.34.0, `lib/server.js`, `lib/announcer.js`.
Door: DhtServer.
Must not know: what runs on the connections.
"""

from .aio import DhtServer, OnConnection

__all__ = ["DhtServer", "OnConnection"]

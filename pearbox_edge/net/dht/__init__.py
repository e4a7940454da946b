"""The DHT of Hyperswarm: be listed under topics, find who is, keep small signed values.

Upstream: hyperdht 6.34.0.
Door: Dht (DhtOptions), its `client`; Service, what a node does for others.
Must not know: topics' meaning, which peers are worth dialling, what runs on a connection.
"""

from .aio import Dht
from .client import DhtClient, FoundPeer, Listing
from .messages import Command, Firewall, LookupAnswer, MutableValue, PeerRecord
from .options import DEFAULT_PORT, DhtOptions
from .service import Service

__all__ = [
    "DEFAULT_PORT",
    "Command",
    "Dht",
    "DhtClient",
    "DhtOptions",
    "Firewall",
    "FoundPeer",
    "Listing",
    "LookupAnswer",
    "MutableValue",
    "PeerRecord",
    "Service",
]

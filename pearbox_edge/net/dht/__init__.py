"""The DHT of Hyperswarm: topics, small signed values, and streams to machines by their key.

Upstream: hyperdht 6.34.0.
Door: Dht (DhtOptions): `client`, `connect`, `listen`; Service, what a node does for others.
Must not know: topics' meaning, which peers are worth dialling, what runs on a connection.
"""

from .accepting import Refuses
from .aio import Dht
from .client import DhtClient, FoundPeer, Listing
from .messages import Command, Firewall, LookupAnswer, MutableValue, PeerRecord
from .options import DEFAULT_PORT, DhtOptions
from .payloads import NoisePayload
from .server import DhtServer, OnConnection
from .service import Service

__all__ = [
    "DEFAULT_PORT",
    "Command",
    "Dht",
    "DhtClient",
    "DhtOptions",
    "DhtServer",
    "Firewall",
    "FoundPeer",
    "Listing",
    "LookupAnswer",
    "MutableValue",
    "NoisePayload",
    "OnConnection",
    "PeerRecord",
    "Refuses",
    "Service",
]

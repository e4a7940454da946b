"""A core over a mux: serving it to peers, and fetching from all of them what its readers ask for.

Upstream: npm hypercore 11.39.5 `lib/replicator.js`, on protomux 3.12.1 (sheet 12).
Door: `Replicator` (one a core, its Fetcher), `StreamLink` (one a stream), the messages.
Must not know: which cores a store has, what blocks mean, how streams are made or found.
Law: a peer is believed in nothing; it is dropped for bad data, for silence and for flooding.
"""

from . import messages
from .aio import Replicator, StreamLink
from .capability import capability
from .connection import Peer
from .link import Traffic
from .messages import PROTOCOL

__all__ = [
    "PROTOCOL",
    "Peer",
    "Replicator",
    "StreamLink",
    "Traffic",
    "capability",
    "messages",
]

"""Connections to other machines: accept them, dial them, dial again, replicate on each.

Upstream: none (hyperswarm's place on the LAN; `net.swarm` joins here later).
Door: `PeerHub`, `HubOptions`, `PeerEvent`, `PeerOpened`, `PeerClosed`.
Must not know: drives, folders, mDNS; it is told addresses and hands streams to a store.
A connection counts once per machine: the same public key twice is one peer.
"""

from .aio import HubOptions, PeerClosed, PeerEvent, PeerHub, PeerOpened

__all__ = ["HubOptions", "PeerClosed", "PeerEvent", "PeerHub", "PeerOpened"]

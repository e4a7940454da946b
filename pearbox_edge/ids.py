"""The names of things, as types: swapping two is a type error, not a silent leak.

All are 32 raw bytes. Their text forms (z32, hex, `pear://`) are made and read in `wire`.
"""

from typing import NewType

CoreKey = NewType("CoreKey", bytes)
"""Reads a core; its holder may ask for every block."""

DiscoveryKey = NewType("DiscoveryKey", bytes)
"""Finds a core without the right to read it."""

PublicKey = NewType("PublicKey", bytes)
"""Names a machine or a signer (Ed25519)."""

Topic = NewType("Topic", bytes)
"""What peers meet under; often a discovery key."""

NodeId = NewType("NodeId", bytes)
"""A participant of the DHT."""

KEY_SIZE = 32  # SPEC sheet 01

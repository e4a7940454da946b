"""How a core is found by those who may read it, and by nobody else."""

from pearbox_edge.errors import UsageError
from pearbox_edge.ids import KEY_SIZE, CoreKey, DiscoveryKey

from .hashes import keyed_hash


def discovery_key(core_key: CoreKey) -> DiscoveryKey:
    """Name a core on the network without handing out the right to read it.

    core_key: 32 bytes. Returns 32 bytes: BLAKE2b-256 of the ASCII word `hypercore`, keyed with it.
    Raises UsageError if `core_key` is not 32 bytes.
    Format: npm hypercore-crypto 3.7.0, `discoveryKey`. Vectors: 11-hypercore.json, discoveryKey.
    """
    if len(core_key) != KEY_SIZE:
        raise UsageError(f"a core key is {KEY_SIZE} bytes, not {len(core_key)}")
    return DiscoveryKey(keyed_hash(core_key, b"hypercore"))

"""How a peer of the DHT behaves."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pearbox_edge.net.rpc import RpcOptions

DEFAULT_PORT = 49737  # SPEC


@dataclass(frozen=True, slots=True)
class DhtOptions:
    """What a peer of the DHT is told at its start."""

    rpc: RpcOptions = field(default_factory=lambda: RpcOptions(port=DEFAULT_PORT))
    """The node that it is."""
    local_hosts: Callable[[], tuple[str, ...]] | None = None
    """Gives this machine's IPv4 addresses; without it, the one we are bound to, if it is one."""

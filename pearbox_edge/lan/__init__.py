"""Be found on the LAN, and find others there, with no server and no internet.

Upstream: multicast DNS service discovery (RFC 6762, RFC 6763) over python-zeroconf 0.154.
Door: `LanDiscovery`, `LanOptions`, `LanPeer`, `Browse`.
Must not know: what a label stands for. It gets the z32 text of a discovery key from its caller.
"""

from .aio import Browse, LanDiscovery, LanOptions
from .peers import LanPeer

__all__ = ["Browse", "LanDiscovery", "LanOptions", "LanPeer"]

"""A socket for nodes that share theirs with nobody: for tests, and until streams own the sockets.

Upstream: none.
Door: UdpPort, a DatagramPort.
Must not know: what the datagrams mean.
"""

from .aio import UdpPort

__all__ = ["UdpPort"]

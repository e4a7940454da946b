"""Many datagrams per system call, both ways, where the kernel can; one by one where it cannot.

Upstream: none; Linux udp(7), `UDP_SEGMENT` and `UDP_GRO`.
Door: DatagramSocket.
Must not know: what the datagrams mean.
Hosts of IPv4 stay in their dotted form, also on a socket that carries both families.
"""

from .aio import READ_BUFFER, Address, DatagramSocket, Received

__all__ = ["READ_BUFFER", "Address", "DatagramSocket", "Received"]

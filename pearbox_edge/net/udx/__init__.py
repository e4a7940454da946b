"""Reliable streams over UDP, many on one socket, which other protocols share.

Upstream: udx-native 1.21.3.
Door: Udx (makes sockets and streams), UdxSocket, UdxStream (a ByteStream), UdxStreamMachine.
Must not know: who is at the other end, how its address was found, what the bytes mean.
Datagrams that are no stream's go to the socket's `on_datagram`.
"""

from .aio import Firewall, Udx, UdxSocket, UdxStream
from .datagrams import Address
from .packet import Packet, decode_packet, encode_packet, is_udx
from .stream import Closed, Moved, RemoteEnded, UdxStreamMachine

__all__ = [
    "Address",
    "Closed",
    "Firewall",
    "Moved",
    "Packet",
    "RemoteEnded",
    "Udx",
    "UdxSocket",
    "UdxStream",
    "UdxStreamMachine",
    "decode_packet",
    "encode_packet",
    "is_udx",
]

"""Plain TCP connections as ByteStreams: dialling, listening, big buffers, dead lines noticed.

Upstream: none; the Node peers speak the secret stream over a `net.Socket` in the same way.
Door: connect, listen, TcpStream, TcpListener.
Must not know: what the bytes mean, and who is at the other end.
There is no machine here: the kernel has it.
"""

from .aio import TcpListener, TcpStream, connect, listen

__all__ = ["TcpListener", "TcpStream", "connect", "listen"]

"""Noise handshakes on the Ed25519 curve, and the encrypted message stream that follows them.

Upstream: noise-handshake 4.2.0, noise-curve-ed 2.1.0, @hyperswarm/secret-stream 6.9.2.
Door: SecretStream (a MessageStream on any ByteStream), its machine, HandshakeMachine, UnorderedBox.
Must not know: what carries the bytes (TCP, UDX), and what the messages mean.
"""

from .aio import SecretStream
from .handshake import HandshakeMachine, Pattern, SessionKeys
from .secret_stream import HandshakeDone, Options, SecretStreamMachine, stream_id
from .unordered import UnorderedBox

__all__ = [
    "HandshakeDone",
    "HandshakeMachine",
    "Options",
    "Pattern",
    "SecretStream",
    "SecretStreamMachine",
    "SessionKeys",
    "UnorderedBox",
    "stream_id",
]

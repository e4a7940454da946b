"""Many channels on one encrypted stream, each a protocol with typed messages.

Upstream: protomux 3.12.1.
Door: Mux with Channel and ChannelHandler; MuxMachine is the same without a stream.
Must not know: what any protocol's messages mean, and what carries the frames.
"""

from .aio import Mux
from .channel import Channel, ChannelHandler
from .machine import MuxMachine, RemoteOpen

__all__ = ["Channel", "ChannelHandler", "Mux", "MuxMachine", "RemoteOpen"]

"""Kademlia over datagrams: ask nodes, walk to those near a target, be a good node for others.

Upstream: dht-rpc 6.27.0, kademlia-routing-table 1.0.6, nat-sampler 1.0.1, adaptive-timeout 1.0.1.
Door: RpcNode on DatagramPorts, RpcNodeMachine without; Query, RpcOptions.
Must not know: what applications ask, keys, streams, and who else uses the sockets.
IPv4 alone, as upstream.
"""

from .aio import Handler, RpcNode, RpcQuery
from .contacts import Contacts
from .health import Connectivity
from .messages import (
    INVALID_TOKEN,
    MAX_DATAGRAM,
    OK,
    REQUEST,
    RESPONSE,
    UNKNOWN_COMMAND,
    node_id,
)
from .nat import NatSampler
from .node import RpcNodeMachine
from .options import (
    CLIENT,
    SERVER,
    AddressChanged,
    Answered,
    BecameEphemeral,
    BecamePersistent,
    Bootstrapped,
    ConnectivityChanged,
    Datagram,
    DatagramPort,
    Event,
    FirewallChanged,
    IncomingRequest,
    NameWanted,
    OpenPort,
    QueryAnswered,
    QueryEnded,
    RequestArrived,
    RpcOptions,
    Unanswered,
    WokeUp,
)
from .port import UdpPort
from .query import Commit, Committer, Query, QueryOptions
from .requests import Failure, Outgoing, Question, Reply

__all__ = [
    "CLIENT",
    "INVALID_TOKEN",
    "MAX_DATAGRAM",
    "OK",
    "REQUEST",
    "RESPONSE",
    "SERVER",
    "UNKNOWN_COMMAND",
    "AddressChanged",
    "Answered",
    "BecameEphemeral",
    "BecamePersistent",
    "Bootstrapped",
    "Commit",
    "Committer",
    "Connectivity",
    "ConnectivityChanged",
    "Contacts",
    "Datagram",
    "DatagramPort",
    "Event",
    "Failure",
    "FirewallChanged",
    "Handler",
    "IncomingRequest",
    "NameWanted",
    "NatSampler",
    "OpenPort",
    "Outgoing",
    "Query",
    "QueryAnswered",
    "QueryEnded",
    "QueryOptions",
    "Question",
    "Reply",
    "RequestArrived",
    "RpcNode",
    "RpcNodeMachine",
    "RpcOptions",
    "RpcQuery",
    "UdpPort",
    "Unanswered",
    "WokeUp",
    "node_id",
]

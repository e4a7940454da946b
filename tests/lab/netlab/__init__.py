"""Throw-away networks in Linux namespaces: a LAN without internet, homes behind NAT routers.

Ours, with iproute2 and nftables; no upstream package.
Door: Lan and Wan (`with` builds and frees them), their hosts and links, check and classify_nat.
Programs under test run in the hosts unchanged, with real sockets, real NAT and real multicast.
Must not know: pearbox_edge. Needs root; where it cannot run it raises LabUnavailable, never skips.
"""

from .check import check, require
from .errors import LabUnavailable, NetlabError
from .home import Home
from .host import Host
from .impairment import Impairment
from .lan import Lan
from .link import Link
from .measure import NatReport, classify_nat
from .nat import NAT_KINDS
from .segment import Segment
from .wan import Wan

__all__ = [
    "NAT_KINDS",
    "Home",
    "Host",
    "Impairment",
    "LabUnavailable",
    "Lan",
    "Link",
    "NatReport",
    "NetlabError",
    "Segment",
    "Wan",
    "check",
    "classify_nat",
    "require",
]

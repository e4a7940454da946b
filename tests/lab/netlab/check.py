"""What this machine can do: each feature is tried in a throw-away namespace."""

import functools
import os
import shutil
import subprocess
import sys

from .errors import LabUnavailable

for _folder in ("/usr/sbin", "/sbin"):
    if _folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.environ.get("PATH", "") + os.pathsep + _folder

TUN = "/dev/net/tun"

_TOOLS = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
}

_NAT = """
table ip probe {
  map out {
    type ipv4_addr . inet_service : inet_service; flags dynamic,timeout; timeout 9s; size 64;
  }
  map into {
    type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 9s; size 64;
  }
  chain pre {
    type nat hook prerouting priority dstnat;
    iifname "wan" ip protocol udp dnat ip to udp dport map @into;
  }
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade fully-random;
  }
  chain learn {
    type filter hook postrouting priority 150;
    ip protocol udp update @out { ct original ip saddr . ct original proto-src timeout 9s : LAST }
  }
}
""".replace("LAST", "ct reply proto-dst")
_VETH = "ip link add v0 type veth peer name v1"
_FILTER = "{ type filter hook %s device v0 priority 0; }"

PROBES = {
    "namespaces": "nsenter --wdns=/ -- true",
    "veth": _VETH,
    "bridge": "ip link add b0 type bridge mcast_snooping 0 forward_delay 0",
    "nat": f"nft -f - <<'X'\n{_NAT}X",
    "partition": (
        "nft add table bridge t"
        " && nft 'add chain bridge t f { type filter hook forward priority 0; }'"
        " && nft add rule bridge t f iifname a oifname b drop"
    ),
    "kernel_loss": (
        f"{_VETH} && nft add table netdev t"
        f" && nft 'add chain netdev t i {_FILTER.replace('%s', 'ingress')}'"
        f" && nft 'add chain netdev t e {_FILTER.replace('%s', 'egress')}'"
        " && nft 'add rule netdev t e numgen random mod 1000000 < 5 drop'"
    ),
    "kernel_rate": (f"{_VETH} && tc qdisc add dev v0 root tbf rate 1mbit burst 5kb latency 50ms"),
    "relay": f"test -c {TUN} && ip tuntap add dev t0 mode tap",
}
"""Feature to the shell commands that need it."""


@functools.cache
def why_not(feature: str) -> str | None:
    """None when the feature works here, otherwise a short reason."""
    if not sys.platform.startswith("linux"):
        return "not Linux"
    if os.geteuid() != 0:
        return f"not running as root (uid {os.geteuid()})"
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool) is None})
    if missing:
        return "commands missing, install: " + " ".join(missing)
    try:
        result = subprocess.run(
            ["unshare", "--net", "--mount", "--uts", "sh", "-c", PROBES[feature]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines()
        return f"kernel refuses {feature}: {said[0] if said else result.returncode}"
    return None


def check() -> dict[str, str]:
    """Every feature, and "ok" or the reason it does not work."""
    return {name: why_not(name) or "ok" for name in PROBES}


def require(*features: str) -> None:
    """Raise LabUnavailable with the reason unless all features work: a failure, never a skip."""
    for feature in features:
        reason = why_not(feature)
        if reason:
            raise LabUnavailable(f"the network lab cannot run here: {reason}")

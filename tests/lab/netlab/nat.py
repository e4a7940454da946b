"""What home routers and carriers do to addresses: the kinds, and their nftables rules."""

NAT_KINDS = {
    "open": "no router: the peer itself has a public address",
    "dmz": "router passes every inbound packet to the peer, ports kept (exposed host)",
    "full-cone": "endpoint-independent mapping, endpoint-independent filtering",
    "address-restricted": "endpoint-independent mapping, address-dependent filtering",
    "port-restricted": (
        "endpoint-independent mapping, address-and-port-dependent filtering (usual home router)"
    ),
    "symmetric": "a new random port for every destination, address-and-port-dependent filtering",
    "double": "port-restricted home router behind a port-restricted carrier NAT (CGNAT)",
    "double-symmetric": "port-restricted home router behind a symmetric carrier NAT",
    "blocked": "no UDP comes in at all, not even answers; TCP works",
}

DOUBLE = {
    "double": ("port-restricted", "port-restricted"),
    "double-symmetric": ("port-restricted", "symmetric"),
}
"""Kinds of two routers in a row: the home's, and the carrier's."""

_STABLE = ("full-cone", "address-restricted", "port-restricted")
"""Kinds where a socket keeps one mapped port whatever it talks to."""

_RULES = """table ip lab
delete table ip lab
table ip lab {
%(maps)s  chain input {
    type filter hook input priority filter; policy accept;
    iifname != "wan" accept
    ct state established,related accept
    ip protocol icmp accept
    drop
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
%(forward)s    iifname "lan" oifname "wan" accept
    iifname "wan" ct state established,related accept
    iifname "wan" ct status dnat accept
  }
  chain pre {
    type nat hook prerouting priority dstnat; policy accept;
%(pre)s  }
  chain post {
    type nat hook postrouting priority srcnat; policy accept;
%(post)s  }
  chain learn {
    type filter hook postrouting priority 150; policy accept;
%(learn)s  }
}
"""

_FIRST = '    oifname "wan" ct direction original ip protocol udp update'
_BACK = '    oifname "wan" ct direction reply ip protocol udp update'
_INNER = "ct original ip saddr . ct original proto-src"
_INNER_BACK = "ct reply ip saddr . ct reply proto-src"
_MASQUERADE = '    oifname "wan" masquerade\n'
_RANDOM = '    oifname "wan" ip protocol udp masquerade fully-random\n'


def nat_rules(
    kind: str, *, exposed: str | None, preserve_ports: bool, udp_timeout: int, hops: int
) -> str:
    """The nftables text for one router.

    exposed: the host a "dmz" router forwards to. preserve_ports: keep the inner port when
    possible. udp_timeout: seconds a learned mapping lives. hops: packets with a smaller TTL than
    this die here, as probes sent with a tiny TTL do on the real internet (0: they pass).
    """
    maps = pre = post = learn = forward = ""
    timeout = f"timeout {udp_timeout}s"
    keep = f"flags dynamic,timeout; {timeout}; size 65535;"
    if kind in _STABLE and not preserve_ports:
        # The first packet of a socket gets a random port; its later flows are pinned to it.
        maps += f"  map out {{ type ipv4_addr . inet_service : inet_service; {keep} }}\n"
        post += (
            '    oifname "wan" ip protocol udp masquerade to :ip saddr . udp sport map @out\n'
            + _RANDOM
        )
        learn += (
            f"{_FIRST} @out {{ {_INNER} {timeout} : ct reply proto-dst }}\n"
            f"{_BACK} @out {{ {_INNER_BACK} {timeout} : udp sport }}\n"
        )
    if kind == "full-cone":
        maps += f"  map into {{ type inet_service : ipv4_addr . inet_service; {keep} }}\n"
        pre = '    iifname "wan" ip protocol udp dnat ip to udp dport map @into\n'
        learn += (
            f"{_FIRST} @into {{ ct reply proto-dst {timeout} : {_INNER} }}\n"
            f"{_BACK} @into {{ udp sport {timeout} : {_INNER_BACK} }}\n"
        )
    elif kind == "address-restricted":
        maps += (
            f"  map into {{ type ipv4_addr . inet_service : ipv4_addr . inet_service; {keep} }}\n"
        )
        pre = '    iifname "wan" ip protocol udp dnat ip to ip saddr . udp dport map @into\n'
        learn += (
            f"{_FIRST} @into {{ ip daddr . ct reply proto-dst {timeout} : {_INNER} }}\n"
            f"{_BACK} @into {{ ip daddr . udp sport {timeout} : {_INNER_BACK} }}\n"
        )
    elif kind == "symmetric":
        post = _RANDOM
    elif kind == "dmz":
        pre = f'    iifname "wan" ip protocol {{ tcp, udp }} dnat to {exposed}\n'
    elif kind == "blocked":
        forward = '    iifname "wan" ip protocol udp drop\n'
    if hops:
        forward = f'    oifname "wan" ip ttl < {hops} drop\n' + forward
    parts = {"maps": maps, "forward": forward, "pre": pre, "learn": learn}
    return _RULES % {**parts, "post": post + _MASQUERADE}

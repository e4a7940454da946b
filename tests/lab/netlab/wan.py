"""A public segment with plain hosts, and households behind NAT routers."""

import contextlib
from collections.abc import Sequence
from typing import Literal

from .home import PUBLIC_PREFIX, Home
from .host import Host
from .lab import Card, Lab
from .nat import DOUBLE, NAT_KINDS, nat_rules
from .segment import HasLinks, Segment

Shared = Literal["home", "carrier"]

UDP_TIMEOUT = 120
"""# TUNING seconds a learned mapping lives unless a test says otherwise, as the kernel's own do."""


class Wan(Lab):
    """An internet, as unkind as the real one.

    nat_a, nat_b: a kind of NAT_KINDS each. homes: instead of those, any number by name.
    public: number of public hosts. hosts_per_home: peers on each home network.
    shared="home": both peers in one household (nat_a counts); shared="carrier": two households
    behind one carrier NAT of kind nat_a, with port-restricted home routers.
    same_subnet: all homes use 192.168.1.0/24 and so equal private addresses, as real homes do.
    preserve_ports: routers keep the inner port when they can. udp_timeout: seconds after which an
    idle UDP mapping dies (else 30 unanswered, 120 answered). hops: packets sent with a smaller TTL
    die at the home router (0: off). No router does hairpinning or UPnP; there is no IPv6.
    """

    needs = ("namespaces", "veth", "bridge", "partition", "nat")
    internet: Segment
    public: list[Host]

    def __init__(
        self,
        nat_a: str = "port-restricted",
        nat_b: str = "port-restricted",
        *,
        homes: dict[str, str] | None = None,
        public: int = 4,
        hosts_per_home: int = 1,
        shared: Shared | None = None,
        same_subnet: bool = True,
        preserve_ports: bool = False,
        udp_timeout: int | None = None,
        hops: int = 10,
    ) -> None:
        super().__init__()
        kinds = homes or ({"a": nat_a} if shared == "home" else {"a": nat_a, "b": nat_b})
        for kind in kinds.values():
            if kind not in NAT_KINDS:
                raise ValueError(f"unknown NAT kind {kind!r}, know: {', '.join(NAT_KINDS)}")
        if shared == "carrier" and kinds["a"] in ("open", "dmz", *DOUBLE):
            raise ValueError("a shared carrier NAT is a cone, restricted, symmetric or blocked")
        self._kinds, self._public_count, self._shared = dict(kinds), public, shared
        self._per_home = max(2, hosts_per_home) if shared == "home" else hosts_per_home
        self._same_subnet, self._preserve_ports = same_subnet, preserve_ports
        self._udp_timeout, self._hops = udp_timeout, hops
        self._given: dict[int, int] = {}
        self._rules: dict[Host, str] = {}
        self._cards: list[Card] = []
        self.homes: dict[str, Home] = {}

    @property
    def home_a(self) -> Home:
        """The first household."""
        return self.homes["a"]

    @property
    def home_b(self) -> Home:
        """The second household; the first if both peers live there."""
        return self.homes["a" if self._shared == "home" else "b"]

    @property
    def a(self) -> Host:
        """The peer in the first household."""
        return self.home_a.hosts[0]

    @property
    def b(self) -> Host:
        """The other peer."""
        return self.home_b.hosts[1 if self._shared == "home" else 0]

    def partition(self, *groups: Sequence[HasLinks]) -> contextlib.AbstractContextManager[None]:
        """Split the internet inside the block; homes count with everything behind them."""
        return self.internet.partition(*groups)

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        self.internet = self.add_segment("internet")
        self._new_hosts(self._host_names(), ipv6=False)
        self.public = [self[f"pub{i}"] for i in range(1, self._public_count + 1)]
        self._cards = [self._public_card(host, "eth0", 1) for host in self.public]
        routers: list[tuple[Host, str, str | None, int]] = []
        carrier_segment: Segment | None = None
        if self._shared == "carrier":
            carrier_segment = self.add_segment("carrier")
            carrier = self["carrier"]
            self._cards += [
                self._public_card(carrier, "wan", 60),
                Card(carrier, carrier_segment, "lan", "100.64.0.1/24"),
            ]
            routers.append((carrier, self._kinds["a"], None, self._hops))
        for number, (name, kind) in enumerate(self._kinds.items()):
            home = self.homes[name] = Home(name, kind, self._rules, self._next_public)
            home.hosts = [self[self._peer_name(name, i)] for i in range(self._per_home)]
            if kind == "open":
                home.segment = self.internet
                self._cards += [self._public_card(host, "eth0", 30) for host in home.hosts]
                continue
            routers += self._build_home(home, number, carrier_segment)
        self._plug(self._cards)
        for router, kind, exposed, hops in routers:
            self._configure(router, kind, exposed, hops)

    def _build_home(
        self, home: Home, number: int, carrier_segment: Segment | None
    ) -> list[tuple[Host, str, str | None, int]]:
        """Cards of one household behind a router; returns its routers and their kinds."""
        routers: list[tuple[Host, str, str | None, int]] = []
        router = home.router = self[f"router-{home.name}"]
        segment = home.segment = self.add_segment(f"home-{home.name}")
        net = f"192.168.{1 if self._same_subnet else number + 1}"
        inner = home.nat
        if carrier_segment is not None:
            home.carrier, inner = self["carrier"], "port-restricted"
            outside = f"100.64.0.{10 + number}/24"
            self._cards.append(Card(router, carrier_segment, "wan", outside, "100.64.0.1"))
        elif home.nat in DOUBLE:
            inner, outer = DOUBLE[home.nat]
            home.carrier = self[f"carrier-{home.name}"]
            middle = self.add_segment(f"carrier-{home.name}")
            gateway = f"100.64.{number}.1"
            self._cards += [
                self._public_card(home.carrier, "wan", 60),
                Card(home.carrier, middle, "lan", f"{gateway}/24"),
                Card(router, middle, "wan", f"100.64.{number}.10/24", gateway),
            ]
            routers.append((home.carrier, outer, None, self._hops))
        else:
            self._cards.append(self._public_card(router, "wan", 30))
        self._cards.append(Card(router, segment, "lan", f"{net}.1/24"))
        self._cards += [
            Card(host, segment, "eth0", f"{net}.{10 + i}/24", f"{net}.1")
            for i, host in enumerate(home.hosts)
        ]
        routers.append((router, inner, f"{net}.10", 0 if home.carrier else self._hops))
        return routers

    def _configure(self, router: Host, kind: str, exposed: str | None, hops: int) -> None:
        self._rules[router] = nat_rules(
            kind,
            exposed=exposed,
            preserve_ports=self._preserve_ports,
            udp_timeout=self._udp_timeout or UDP_TIMEOUT,
            hops=hops,
        )
        router.nft(self._rules[router])
        knobs = {"net.ipv4.ip_forward": 1}
        if self._udp_timeout:
            knobs["net.netfilter.nf_conntrack_udp_timeout"] = self._udp_timeout
            knobs["net.netfilter.nf_conntrack_udp_timeout_stream"] = self._udp_timeout
        router.sysctl(knobs)

    def _host_names(self) -> list[str]:
        names = [f"pub{i}" for i in range(1, self._public_count + 1)]
        for name, kind in self._kinds.items():
            names += [self._peer_name(name, i) for i in range(self._per_home)]
            if kind != "open":
                names.append(f"router-{name}")
            if kind in DOUBLE and self._shared != "carrier":
                names.append(f"carrier-{name}")
        return [*names, *(["carrier"] if self._shared == "carrier" else [])]

    def _peer_name(self, home: str, i: int) -> str:
        return home if i == 0 else f"{home}{i + 1}"

    def _next_public(self, block: int) -> str:
        n = self._given[block] = self._given.get(block, 0) + 1
        return f"44.128.{block + n // 250}.{1 + n % 250}"

    def _public_card(self, host: Host, device: str, block: int) -> Card:
        return Card(host, self.internet, device, f"{self._next_public(block)}/{PUBLIC_PREFIX}")

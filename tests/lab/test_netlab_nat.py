"""The lab's routers behave as the kinds of NAT they are named after."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.lab.netlab import NAT_KINDS, Home, Host, Wan, classify_nat
from tests.lab.packets import ping

pytestmark = pytest.mark.lab

OPEN, STRICT = "endpoint-independent", "address-and-port-dependent"
EXPECTED: dict[str, tuple[str | None, str, bool | None, bool]] = {
    # kind: mapping, filtering, port kept, unsolicited packets arrive
    "open": ("none", OPEN, True, True),
    "dmz": (OPEN, OPEN, True, True),
    "full-cone": (OPEN, OPEN, False, False),
    "address-restricted": (OPEN, "address-dependent", False, False),
    "port-restricted": (OPEN, STRICT, False, False),
    "symmetric": (STRICT, STRICT, False, False),
    "double": (OPEN, STRICT, False, False),
    "double-symmetric": (STRICT, STRICT, False, False),
    "blocked": (None, "everything", None, False),
}


@pytest.fixture(scope="module")
def every_kind() -> Iterator[dict[str, tuple[Wan, Home]]]:
    with Wan(homes={f"k{i}": kind for i, kind in enumerate(NAT_KINDS)}, public=3) as wan:
        yield {home.nat: (wan, home) for home in wan.homes.values()}


@pytest.mark.parametrize("kind", NAT_KINDS)
def test_a_kind_of_nat_measures_as_it_is_named(
    every_kind: dict[str, tuple[Wan, Home]], kind: str
) -> None:
    wan, home = every_kind[kind]
    report = classify_nat(home.hosts[0], wan.public)
    mapping, filtering, kept, unsolicited = EXPECTED[kind]
    assert report.outbound
    assert report.filtering == filtering
    assert mapping in (None, report.mapping)
    assert kept in (None, report.port_preserved)
    assert report.unsolicited == unsolicited
    assert {seen[0] for seen in report.mapped if seen} == {home.public_address}
    assert kind == "open" or report.local[0] == "192.168.1.10"


def test_a_router_can_keep_ports() -> None:
    with Wan("full-cone", "port-restricted", public=3, preserve_ports=True) as wan:
        for peer, filtering in ((wan.a, OPEN), (wan.b, STRICT)):
            report = classify_nat(peer, wan.public)
            assert report.port_preserved
            assert (report.mapping, report.filtering) == (OPEN, filtering)


@pytest.mark.parametrize(
    ("kind", "meets"),
    [("port-restricted", True), ("address-restricted", True), ("symmetric", False)],
)
def test_hole_punching_by_sending_first_needs_a_stable_port(kind: str, meets: bool) -> None:
    with (
        Wan(kind, "port-restricted", public=1) as wan,
        wan.a.socket() as a,
        wan.b.socket() as b,
        bound(wan.public[0]) as stun,
    ):
        mapped = []
        for sock in (a, b):
            sock.settimeout(0.5)
            sock.sendto(b"?", stun.getsockname())
            mapped.append(stun.recvfrom(100)[1])
        for _ in range(3):
            a.sendto(b"punch", mapped[1])
            b.sendto(b"punch", mapped[0])
        assert (received(a) and received(b)) == meets


def test_a_probe_with_a_low_ttl_dies_on_the_way() -> None:
    with (
        Wan("port-restricted", "open", public=1) as wan,
        wan.a.socket() as a,
        bound(wan.public[0]) as public,
    ):
        public.settimeout(0.4)
        a.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 5)
        a.sendto(b"low", public.getsockname())
        assert not received(public)
        a.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
        a.sendto(b"high", public.getsockname())
        assert received(public)


def test_a_mapping_expires_is_forgotten_and_moves_with_the_address() -> None:
    with Wan("full-cone", "port-restricted", public=1, udp_timeout=2) as wan:
        for peer, home in ((wan.a, wan.home_a), (wan.b, wan.home_b)):
            with bound(wan.public[0]) as stun, peer.socket() as sock:
                first = seen(sock, stun)
                assert seen(sock, stun) == first
                time.sleep(3.5)
                second = seen(sock, stun)
                assert second != first, "the mapping outlived its timeout"
                home.flush_nat()
                third = seen(sock, stun)
                assert third != second, "the mapping survived a flush"
                old = home.public_address
                new = home.change_public_address()
                assert seen(sock, stun)[0] == new != old


def test_a_router_that_restarts_forgets_its_mappings() -> None:
    with Wan("double", "open", public=1) as wan:
        with bound(wan.public[0]) as stun, wan.a.socket() as sock:
            before = seen(sock, stun)
            wan.home_a.reboot_router(0.2)
            after = seen(sock, stun)
            assert before[0] == after[0] == wan.home_a.public_address
            assert before[1] != after[1]
        with wan.partition([wan.home_a], [wan.public[0]]):
            assert not ping(wan.a, wan.public[0], 0.3)
            assert ping(wan.b, wan.public[0])
        assert ping(wan.a, wan.public[0])


def test_tcp_passes_even_where_udp_is_blocked() -> None:
    with (
        Wan("blocked", "symmetric", public=1) as wan,
        wan.public[0].socket(kind=socket.SOCK_STREAM) as server,
    ):
        server.bind((wan.public[0].address, 0))
        server.listen()
        server.settimeout(3)
        for peer in (wan.a, wan.b):
            with peer.socket(kind=socket.SOCK_STREAM) as client:
                client.settimeout(3)
                client.connect(server.getsockname())
                server.accept()[0].close()


def test_two_peers_can_share_a_home_or_a_carrier() -> None:
    with Wan("symmetric", shared="home", public=1) as wan:
        assert wan.home_a is wan.home_b
        assert ping(wan.a, wan.b)
    with Wan("port-restricted", shared="carrier", public=3) as wan:
        assert wan.home_a.public_address == wan.home_b.public_address
        assert classify_nat(wan.a, wan.public).mapping == OPEN


def bound(host: Host) -> socket.socket:
    sock = host.socket()
    sock.bind((host.address, 0))
    sock.settimeout(2)
    return sock


def received(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(100))
    except TimeoutError:
        return False


def seen(sock: socket.socket, stun: socket.socket) -> tuple[str, int]:
    sock.sendto(b"?", stun.getsockname())
    host, port = stun.recvfrom(100)[1]
    return host, port

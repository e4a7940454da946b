from ipaddress import ip_address

import pytest

from pearbox_edge.lan.interfaces import OwnAddress
from pearbox_edge.lan.peers import (
    GRACE,
    MAX_CANDIDATES,
    MAX_PEERS_PER_LABEL,
    HostAddress,
    LanPeer,
    PeerTable,
    Service,
    candidates,
)

OWN = (
    OwnAddress("eth0", 2, ip_address("192.168.1.5"), 24),
    OwnAddress("eth0", 2, ip_address("fe80::5"), 64),
    OwnAddress("br0", 4, ip_address("172.17.0.1"), 16),
)


def hosts(
    *texts: str, own: tuple[OwnAddress, ...] = OWN, port: int = 7, scope: int = 2
) -> list[str]:
    addresses = tuple(HostAddress(ip_address(text), scope) for text in texts)
    return [peer.host for peer in candidates(Service("a", "h.local.", port, addresses), own)]


def test_a_near_ipv4_address_comes_first_and_link_local_ipv6_last() -> None:
    told = ["fe80::9", "fd00::9", "169.254.9.9", "10.0.0.9", "192.168.1.9"]
    assert hosts(*told) == ["192.168.1.9", "10.0.0.9", "169.254.9.9", "fd00::9", "fe80::9%eth0"]


def test_an_address_we_have_as_well_comes_last() -> None:
    assert hosts("172.17.0.1", "fe80::9", "10.0.0.9") == ["10.0.0.9", "fe80::9%eth0", "172.17.0.1"]


def test_a_peer_on_our_own_machine_can_be_dialled() -> None:
    assert hosts("192.168.1.5") == ["192.168.1.5"]


def test_a_link_local_ipv6_address_heard_on_no_known_card_is_left_out() -> None:
    assert hosts("fe80::9", scope=0) == []
    assert hosts("fe80::9", scope=9) == []


@pytest.mark.parametrize(
    "told",
    [
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "::",
        "224.0.0.251",
        "ff02::fb",
        "255.255.255.255",
        "240.0.0.1",
        "::ffff:127.0.0.1",
        "8.8.8.8",
        "2001:4860:4860::8888",
    ],
)
def test_nobody_can_have_us_dial_ourselves_or_a_host_far_away(told: str) -> None:
    assert hosts(told) == []


def test_a_public_address_on_our_own_network_is_near() -> None:
    own = (OwnAddress("eth0", 2, ip_address("44.128.0.5"), 24),)
    assert hosts("44.128.0.9", "44.128.1.9", own=own) == ["44.128.0.9"]


def test_over_the_loopback_the_loopback_is_dialled() -> None:
    assert hosts("127.0.0.1", own=(OwnAddress("lo", 1, ip_address("127.0.0.1"), 8),)) == [
        "127.0.0.1"
    ]


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_not_dialled(port: int) -> None:
    assert hosts("192.168.1.9", port=port) == []


def test_an_address_told_twice_is_one_candidate_and_there_is_a_cap() -> None:
    assert hosts("192.168.1.9", "192.168.1.9") == ["192.168.1.9"]
    assert len(hosts(*(f"192.168.1.{n}" for n in range(100, 200)))) == MAX_CANDIDATES


A1 = LanPeer("192.168.1.9", 7, "a")
A2 = LanPeer("fe80::9%eth0", 7, "a")
B = LanPeer("192.168.1.8", 7, "b")


def test_a_peer_is_reported_once_with_all_its_places_in_order() -> None:
    table = PeerTable()
    assert table.update({"a": (A1, A2)}, 0).found == (A1, A2)
    change = table.update({"a": (A1, A2)}, 1)
    assert (change.found, change.lost) == ((), ())


def test_a_new_address_is_found_and_the_old_one_lost() -> None:
    table = PeerTable()
    table.update({"a": (A1,)}, 0)
    change = table.update({"a": (A2,)}, 1)
    assert (change.found, change.lost) == ((A2,), (A1,))


def test_a_peer_that_is_gone_is_lost_with_all_its_places() -> None:
    table = PeerTable()
    table.update({"a": (A1, A2), "b": (B,)}, 0)
    assert table.update({"b": (B,)}, 1).lost == (A1, A2)
    assert table.update({}, 1).lost == (B,)


def test_a_peer_without_a_place_to_dial_is_as_good_as_gone() -> None:
    table = PeerTable()
    assert table.update({"a": ()}, 0).found == ()
    table.update({"a": (A1,)}, 1)
    assert table.update({"a": ()}, 2).lost == (A1,)


def test_a_change_of_network_loses_nobody_who_is_heard_again_in_time() -> None:
    table = PeerTable()
    table.update({"a": (A1,), "b": (B,)}, 0)
    table.doubt(100)
    assert table.update({}, 101).lost == ()
    assert table.deadline() == 100 + GRACE
    assert table.update({"a": (A1,)}, 102).found == ()
    assert table.update({"a": (A1,)}, 100 + GRACE).lost == (B,)
    assert table.deadline() is None


def test_a_goodbye_counts_at_once_after_a_change_of_network_too() -> None:
    table = PeerTable()
    table.update({"a": (A1,)}, 0)
    table.doubt(100)
    table.update({"a": (A1,)}, 101)
    assert table.update({}, 102).lost == (A1,)


def test_a_flood_of_peers_stops_at_the_cap_and_pushes_nobody_out() -> None:
    table = PeerTable()
    table.update({"a": (A1,)}, 0)
    flood = {str(n): (LanPeer("192.168.1.7", 7, str(n)),) for n in range(1000)}
    assert len(table.update({**flood, "a": (A1,)}, 1).found) == MAX_PEERS_PER_LABEL - 1
    assert table.update({"a": (A1,)}, 2).lost[0] != A1
    assert table.update({"b": (B,), "a": (A1,)}, 3).found == (B,)

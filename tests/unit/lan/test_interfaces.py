from ipaddress import ip_address

from pearbox_edge.lan.interfaces import (
    IFF_LOOPBACK,
    IFF_MULTICAST,
    IFF_POINTOPOINT,
    IFF_RUNNING,
    IFF_UP,
    Interface,
    OwnAddress,
    choose,
    multicast_choice,
    read_interfaces,
)

LIVE = IFF_UP | IFF_RUNNING
CARD = LIVE | IFF_MULTICAST


def card(name: str, flags: int, *texts: str, index: int = 2) -> Interface:
    addresses = tuple(OwnAddress(name, index, ip_address(text), 24) for text in texts)
    return Interface(name, flags, addresses)


LO = card("lo", LIVE | IFF_LOOPBACK, "127.0.0.1", "::1", index=1)


def chosen(*cards: Interface, wanted: tuple[str, ...] = ()) -> list[str]:
    return [str(address.ip) for address in choose(cards, wanted)]


def test_every_live_card_is_used_and_the_loopback_is_not() -> None:
    cable = card("eth0", CARD, "192.168.1.5", "fe80::1")
    wifi = card("wlan0", CARD, "169.254.3.4", index=3)
    assert chosen(LO, cable, wifi) == ["192.168.1.5", "fe80::1", "169.254.3.4"]


def test_a_card_without_a_cable_is_left_out() -> None:
    assert chosen(LO, card("eth0", IFF_UP | IFF_MULTICAST, "192.168.1.5")) == ["127.0.0.1"]


def test_a_card_that_is_switched_off_is_left_out() -> None:
    assert chosen(LO, card("eth0", IFF_RUNNING | IFF_MULTICAST, "192.168.1.5")) == ["127.0.0.1"]


def test_a_tunnel_is_left_out() -> None:
    tunnel = card("tun0", CARD | IFF_POINTOPOINT, "10.8.0.2")
    wireguard = card("wg0", LIVE, "10.9.0.2")
    cable = card("eth0", CARD, "192.168.1.5")
    assert chosen(LO, tunnel, wireguard, cable) == ["192.168.1.5"]


def test_with_no_lan_the_loopback_remains_over_ipv4() -> None:
    assert chosen(LO) == ["127.0.0.1"]
    assert chosen(LO, card("eth0", CARD)) == ["127.0.0.1"]


def test_with_nothing_at_all_there_is_nothing() -> None:
    assert chosen() == []


def test_named_cards_alone_are_used_even_a_tunnel_or_the_loopback() -> None:
    cable = card("eth0", CARD, "192.168.1.5")
    tunnel = card("tun0", CARD | IFF_POINTOPOINT, "10.8.0.2")
    assert chosen(LO, cable, tunnel, wanted=("tun0",)) == ["10.8.0.2"]
    assert chosen(LO, cable, wanted=("lo",)) == ["127.0.0.1"]


def test_a_named_card_that_is_not_there_is_waited_for() -> None:
    assert chosen(LO, card("eth0", CARD, "192.168.1.5"), wanted=("usb0",)) == []


def test_multicast_takes_one_ipv4_address_a_card_and_ipv6_by_index() -> None:
    cable = card("eth0", CARD, "192.168.1.5", "192.168.1.6", "fe80::1", "fd00::1", index=2)
    wifi = card("wlan0", CARD, "fe80::2", index=3)
    assert multicast_choice(choose([cable, wifi])) == ["192.168.1.5", 2, 3]


def test_the_kernel_tells_of_the_loopback() -> None:
    loopback = next(each for each in read_interfaces() if each.flags & IFF_LOOPBACK)
    assert loopback.flags & IFF_UP
    assert ip_address("127.0.0.1") in {address.ip for address in loopback.addresses}

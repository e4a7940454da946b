import pytest

from pearbox_edge.net.dht.addresses import (
    best_match,
    is_bogon,
    is_dialable,
    is_private,
    is_reserved,
)
from pearbox_edge.wire import Address


def test_private_reserved_and_public_addresses_are_told_apart() -> None:
    assert is_private("192.168.1.1") and not is_reserved("192.168.1.1")
    assert is_reserved("203.0.113.7") and not is_private("203.0.113.7")
    assert is_bogon("10.1.1.1") and is_bogon("0.0.0.0") and not is_bogon("9.9.9.9")


def test_text_that_is_no_ipv4_address_is_of_no_kind() -> None:
    assert not is_bogon("localhost") and not is_bogon("::1")


@pytest.mark.parametrize(
    ("host", "port", "dialable"),
    [
        ("10.0.0.1", 1, True),
        ("127.0.0.1", 65535, True),
        ("10.0.0.1", 0, False),
        ("0.0.0.0", 5, False),
        ("224.0.0.1", 5, False),
        ("255.255.255.255", 5, False),
        ("::1", 5, False),
        ("", 5, False),
    ],
)
def test_only_single_machines_are_dialled(host: str, port: int, dialable: bool) -> None:
    assert is_dialable(Address(host, port)) == dialable


def test_the_address_on_our_own_network_is_the_best() -> None:
    theirs = [Address("10.0.0.1", 1), Address("192.168.7.7", 2), Address("192.168.1.9", 3)]
    assert best_match(["192.168.1.5"], theirs) == theirs[2]
    assert best_match(["192.168.2.5"], theirs) == theirs[1]
    assert best_match(["172.16.0.1"], theirs) is None
    assert best_match([], theirs) is None

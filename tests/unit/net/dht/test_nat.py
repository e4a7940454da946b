from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.net.dht.messages import Firewall
from pearbox_edge.net.dht.nat import MAX_SAMPLES, NatClassifier
from pearbox_edge.wire import Address

ONE, TWO = "8.8.8.8", "9.9.9.9"


def classify(*seen: tuple[str, int], firewalled: bool = True) -> NatClassifier:
    nat = NatClassifier(firewalled=firewalled)
    for number, (host, port) in enumerate(seen):
        nat.add(Address(host, port), Address("10.0.0.1", number + 1))
    return nat


def test_nothing_is_said_before_three_nodes_have_answered() -> None:
    nat = classify((ONE, 1), (ONE, 1))
    assert nat.firewall == Firewall.UNKNOWN and nat.addresses is None


def test_the_same_address_three_times_is_consistent() -> None:
    nat = classify((ONE, 2), (ONE, 1), (ONE, 1), (ONE, 1))
    assert nat.firewall == Firewall.CONSISTENT
    assert nat.addresses == (Address(ONE, 1), Address(ONE, 2))


def test_another_port_for_everybody_is_random() -> None:
    nat = classify((ONE, 1), (ONE, 2), (ONE, 3))
    assert nat.firewall == Firewall.RANDOM and nat.addresses == (Address(ONE, 0),)


def test_two_public_addresses_each_seen_twice_are_consistent() -> None:
    nat = classify((ONE, 1), (TWO, 2), (ONE, 1), (TWO, 2))
    assert nat.firewall == Firewall.CONSISTENT
    assert nat.addresses == (Address(ONE, 1), Address(TWO, 2))


def test_a_node_counts_once() -> None:
    nat = NatClassifier(firewalled=True)
    for _ in range(5):
        nat.add(Address(ONE, 1), Address("10.0.0.1", 1))
    assert nat.samples == 1 and nat.firewall == Firewall.UNKNOWN


def test_an_open_node_is_open_whatever_is_seen() -> None:
    nat = classify((ONE, 1), (ONE, 2), (ONE, 3), firewalled=False)
    assert nat.firewall == Firewall.OPEN and nat.addresses is None


@given(st.lists(st.tuples(st.sampled_from([ONE, TWO]), st.integers(1, 4)), max_size=80))
def test_samples_are_capped_and_addresses_are_among_them(seen: list[tuple[str, int]]) -> None:
    nat = classify(*seen)
    assert nat.samples == min(len(seen), MAX_SAMPLES)
    for address in nat.addresses or ():
        assert address.port == 0 or tuple(address) in seen

import pytest

from pearbox_edge.ids import PublicKey
from pearbox_edge.net.dht.handshake import Agreement
from pearbox_edge.net.dht.messages import Firewall
from pearbox_edge.net.dht.paths import Direct, Lan, Passive, Path, Reached, choose_path
from pearbox_edge.net.dht.payloads import HolepunchInfo, NoisePayload, RelayInfo
from pearbox_edge.net.noise import SessionKeys
from pearbox_edge.wire import Address

KEYS = SessionKeys(True, bytes(32), bytes(32), bytes(64), PublicKey(bytes(32)))
RELAY = Address("9.9.9.1", 1)
SERVER = Address("8.8.8.2", 2)
CLIENT = Address("8.8.8.3", 3)
PUBLIC = Address("8.8.4.4", 4)
LOCAL = Address("192.168.1.9", 5)
FAR = Address("10.0.0.9", 6)
RESERVED = Address("203.0.113.1", 7)
PUNCHING = HolepunchInfo(0, (RelayInfo(RELAY, SERVER),))


def choose(
    *addresses: Address,
    firewall: Firewall = Firewall.UNKNOWN,
    holepunch: HolepunchInfo | None = PUNCHING,
    client: Address = CLIENT,
    server: Address = SERVER,
    relayed: bool = True,
    is_open: bool = False,
    lan: bool = True,
) -> Path | None:
    remote = NoisePayload(firewall=firewall, holepunch=holepunch, addresses4=addresses)
    agreement = Agreement(KEYS, remote, bytes(32))
    reached = Reached(agreement, 1, RELAY, server, client, relayed, 1)
    return choose_path(reached, is_open=is_open, local_hosts=["192.168.1.5"], lan=lan)


def test_a_server_that_was_asked_itself_is_sent_to_on_the_same_socket() -> None:
    assert choose(relayed=False) == Direct(RELAY, 1)


def test_an_open_server_is_sent_to_at_its_public_address() -> None:
    assert choose(LOCAL, PUBLIC, firewall=Firewall.OPEN) == Direct(PUBLIC)
    assert choose(LOCAL, firewall=Firewall.OPEN) == Direct(SERVER)


def test_a_server_that_does_not_punch_is_sent_to_where_the_relay_sees_it() -> None:
    assert choose(holepunch=None) == Direct(SERVER)
    assert choose(holepunch=HolepunchInfo(0)) == Direct(SERVER)


@pytest.mark.parametrize("bad", [Address("224.0.0.1", 5), Address("9.9.9.9", 0)])
def test_nobody_makes_us_send_to_what_is_no_machine(bad: Address) -> None:
    assert choose(firewall=Firewall.OPEN, server=bad) is None


def test_an_open_client_waits() -> None:
    assert choose(is_open=True) == Passive()


def test_behind_the_same_address_the_nearest_local_one_is_tried() -> None:
    same = Address(SERVER.host, 3)
    assert choose(FAR, LOCAL, client=same) == Lan(LOCAL)
    assert choose(FAR, client=same) == Lan(FAR)
    assert choose(RESERVED, client=same) is None
    assert choose(LOCAL, client=same, lan=False) is None


def test_two_firewalls_in_different_places_leave_no_way() -> None:
    assert choose(LOCAL) is None

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.net.dht.handshake import HolepunchBox, PeerHandshake
from pearbox_edge.net.dht.payloads import HolepunchPayload, NoisePayload, UdxInfo
from tests.kit.dht import HOLEPUNCH_PAYLOADS, value_or_peer_error

CLIENT = KeyPair.from_seed(bytes(31) + b"c")
SERVER = KeyPair.from_seed(bytes(31) + b"s")
FROM_CLIENT = NoisePayload(udx=UdxInfo(1))
FROM_SERVER = NoisePayload(udx=UdxInfo(2))


def seeded(seed: int) -> Callable[[int], bytes]:
    numbers = count(seed * 1000)
    return lambda size: next(numbers).to_bytes(size, "big")


def pair() -> tuple[PeerHandshake, PeerHandshake]:
    client = PeerHandshake(CLIENT, seeded(1), SERVER.public_key)
    return client, PeerHandshake(SERVER, seeded(2))


def test_both_sides_agree_and_know_who_is_there_and_what_they_said() -> None:
    client, server = pair()
    assert server.read(client.write(FROM_CLIENT)) == FROM_CLIENT
    assert server.remote_public_key == CLIENT.public_key
    assert client.read(server.write(FROM_SERVER)) == FROM_SERVER
    one, two = client.agreement(), server.agreement()
    assert one.keys.tx == two.keys.rx and one.keys.rx == two.keys.tx
    assert one.holepunch_secret == two.holepunch_secret
    assert one.remote == FROM_SERVER and two.remote == FROM_CLIENT
    assert one.keys.is_initiator and not two.keys.is_initiator


def test_a_message_for_another_server_or_a_changed_one_is_a_peer_error() -> None:
    client, server = pair()
    message = client.write(FROM_CLIENT)
    with pytest.raises(PeerError):
        PeerHandshake(CLIENT, seeded(3)).read(message)
    with pytest.raises(PeerError):
        server.read(message[:-1] + bytes((message[-1] ^ 1,)))


@given(st.binary(max_size=200))
def test_any_bytes_as_message_1_are_a_peer_error(data: bytes) -> None:
    assert not value_or_peer_error(pair()[1].read, data)


def test_before_its_end_a_handshake_has_no_outcome() -> None:
    client, server = pair()
    with pytest.raises(UsageError):
        _ = server.remote_public_key
    with pytest.raises(UsageError):
        client.agreement()


@given(HOLEPUNCH_PAYLOADS)
def test_a_box_opens_at_the_other_end_alone(payload: HolepunchPayload) -> None:
    box = HolepunchBox(bytes(32), seeded(1)).seal(payload)
    assert HolepunchBox(bytes(32), seeded(2)).open(box) == payload
    assert not value_or_peer_error(HolepunchBox(bytes(31) + b"x", seeded(2)).open, box)


@given(st.binary(max_size=100), st.data())
def test_any_bytes_and_cut_boxes_are_peer_errors(noise: bytes, data: st.DataObject) -> None:
    end = HolepunchBox(bytes(32), seeded(1))
    box = end.seal(HolepunchPayload())
    assert not value_or_peer_error(end.open, noise)
    assert not value_or_peer_error(end.open, box[: data.draw(st.integers(0, len(box) - 1))])


def test_a_token_is_for_one_host_and_one_connection() -> None:
    one, two = HolepunchBox(bytes(32), seeded(1)), HolepunchBox(bytes(32), seeded(2))
    assert one.token("10.0.0.1") == one.token("10.0.0.1")
    assert one.token("10.0.0.1") != one.token("10.0.0.2")
    assert one.token("10.0.0.1") != two.token("10.0.0.1")

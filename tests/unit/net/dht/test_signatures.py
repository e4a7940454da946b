from dataclasses import replace

from pearbox_edge.crypto import KeyPair
from pearbox_edge.ids import NodeId, PublicKey
from pearbox_edge.net.dht.messages import Announcement
from pearbox_edge.net.dht.signatures import (
    ANNOUNCE_TAG,
    UNANNOUNCE_TAG,
    is_announcement_signed,
    is_mutable_signed,
    sign_announcement,
    sign_mutable,
    target_for,
)
from pearbox_edge.wire import Address
from tests.kit.dht import NODE, TOKEN

KEY_PAIR = KeyPair.from_seed(bytes(32))
TARGET = bytes(range(32))


def signed(refresh: bytes | None = None) -> Announcement:
    relays = (Address("1.2.3.4", 5),)
    return sign_announcement(
        ANNOUNCE_TAG, TARGET, TOKEN, NODE, KEY_PAIR, relay_addresses=relays, refresh=refresh
    )


def is_good(
    announcement: Announcement,
    *,
    tag: bytes = ANNOUNCE_TAG,
    target: bytes = TARGET,
    token: bytes = TOKEN,
    node: NodeId = NODE,
) -> bool:
    return is_announcement_signed(tag, target, token, node, announcement)


def test_an_announcement_is_good_for_its_topic_token_and_node_alone() -> None:
    announcement = signed()
    assert is_good(announcement)
    assert not is_good(announcement, target=bytes(32))
    assert not is_good(announcement, token=bytes(32))
    assert not is_good(announcement, node=NodeId(bytes(32)))


def test_an_announcement_cannot_be_used_to_unannounce() -> None:
    assert not is_good(signed(), tag=UNANNOUNCE_TAG)


def test_an_announcement_with_other_relays_or_refresh_is_forged() -> None:
    announcement = signed(bytes(32))
    assert announcement.peer is not None
    assert is_good(announcement)
    assert not is_good(replace(announcement, peer=replace(announcement.peer, relay_addresses=())))
    assert not is_good(replace(announcement, refresh=None))


def test_without_a_peer_or_a_signature_nothing_is_signed() -> None:
    assert not is_good(replace(signed(), signature=None))
    assert not is_good(replace(signed(), peer=None))


def test_a_mutable_value_is_its_owners_with_this_seq_alone() -> None:
    value = sign_mutable(4, b"hello", KEY_PAIR)
    assert is_mutable_signed(value, KEY_PAIR.public_key)
    assert not is_mutable_signed(replace(value, seq=5), KEY_PAIR.public_key)
    assert not is_mutable_signed(replace(value, value=b"hallo"), KEY_PAIR.public_key)
    assert not is_mutable_signed(value, PublicKey(bytes(32)))


def test_a_machine_is_found_by_the_hash_of_its_key() -> None:
    assert len(target_for(KEY_PAIR.public_key)) == 32
    assert target_for(KEY_PAIR.public_key) != KEY_PAIR.public_key

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair, hash_bytes
from pearbox_edge.errors import PeerError
from pearbox_edge.net.dht.answers import BARE, Answer, Refusal, Value
from pearbox_edge.net.dht.messages import (
    Announcement,
    Command,
    LookupAnswer,
    MutableValue,
    PeerRecord,
    decode_lookup_answer,
    decode_mutable,
    decode_peer,
    encode_announcement,
    encode_mutable_put,
    encode_seq,
)
from pearbox_edge.net.dht.router import Router
from pearbox_edge.net.dht.signatures import (
    ANNOUNCE_TAG,
    UNANNOUNCE_TAG,
    sign_announcement,
    sign_mutable,
    target_for,
)
from pearbox_edge.net.dht.storing import MAX_STORED_VALUE, StoringNode
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address
from tests.kit.dht import ASKER, NODE, TOKEN, question

ALICE = KeyPair.from_seed(bytes(31) + b"a")
BOB = KeyPair.from_seed(bytes(31) + b"b")
TOPIC = bytes(range(32))
RELAYS = tuple(Address("9.9.9.9", port) for port in range(1, 6))
WALL = 1_700_000_000.0


class Node:
    """A storing node and its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.router = Router()
        self.store = StoringNode(self.router, bytes)

    def ask(self, request: IncomingRequest) -> Answer | None:
        return self.store.answer(request, NODE, self.now, WALL)

    def announce(
        self,
        key_pair: KeyPair,
        topic: bytes = TOPIC,
        *,
        relays: tuple[Address, ...] = (),
        refresh: bytes | None = None,
        bump: int = 0,
        token: bytes | None = TOKEN,
    ) -> Answer | None:
        announcement = sign_announcement(
            ANNOUNCE_TAG,
            topic,
            TOKEN,
            NODE,
            key_pair,
            relay_addresses=relays,
            refresh=refresh,
            bump=bump,
        )
        value = encode_announcement(announcement)
        return self.ask(question(Command.ANNOUNCE, topic, value, token))

    def unannounce(self, key_pair: KeyPair, topic: bytes, tag: bytes) -> Answer | None:
        value = encode_announcement(sign_announcement(tag, topic, TOKEN, NODE, key_pair))
        return self.ask(question(Command.UNANNOUNCE, topic, value))

    def lookup(self, topic: bytes = TOPIC) -> LookupAnswer | None:
        answer = self.ask(question(Command.LOOKUP, topic, token=None))
        assert isinstance(answer, Value) and answer.token and answer.closer
        return None if answer.value is None else decode_lookup_answer(answer.value)

    def find_peer(self, key_pair: KeyPair) -> PeerRecord | None:
        target = target_for(key_pair.public_key)
        answer = self.ask(question(Command.FIND_PEER, target, token=None))
        assert isinstance(answer, Value)
        return None if answer.value is None else decode_peer(answer.value)

    def put(self, value: MutableValue, key_pair: KeyPair = ALICE) -> Answer | None:
        target = target_for(key_pair.public_key)
        data = encode_mutable_put(key_pair.public_key, value)
        return self.ask(question(Command.MUTABLE_PUT, target, data))

    def get(self, seq: int = 0) -> MutableValue | None:
        target = target_for(ALICE.public_key)
        answer = self.ask(question(Command.MUTABLE_GET, target, encode_seq(seq), token=None))
        assert isinstance(answer, Value)
        return None if answer.value is None else decode_mutable(answer.value)


def test_who_announces_is_listed_with_three_relays_at_most() -> None:
    node = Node()
    assert node.lookup() is None
    assert node.announce(ALICE, relays=RELAYS) == BARE
    assert node.lookup() == LookupAnswer((PeerRecord(ALICE.public_key, RELAYS[:3]),))


def test_who_announces_its_own_key_gets_a_route_and_no_entry() -> None:
    node = Node()
    target = target_for(ALICE.public_key)
    node.announce(ALICE, target, relays=RELAYS[:1])
    route = node.router.get(target, 0.0)
    assert route is not None and route.relay == ASKER
    assert node.find_peer(ALICE) == PeerRecord(ALICE.public_key, RELAYS[:1])
    assert node.store.counters()["records"] == 0
    assert node.lookup(target) == LookupAnswer((PeerRecord(ALICE.public_key, RELAYS[:1]),))


def test_under_anothers_key_a_machine_is_only_listed() -> None:
    node = Node()
    node.announce(BOB, target_for(ALICE.public_key))
    assert node.find_peer(ALICE) is None
    listed = node.lookup(target_for(ALICE.public_key))
    assert listed is not None and listed.peers[0].public_key == BOB.public_key


def test_an_announcement_ends_after_twenty_minutes() -> None:
    node = Node()
    node.announce(ALICE)
    node.announce(ALICE, target_for(ALICE.public_key))
    node.now = 20 * 60 - 1
    assert node.lookup() is not None and node.find_peer(ALICE) is not None
    node.now = 20 * 60
    assert node.lookup() is None and node.find_peer(ALICE) is None


def test_without_a_token_nothing_is_stored() -> None:
    node = Node()
    assert node.announce(ALICE, token=None) is None
    assert node.ask(question(Command.IMMUTABLE_PUT, hash_bytes(b"x"), b"x", None)) is None
    assert sum(node.store.counters().values()) == 0


def test_a_forged_announcement_gets_silence() -> None:
    node = Node()
    good = sign_announcement(ANNOUNCE_TAG, TOPIC, TOKEN, NODE, ALICE)
    forged = replace(good, peer=PeerRecord(BOB.public_key))
    for bad in (forged, replace(good, signature=None), Announcement(None)):
        assert node.ask(question(Command.ANNOUNCE, TOPIC, encode_announcement(bad))) is None
    assert node.ask(question(Command.ANNOUNCE, bytes(32), encode_announcement(good))) is None
    assert node.lookup() is None


def test_only_the_machine_itself_takes_itself_off() -> None:
    node = Node()
    target = target_for(ALICE.public_key)
    node.announce(ALICE)
    node.announce(ALICE, target)
    assert node.unannounce(ALICE, TOPIC, ANNOUNCE_TAG) is None
    assert node.unannounce(BOB, TOPIC, UNANNOUNCE_TAG) == BARE
    assert node.unannounce(BOB, target, UNANNOUNCE_TAG) == BARE
    assert node.lookup() is not None and node.find_peer(ALICE) is not None
    assert node.unannounce(ALICE, TOPIC, UNANNOUNCE_TAG) == BARE
    assert node.unannounce(ALICE, target, UNANNOUNCE_TAG) == BARE
    assert node.lookup() is None and node.find_peer(ALICE) is None


def test_who_knows_the_preimage_repeats_an_announcement_once() -> None:
    node = Node()
    first = bytes(31) + b"1"
    second = hash_bytes(first)
    node.announce(ALICE, refresh=hash_bytes(second))
    node.now = 15 * 60

    def refresh(preimage: bytes) -> Answer | None:
        value = encode_announcement(Announcement(None, preimage))
        return node.ask(question(Command.ANNOUNCE, TOPIC, value))

    assert refresh(first) is None
    assert refresh(second) == BARE
    assert refresh(second) is None
    node.now = 30 * 60
    assert node.lookup() is not None
    assert refresh(first) == BARE


def test_a_refreshed_route_leads_to_who_refreshed_it() -> None:
    node = Node()
    target = target_for(ALICE.public_key)
    node.announce(ALICE, target, refresh=hash_bytes(bytes(32)))
    other = Address("10.0.0.77", 77)
    value = encode_announcement(Announcement(None, bytes(32)))
    assert node.ask(question(Command.ANNOUNCE, target, value, sender=other)) == BARE
    route = node.router.get(target, 0.0)
    assert route is not None and route.relay == other


def test_a_bump_grows_and_is_not_far_ahead_of_our_clock() -> None:
    node = Node()

    def bump_after(milliseconds: int) -> int:
        node.announce(ALICE, bump=milliseconds)
        found = node.lookup()
        assert found is not None
        return found.bump

    now = int(WALL * 1000)
    assert bump_after(now) == now
    assert bump_after(now - 1) == now
    assert bump_after(now + 60_001) == now
    assert bump_after(now + 60_000) == now + 60_000


def test_a_lookup_names_twenty_of_many() -> None:
    node = Node()
    for number in range(30):
        node.announce(KeyPair.from_seed(bytes(31) + bytes((number,))))
    found = node.lookup()
    assert found is not None and len({peer.public_key for peer in found.peers}) == 20


def test_an_immutable_value_is_kept_under_its_hash_alone() -> None:
    node = Node()
    target = hash_bytes(b"value")
    assert node.ask(question(Command.IMMUTABLE_PUT, bytes(32), b"value")) is None
    assert node.ask(question(Command.IMMUTABLE_PUT, target, b"value")) == Value()
    asked = question(Command.IMMUTABLE_GET, target, token=None)
    assert node.ask(asked) == Value(b"value")
    node.now = 48 * 3600.0
    assert node.ask(asked) == Value(None)


def test_a_mutable_value_is_replaced_by_a_higher_seq_alone() -> None:
    node = Node()
    first = sign_mutable(4, b"one", ALICE)
    assert node.put(first) == Value()
    assert node.get() == first and node.get(4) == first and node.get(5) is None
    assert node.put(first) == Value()
    assert node.put(sign_mutable(4, b"two", ALICE)) == Refusal(16)
    assert node.put(sign_mutable(3, b"two", ALICE)) == Refusal(17)
    assert node.get() == first
    second = sign_mutable(5, b"two", ALICE)
    assert node.put(second) == Value() and node.get() == second


def test_a_mutable_value_that_is_not_the_owners_gets_silence() -> None:
    node = Node()
    assert node.put(sign_mutable(1, b"x", BOB)) is None
    assert node.put(replace(sign_mutable(1, b"x", ALICE), value=b"y")) is None
    target = target_for(BOB.public_key)
    data = encode_mutable_put(ALICE.public_key, sign_mutable(1, b"x", ALICE))
    assert node.ask(question(Command.MUTABLE_PUT, target, data)) is None
    assert node.get() is None


def test_values_that_would_not_fit_in_an_answer_are_not_taken() -> None:
    node = Node()
    large = bytes(MAX_STORED_VALUE + 1)
    assert node.put(sign_mutable(1, large, ALICE)) is None
    assert node.put(sign_mutable(1, b"", ALICE)) is None
    assert node.ask(question(Command.IMMUTABLE_PUT, hash_bytes(large), large)) is None
    target = target_for(ALICE.public_key)
    assert node.ask(question(Command.MUTABLE_GET, target, None)) is None


def test_other_commands_get_silence() -> None:
    node = Node()
    assert node.ask(question(Command.PLUGIN, TOPIC, b"x")) is None


@given(st.sampled_from(Command), st.none() | st.binary(max_size=200))
def test_any_question_is_answered_refused_or_a_peer_error(
    command: Command, value: bytes | None
) -> None:
    node = Node()
    try:
        node.ask(question(command, TOPIC, value))
    except PeerError:
        return
    assert node.store.counters()["records"] == 0


def test_a_question_without_a_target_is_a_peer_error() -> None:
    with pytest.raises(PeerError):
        Node().ask(question(Command.LOOKUP, None))

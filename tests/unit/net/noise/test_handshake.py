import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.noise import HandshakeMachine, Pattern
from tests.kit.net import seeded_bytes

ALICE = KeyPair.from_seed(b"a" * 32)
BOB = KeyPair.from_seed(b"b" * 32)
PATTERNS = pytest.mark.parametrize("pattern", list(Pattern))


def sides(
    pattern: Pattern, *, prologue: bytes = b"", expected: PublicKey | None = BOB.public_key
) -> tuple[HandshakeMachine, HandshakeMachine]:
    initiator = HandshakeMachine(
        pattern,
        is_initiator=True,
        key_pair=ALICE,
        random_bytes=seeded_bytes(1),
        prologue=prologue,
        remote_public_key=expected,
    )
    responder = HandshakeMachine(
        pattern,
        is_initiator=False,
        key_pair=BOB,
        random_bytes=seeded_bytes(2),
        prologue=prologue,
    )
    return initiator, responder


def finish(initiator: HandshakeMachine, responder: HandshakeMachine) -> None:
    sender, receiver = initiator, responder
    while initiator.keys is None or responder.keys is None:
        receiver.read(sender.write())
        sender, receiver = receiver, sender


@PATTERNS
def test_both_sides_end_with_the_same_keys_the_other_way_round(pattern: Pattern) -> None:
    initiator, responder = sides(pattern)
    finish(initiator, responder)
    assert initiator.keys is not None
    assert responder.keys is not None
    assert initiator.keys.tx == responder.keys.rx
    assert initiator.keys.rx == responder.keys.tx
    assert initiator.keys.handshake_hash == responder.keys.handshake_hash
    assert initiator.keys.remote_public_key == BOB.public_key
    assert responder.keys.remote_public_key == ALICE.public_key


@given(st.sampled_from(Pattern), st.lists(st.binary(max_size=50), min_size=3, max_size=3))
def test_payloads_arrive_as_they_were_written(pattern: Pattern, payloads: list[bytes]) -> None:
    sender, receiver = sides(pattern, prologue=b"about")
    for payload in payloads:
        if sender.keys is None:
            assert receiver.read(sender.write(payload)) == payload
            sender, receiver = receiver, sender


@PATTERNS
@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_wrong_bit_in_any_message_ends_the_handshake(pattern: Pattern, number: int) -> None:
    sender, receiver = sides(pattern)
    if pattern is Pattern.IK and number == 2:
        return  # two messages only
    for _ in range(number):
        receiver.read(sender.write())
        sender, receiver = receiver, sender
    message = bytearray(sender.write())
    message[-1] ^= 1
    if pattern is Pattern.XX and number == 0:
        # A bare key: the damage shows when the next message is opened.
        with contextlib.suppress(PeerError):
            receiver.read(message)
            message = bytearray(receiver.write())
        receiver = sender
    with pytest.raises(PeerError):
        receiver.read(message)


@PATTERNS
def test_sides_with_different_prologues_do_not_agree(pattern: Pattern) -> None:
    initiator, _ = sides(pattern, prologue=b"one")
    _, responder = sides(pattern, prologue=b"two")
    with pytest.raises(PeerError):
        finish(initiator, responder)


def test_initiator_of_xx_refuses_another_machine_than_it_dialled() -> None:
    initiator, responder = sides(Pattern.XX, expected=ALICE.public_key)
    with pytest.raises(PeerError, match="not the machine"):
        finish(initiator, responder)


def test_ik_meant_for_another_machine_is_refused() -> None:
    other = KeyPair.from_seed(b"c" * 32)
    initiator, responder = sides(Pattern.IK, expected=other.public_key)
    with pytest.raises(PeerError):
        finish(initiator, responder)


def test_ik_without_the_responders_key_is_our_mistake() -> None:
    with pytest.raises(UsageError):
        sides(Pattern.IK, expected=None)


def test_key_of_small_order_is_refused() -> None:
    _, responder = sides(Pattern.XX)
    responder.read(b"\1" + bytes(31))
    with pytest.raises(PeerError):
        responder.write()


def test_writing_out_of_turn_is_our_mistake() -> None:
    initiator, responder = sides(Pattern.XX)
    initiator.write()
    with pytest.raises(UsageError):
        initiator.write()
    with pytest.raises(UsageError):
        responder.write()


def test_handshake_is_dead_after_a_bad_message() -> None:
    initiator, responder = sides(Pattern.IK)
    message = initiator.write()
    with pytest.raises(PeerError):
        responder.read(message[:-1])
    with pytest.raises(UsageError):
        responder.read(message)


@given(st.sampled_from(Pattern), st.binary(max_size=150))
def test_any_first_message_is_taken_or_refused(pattern: Pattern, message: bytes) -> None:
    _, responder = sides(pattern)
    try:
        responder.read(message)
    except PeerError:
        assert responder.keys is None


@given(st.integers(0, 95))
def test_cut_message_is_refused(size: int) -> None:
    initiator, responder = sides(Pattern.XX)
    responder.read(initiator.write())
    with pytest.raises(PeerError):
        initiator.read(responder.write()[:size])


def test_message_longer_than_noise_allows_is_refused() -> None:
    _, responder = sides(Pattern.XX)
    with pytest.raises(PeerError, match="too long"):
        responder.read(bytes(65536))

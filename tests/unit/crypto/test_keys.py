import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair, exchange, sign, verify
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import PublicKey

ALICE = KeyPair.from_seed(bytes(range(32)))
BOB = KeyPair.from_seed(bytes(range(1, 33)))

SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]


def test_the_secret_key_is_the_seed_and_the_public_key() -> None:
    assert ALICE.secret_key == ALICE.seed + ALICE.public_key
    assert ALICE.seed == bytes(range(32))


def test_a_key_pair_is_made_from_chance_that_is_given() -> None:
    assert KeyPair.generate(lambda size: bytes(range(size))) == ALICE


def test_the_secret_key_is_not_shown() -> None:
    assert repr(ALICE.secret_key) not in repr(ALICE)


def test_keys_of_the_wrong_size_are_a_bug_of_ours() -> None:
    with pytest.raises(UsageError):
        KeyPair.from_seed(bytes(31))
    with pytest.raises(UsageError):
        KeyPair(ALICE.public_key, ALICE.seed)
    with pytest.raises(UsageError):
        KeyPair(PublicKey(b""), ALICE.secret_key)


@given(st.binary(max_size=200))
def test_a_signature_holds_for_its_message_and_key_alone(message: bytes) -> None:
    signature = sign(memoryview(message), ALICE)
    assert len(signature) == 64
    assert sign(message, ALICE) == signature
    assert verify(message, signature, ALICE.public_key)
    assert verify(bytearray(message), memoryview(signature), ALICE.public_key)
    assert not verify(message + b"\0", signature, ALICE.public_key)
    assert not verify(message, signature, BOB.public_key)


@given(st.integers(0, 511))
def test_a_signature_with_any_bit_flipped_is_wrong(bit: int) -> None:
    signature = bytearray(sign(b"message", ALICE))
    signature[bit >> 3] ^= 1 << (bit & 7)
    assert not verify(b"message", signature, ALICE.public_key)


@given(st.binary(max_size=70), st.binary(max_size=40))
def test_any_signature_and_key_give_an_answer(signature: bytes, key: bytes) -> None:
    assert not verify(b"message", signature, key)
    assert not verify(b"message", signature, ALICE.public_key)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_both_sides_of_an_exchange_get_the_same_secret(one: bytes, other: bytes) -> None:
    a, b = KeyPair.from_seed(one), KeyPair.from_seed(other)
    assert exchange(a, b.public_key) == exchange(b, a.public_key)
    assert len(exchange(a, b.public_key)) == 32


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_point_of_small_order_is_refused(point: str) -> None:
    with pytest.raises(PeerError) as caught:
        exchange(ALICE, bytes.fromhex(point))
    assert caught.value.code == "INVALID_KEY"


@given(st.one_of(st.binary(max_size=40), st.binary(min_size=32, max_size=32)))
def test_any_bytes_give_a_secret_or_a_peer_error(their: bytes) -> None:
    try:
        secret = exchange(ALICE, memoryview(their))
    except PeerError:
        return
    assert len(secret) == 32

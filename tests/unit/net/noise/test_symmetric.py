import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.net.noise.symmetric import SymmetricState, hkdf


def keyed(material: bytes = b"secret") -> SymmetricState:
    state = SymmetricState(b"Noise_name")
    state.mix_key(material)
    return state


def test_name_is_padded_to_one_hash() -> None:
    state = SymmetricState(b"Noise_name")
    assert state.hash == state.chaining_key == b"Noise_name" + bytes(54)


def test_payload_passes_in_clear_before_there_is_a_key() -> None:
    assert SymmetricState(b"n").seal(b"hello") == b"hello"


def test_outputs_of_hkdf_do_not_depend_on_how_many_are_asked_for() -> None:
    assert hkdf(b"key", b"material", 3)[:2] == hkdf(b"key", b"material")


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_what_is_sealed_opens_in_the_same_order(payloads: list[bytes]) -> None:
    sender, receiver = keyed(), keyed()
    for payload in payloads:
        assert receiver.open(sender.seal(payload)) == payload
    assert sender.hash == receiver.hash


def test_message_sealed_under_another_hash_does_not_open() -> None:
    sender, receiver = keyed(), keyed()
    receiver.mix_hash(b"something else")
    with pytest.raises(PeerError):
        receiver.open(sender.seal(b"hello"))


@given(st.binary(max_size=40))
def test_any_bytes_open_or_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        keyed().open(data)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.net.dht import payloads as p
from tests.kit import dht as kit


@given(kit.NOISE_PAYLOADS)
def test_a_noise_payload_reads_as_it_was_written(payload: p.NoisePayload) -> None:
    assert p.decode_noise_payload(p.encode_noise_payload(payload)) == payload


@given(kit.HOLEPUNCH_PAYLOADS)
def test_a_hole_punch_payload_reads_as_it_was_written(payload: p.HolepunchPayload) -> None:
    assert p.decode_holepunch_payload(p.encode_holepunch_payload(payload)) == payload


@given(st.binary(max_size=200))
def test_any_bytes_give_a_payload_or_a_peer_error(data: bytes) -> None:
    kit.value_or_peer_error(p.decode_noise_payload, data)
    kit.value_or_peer_error(p.decode_noise_payload, b"\x01\x7f" + data)
    kit.value_or_peer_error(p.decode_holepunch_payload, data)


@given(kit.NOISE_PAYLOADS, kit.HOLEPUNCH_PAYLOADS, st.data())
def test_a_cut_payload_is_a_peer_error(
    noise: p.NoisePayload, holepunch: p.HolepunchPayload, data: st.DataObject
) -> None:
    for whole, decode in (
        (p.encode_noise_payload(noise), p.decode_noise_payload),
        (p.encode_holepunch_payload(holepunch), p.decode_holepunch_payload),
    ):
        cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
        with pytest.raises(PeerError):
            decode(cut)


def test_of_another_version_only_its_number_is_read() -> None:
    assert p.decode_noise_payload(b"\x02\xff\xff") == p.NoisePayload(version=2)

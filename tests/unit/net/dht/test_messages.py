from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.net.dht import messages as m
from pearbox_edge.wire import Writer
from tests.kit import dht as kit

CODECS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "peer": (kit.PEERS, m.encode_peer, m.decode_peer),
    "announcement": (kit.ANNOUNCEMENTS, m.encode_announcement, m.decode_announcement),
    "mutable": (kit.MUTABLES, m.encode_mutable, m.decode_mutable),
    "mutable put": (
        st.tuples(kit.KEYS, kit.MUTABLES),
        lambda value: m.encode_mutable_put(*value),
        m.decode_mutable_put,
    ),
    "seq": (kit.NUMBERS, m.encode_seq, m.decode_seq),
    "plugin": (kit.PLUGINS, m.encode_plugin, m.decode_plugin),
    "handshake": (kit.HANDSHAKES, m.encode_handshake, m.decode_handshake),
    "holepunch": (kit.HOLEPUNCHES, m.encode_holepunch, m.decode_holepunch),
}
KINDS = pytest.mark.parametrize("kind", CODECS)


@KINDS
@given(st.data())
def test_what_is_written_reads_as_the_same_value(kind: str, data: st.DataObject) -> None:
    values, encode, decode = CODECS[kind]
    value = data.draw(values)
    assert decode(encode(value)) == value


@KINDS
@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_a_peer_error(kind: str, data: bytes) -> None:
    kit.value_or_peer_error(CODECS[kind][2], data)


@KINDS
@given(st.data())
def test_a_cut_message_is_a_peer_error(kind: str, data: st.DataObject) -> None:
    values, encode, decode = CODECS[kind]
    whole = encode(data.draw(values))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(PeerError):
        decode(cut)


@given(st.lists(kit.PEERS, max_size=5), kit.NUMBERS)
def test_records_of_a_lookup_are_passed_on_as_they_were_stored(
    peers: list[m.PeerRecord], bump: int
) -> None:
    data = m.encode_lookup_answer([m.encode_peer(peer) for peer in peers], bump)
    assert m.decode_lookup_answer(data) == m.LookupAnswer(tuple(peers), bump)


@given(st.binary(max_size=300))
def test_any_bytes_as_a_lookup_answer_give_a_value_or_a_peer_error(data: bytes) -> None:
    kit.value_or_peer_error(m.decode_lookup_answer, data)


def test_a_lookup_answer_without_a_bump_has_none() -> None:
    assert m.decode_lookup_answer(b"\0") == m.LookupAnswer((), 0)


def test_more_records_than_fit_in_a_datagram_are_refused() -> None:
    with pytest.raises(PeerError):
        m.decode_lookup_answer(b"\xc8" + bytes(10_000))


def test_a_message_too_long_to_be_passed_on_is_refused() -> None:
    writer = Writer()
    writer.uint(0)
    writer.uint(0)
    writer.buffer(bytes(m.MAX_PASSED + 1))
    with pytest.raises(PeerError):
        m.decode_handshake(writer.finish())


def test_a_value_that_nodes_may_not_pass_on_is_our_own_mistake() -> None:
    m.check_value(bytes(m.MAX_VALUE))
    with pytest.raises(UsageError):
        m.check_value(bytes(m.MAX_VALUE + 1))


def test_a_question_about_nothing_is_a_peer_error() -> None:
    assert m.target_of(bytes(32)) == bytes(32)
    with pytest.raises(PeerError):
        m.target_of(None)

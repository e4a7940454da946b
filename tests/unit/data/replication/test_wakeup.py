from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.replication import wakeup as w
from pearbox_edge.errors import PeerError
from pearbox_edge.ids import CoreKey
from pearbox_edge.wire import Writer

keys = st.binary(min_size=32, max_size=32)
DECODERS = [w.decode_opening, w.decode_lookup, w.decode_announce, w.decode_info]


@given(keys, st.booleans(), st.none() | keys)
def test_what_is_written_is_read_again(key: bytes, active: bool, found: bytes | None) -> None:
    opening = w.Opening(key, active)
    assert w.decode_opening(w.encode_opening(opening)) == opening
    assert w.decode_lookup(w.encode_lookup(found)) == found
    assert w.decode_info(w.encode_info(active=active)) is active
    news = [w.News(CoreKey(key), 7)] * 3
    assert w.decode_announce(w.encode_announce(news)) == news


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_peer_error(data: bytes) -> None:
    for decode in DECODERS:
        with suppress(PeerError):
            decode(data)


@given(st.integers(0, 72))
def test_a_message_that_ends_early_is_refused(size: int) -> None:
    whole = w.encode_announce([w.News(CoreKey(bytes(32)), 1 << 40), w.News(CoreKey(bytes(32)), 3)])
    with pytest.raises(PeerError):
        w.decode_announce(whole[:size])


def test_news_of_too_many_cores_are_refused() -> None:
    writer = Writer()
    writer.uint(w.MAX_ANNOUNCED + 1)
    with pytest.raises(PeerError):
        w.decode_announce(bytes(writer.finish()) + bytes(33 * (w.MAX_ANNOUNCED + 1)))


def test_the_two_sides_prove_the_topic_key_differently() -> None:
    one = w.wakeup_capability(bytes(32), bytes(64), is_initiator=True)
    assert one != w.wakeup_capability(bytes(32), bytes(64), is_initiator=False)

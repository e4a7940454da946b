from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.net.udx.inbox import MAX_AHEAD, Inbox


def payload(seq: int) -> memoryview:
    return memoryview(b"<%d>" % seq)


@given(st.lists(st.integers(0, 11), max_size=60), st.permutations(range(12)))
def test_any_order_with_doubles_is_put_right(extra: list[int], order: list[int]) -> None:
    inbox = Inbox(0)
    arrived: set[int] = set()
    for seq in [*extra, *order]:
        inbox.add(seq, payload(seq), end=seq == 11)
        arrived.add(seq)
        waiting = {seq for start, end in inbox.ranges(100) for seq in range(start, end)}
        behind = {seq for seq in arrived if seq > inbox.next}
        assert waiting == behind
        starts_and_ends = [edge for block in inbox.ranges(100) for edge in block]
        assert starts_and_ends == sorted(set(starts_and_ends))
    assert inbox.ended
    assert inbox.stored_bytes == 0
    assert b"".join(inbox.ready) == b"".join(payload(seq) for seq in range(12))


def test_a_packet_far_ahead_is_refused() -> None:
    inbox = Inbox(0)
    assert not inbox.add(MAX_AHEAD + 1, payload(0))
    assert inbox.add(MAX_AHEAD, payload(0))
    assert inbox.dropped == 1


def test_no_more_waits_than_is_allowed() -> None:
    inbox = Inbox(0, limit=1000)
    for seq in range(1, 100):
        inbox.add(seq, memoryview(bytes(100)))
    assert inbox.stored_bytes == 1000
    assert inbox.dropped == 89


def test_nothing_comes_after_the_end() -> None:
    inbox = Inbox(0)
    inbox.add(3, payload(3))
    inbox.add(1, payload(1), end=True)
    inbox.add(0, payload(0))
    assert inbox.ended
    assert inbox.next == 2
    assert not inbox.has_holes
    assert not inbox.add(2, payload(2))
    assert b"".join(inbox.ready) == b"<0><1>"

from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.net.udx.outbox import Outbox


@given(st.lists(st.binary(max_size=9)), st.lists(st.integers(1, 20)))
def test_what_was_written_comes_out_in_order(writes: list[bytes], sizes: list[int]) -> None:
    outbox = Outbox()
    for data in writes:
        outbox.write(data)
    whole = b"".join(writes)
    assert len(outbox) == len(whole)
    for size in sizes:
        assert outbox.take(size) == whole[:size]
        whole = whole[size:]
        assert outbox.size == len(whole)


def test_a_run_within_one_buffer_is_not_copied() -> None:
    data = bytearray(b"abcdef")
    outbox = Outbox()
    outbox.write(data)
    run = outbox.take(3)
    data[0] = ord("x")
    assert bytes(run) == b"xbc"
    outbox.clear()
    assert not len(outbox.take(3))

from pearbox_edge.net.udx.finished import LINGER, MAX_FINISHED, FinishedStreams


def test_a_finished_stream_is_remembered_for_a_while() -> None:
    finished = FinishedStreams()
    finished.add(1, b"ack", 10.0)
    assert 1 in finished
    assert finished.ack(1, 10.0 + LINGER) == b"ack"
    assert finished.ack(2, 10.0) is None
    assert finished.ack(1, 10.1 + LINGER) is None
    assert 1 not in finished


def test_only_so_many_are_remembered() -> None:
    finished = FinishedStreams()
    for id_ in range(MAX_FINISHED + 5):
        finished.add(id_, b"ack", 0.0)
    assert len(finished) == MAX_FINISHED
    assert 4 not in finished
    assert 5 in finished

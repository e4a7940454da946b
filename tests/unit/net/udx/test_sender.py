from pearbox_edge.net.udx.flight import Run
from pearbox_edge.net.udx.sender import MAX_EXPIRIES, Sender


class Out:
    """Collects what a sender sends."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def at(self, now: float) -> list[tuple[int, int, int]]:
        """(first, end, bytes) of the runs that leave at this moment."""
        runs: list[Run] = []
        self.sender.send(now, runs.append)
        return [(run.first, run.end, len(run.payload)) for run in runs]


def test_the_first_window_is_ten_packets() -> None:
    sender = Sender()
    sender.write(bytes(100_000))
    assert Out(sender).at(0.0) == [(0, 10, 11520)]
    assert sender.deadline() == 1.0


def test_an_ack_lets_the_next_ones_out() -> None:
    sender = Sender()
    out = Out(sender)
    sender.write(bytes(100_000))
    out.at(0.0)
    assert sender.on_acks(10, [], 0.1)
    assert sum(end - first for first, end, _ in out.at(0.1)) > 0
    assert not sender.on_acks(10, [], 0.1)


def test_no_more_is_sent_than_the_other_end_takes() -> None:
    sender = Sender()
    sender.window = 3000
    sender.write(bytes(100_000))
    assert Out(sender).at(0.0) == [(0, 2, 2304)]
    tiny = Sender()
    tiny.window = 10
    tiny.write(bytes(100_000))
    assert Out(tiny).at(0.0) == [(0, 1, 1152)]


def test_a_shut_window_holds_everything() -> None:
    sender = Sender()
    sender.window = 0
    sender.write(b"x")
    assert Out(sender).at(0.0) == []
    assert sender.is_blocked


def test_the_end_rides_on_the_last_data_or_alone() -> None:
    sender = Sender()
    sender.write(b"x")
    sender.end()
    assert Out(sender).at(0.0) == [(0, 1, 1)]
    assert sender.end_seq == 0
    alone = Sender()
    alone.end()
    assert Out(alone).at(0.0) == [(0, 1, 0)]
    assert alone.on_acks(1, [], 0.1)
    assert alone.end_is_acked


def test_holes_are_sent_again_once() -> None:
    sender = Sender()
    out = Out(sender)
    sender.write(bytes(10 * 1152))
    out.at(0.0)
    sender.on_acks(2, [(3, 8)], 0.1)
    assert out.at(0.1) == [(2, 3, 1152)]
    assert out.at(0.1) == []
    assert sender.retransmits == 1


def test_a_silent_end_is_tried_again_until_the_seventh_timeout() -> None:
    sender = Sender()
    out = Out(sender)
    sender.write(b"x")
    sent = []
    now = 0.0
    while sender.expiries < MAX_EXPIRIES:
        if out.at(now):
            sent.append(now)
        deadline = sender.deadline()
        assert deadline is not None
        now = deadline
        sender.expire(now)
    assert sent == [0, 1, 3, 5, 7, 9, 11]
    assert now == 13


def test_a_lost_probe_goes_again_without_padding_and_is_no_congestion() -> None:
    sender = Sender()
    out = Out(sender)
    sender.write(bytes(1000))
    out.at(0.0)
    sender.on_acks(1, [], 0.1)
    sender.write(bytes(5 * 1152))
    runs: list[Run] = []
    sender.send(0.1, runs.append)
    assert [run.padding for run in runs] == [32, 0]
    window = sender.bbr.window
    sender.on_acks(1, [(2, 6)], 0.2)
    again: list[Run] = []
    sender.send(0.2, again.append)
    assert [(run.first, run.padding) for run in again] == [(1, 0)]
    assert sender.bbr.window >= window


def test_on_a_new_path_old_packets_go_the_old_way_first() -> None:
    sender = Sender()
    sender.write(bytes(2 * 1152))
    paths: list[int] = []
    sender.send(0.0, lambda run: paths.append(run.path))
    sender.use_path(1, reset=True)
    for now in (1.0, 3.0, 5.0):
        sender.expire(now)
        sender.send(now, lambda run: paths.append(run.path))
    assert paths[:2] == [0, 0]
    assert paths[-1] == 1

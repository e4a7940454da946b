import pytest

from pearbox_edge.net.udx.congestion import HIGH_GAIN, INITIAL_WINDOW, MIN_WINDOW, Bbr, Phase
from pearbox_edge.net.udx.rate import RateSample


class Path:
    """Feeds a Bbr one ack per round, as a path of this rate and time would."""

    def __init__(self, bbr: Bbr, *, rate: float = 1000.0, rtt: float = 0.1) -> None:
        self.bbr = bbr
        self.rate = rate
        self.rtt = rtt
        self.now = 0.0
        self.delivered = 0

    def round(self, *, lost: int = 0, rtt: float | None = None, in_flight: int = 0) -> None:
        rtt = rtt or self.rtt
        prior = self.delivered
        count = max(min(self.bbr.window, int(self.rate * rtt)), 1)
        self.now += rtt
        self.delivered += count
        sample = RateSample(count, count, rtt, prior, app_limited=False, rtt=rtt)
        self.bbr.on_ack(sample, self.now, delivered=self.delivered, in_flight=in_flight, lost=lost)


def phase(bbr: Bbr) -> Phase:
    return bbr.state


def test_it_starts_with_ten_packets_and_doubles() -> None:
    bbr = Bbr()
    path = Path(bbr)
    assert bbr.window == INITIAL_WINDOW
    path.round()
    assert bbr.window == 2 * INITIAL_WINDOW
    path.round()
    assert bbr.state is Phase.STARTUP
    assert bbr.pacing_rate == pytest.approx(HIGH_GAIN * bbr.rate * 0.99)


def test_a_full_pipe_ends_the_start_and_the_window_is_twice_its_content() -> None:
    bbr = Bbr()
    path = Path(bbr)
    for _ in range(20):
        path.round()
    assert bbr.state is Phase.PROBE_BANDWIDTH
    assert bbr.rate == pytest.approx(1000, rel=0.01)
    assert bbr.min_rtt == pytest.approx(0.1)
    assert 200 <= bbr.window <= 220


def test_the_rate_is_probed_in_a_cycle() -> None:
    bbr = Bbr(phase=3)
    path = Path(bbr)
    seen = set()
    for _ in range(40):
        path.round(in_flight=200)
        if bbr.state is Phase.PROBE_BANDWIDTH:
            seen.add(round(bbr.pacing_rate / bbr.rate / 0.99, 2))
    path.round()
    for _ in range(20):
        path.round(in_flight=300)
        seen.add(round(bbr.pacing_rate / bbr.rate / 0.99, 2))
    assert seen >= {0.75, 1.0, 1.25}


def test_an_old_shortest_time_is_looked_for_anew() -> None:
    bbr = Bbr()
    path = Path(bbr)
    for _ in range(20):
        path.round()
    before = bbr.window
    rounds = 0
    while bbr.state is not Phase.PROBE_RTT:
        path.round(rtt=0.12, in_flight=50)
        rounds += 1
    assert 10 <= rounds * 0.12 <= 10.3
    assert bbr.window == MIN_WINDOW
    for _ in range(5):
        path.round(rtt=0.12, in_flight=2)
    assert phase(bbr) is Phase.PROBE_BANDWIDTH
    assert bbr.min_rtt == pytest.approx(0.12)
    assert bbr.window >= before


def test_a_slower_path_is_noticed_after_ten_rounds() -> None:
    bbr = Bbr()
    path = Path(bbr)
    for _ in range(20):
        path.round()
    path.rate = 100.0
    for _ in range(12):
        path.round()
    assert bbr.rate == pytest.approx(100, rel=0.01)


def test_a_loss_holds_the_window_back_for_one_round() -> None:
    bbr = Bbr()
    path = Path(bbr)
    for _ in range(20):
        path.round()
    before = bbr.window
    bbr.on_recovery(delivered=path.delivered, in_flight=50, acked=1)
    assert bbr.window == 51
    bbr.on_recovered()
    assert bbr.window == before


def test_a_timeout_leaves_one_packet_and_what_is_in_flight() -> None:
    bbr = Bbr()
    path = Path(bbr)
    for _ in range(20):
        path.round()
    before = bbr.window
    bbr.on_timeout(delivered=path.delivered, in_flight=0)
    assert bbr.window == 1
    bbr.on_recovered()
    assert bbr.window == before


def test_the_rate_stays_when_we_were_the_slow_ones() -> None:
    bbr = Bbr()
    path = Path(bbr)
    for _ in range(20):
        path.round()
    slow = RateSample(1, 1, 0.1, path.delivered, app_limited=True, rtt=0.1)
    for number in range(5):
        bbr.on_ack(slow, path.now + number, delivered=path.delivered, in_flight=1, lost=0)
    assert bbr.rate == pytest.approx(1000, rel=0.01)

from pearbox_edge.net.rpc.health import Connectivity, Health


def after(*ticks: tuple[int, int]) -> Health:
    """Health after ticks with so many answers and timeouts each."""
    health = Health()
    answered = lost = 0
    for more, less in ticks:
        answered, lost = answered + more, lost + less
        health.update(answered, lost)
    return health


WARM = ((10, 0),) * 4


def test_the_network_is_thought_well_of_at_first() -> None:
    assert Health().state is Connectivity.ONLINE
    assert after((0, 9), (0, 9), (0, 9)).state is Connectivity.ONLINE


def test_two_ticks_without_an_answer_are_offline() -> None:
    assert after(*WARM, (0, 9)).state is Connectivity.ONLINE
    assert after(*WARM, (0, 9), (0, 9)).state is Connectivity.OFFLINE


def test_idle_ticks_say_nothing() -> None:
    assert after(*WARM, (0, 9), (0, 3), (0, 0), (0, 9)).state is Connectivity.OFFLINE
    assert after(*WARM, (0, 3), (0, 3), (0, 3)).state is Connectivity.ONLINE


def test_one_answer_is_online_again() -> None:
    assert after(*WARM, (0, 9), (0, 9), (5, 0)).state is Connectivity.ONLINE


def test_four_bad_ticks_are_degraded_and_four_good_ones_well_again() -> None:
    bad = ((2, 6),) * 4
    assert after(*WARM, *bad[:3]).state is Connectivity.ONLINE
    assert after(*WARM, *bad).state is Connectivity.DEGRADED
    assert after(*WARM, *bad, *WARM[:3]).state is Connectivity.DEGRADED
    assert after(*WARM, *bad, *WARM).state is Connectivity.ONLINE


def test_a_reset_begins_anew() -> None:
    health = after(*WARM, (0, 9), (0, 9))
    health.reset()
    assert health.state is Connectivity.ONLINE

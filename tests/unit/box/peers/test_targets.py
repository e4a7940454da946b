from pearbox_edge.box.peers.targets import (
    FIRST_DELAY,
    LONGEST_DELAY,
    MAX_ADDRESSES,
    Backoff,
    Target,
)


def test_delays_double_up_to_a_bound_and_start_over() -> None:
    backoff = Backoff()
    delays = [backoff.failed() for _ in range(10)]
    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LONGEST_DELAY
    backoff.succeeded()
    assert backoff.failed() == FIRST_DELAY


def test_a_machine_has_each_address_once_and_not_too_many() -> None:
    target = Target("box")
    assert target.add("10.0.0.1", 1)
    assert not target.add("10.0.0.1", 1)
    for port in range(2, 50):
        target.add("10.0.0.1", port)
    assert len(target.addresses) == MAX_ADDRESSES
    target.remove("10.0.0.1", 1)
    target.remove("10.0.0.1", 1)
    assert ("10.0.0.1", 1) not in target.addresses

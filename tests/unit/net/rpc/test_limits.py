from pearbox_edge.net.rpc.limits import MAX_HELD, Held, HeldAnswers, HostRates, ProvenHosts, fits
from pearbox_edge.wire import Address

HOST = "203.0.113.7"


def test_a_host_is_answered_at_its_rate() -> None:
    rates = HostRates(10, 20)
    assert sum(rates.allows(HOST, 0.0) for _ in range(100)) == 20
    assert sum(rates.allows(HOST, 1.0) for _ in range(100)) == 10
    assert rates.allows("203.0.113.8", 1.0)


def test_our_own_machine_is_not_counted_nor_anybody_without_a_rate() -> None:
    assert all(HostRates(1, 1).allows("127.0.0.1", 0.0) for _ in range(10))
    assert all(HostRates(0, 0).allows(HOST, 0.0) for _ in range(10))


def test_many_hosts_do_not_fill_the_memory() -> None:
    rates, proven = HostRates(10, 20), ProvenHosts()
    for number in range(6000):
        rates.allows(f"10.0.{number >> 8}.{number & 255}", 0.0)
        proven.prove(f"10.0.{number >> 8}.{number & 255}", 0.0)
    assert len(rates) == len(proven) == 4096


def test_a_host_is_proven_for_a_while() -> None:
    proven = ProvenHosts()
    assert not proven.is_proven(HOST, 0.0)
    proven.prove(HOST, 0.0)
    assert proven.is_proven(HOST, 599.0)
    assert not proven.is_proven(HOST, 600.0)


def test_an_answer_fits_by_what_is_on_the_line() -> None:
    assert fits(3 * (43 + 28) - 28, 43, 3)
    assert not fits(3 * (43 + 28) - 27, 43, 3)


def test_only_so_many_answers_are_held_and_the_oldest_goes() -> None:
    held = HeldAnswers()
    first = Held(0, b"first")
    assert held.hold(Address(HOST, 0), first) is None
    for port in range(1, MAX_HELD):
        assert held.hold(Address(HOST, port), Held(0, b"more")) is None
    assert held.hold(Address(HOST, MAX_HELD), Held(0, b"last")) is first
    assert len(held) == MAX_HELD
    assert held.get(Address(HOST, 0)) is None
    held.clear()
    assert len(held) == 0


def test_an_answer_is_released_once() -> None:
    held = HeldAnswers()
    answer = Held(1, b"answer")
    held.hold(Address(HOST, 1), answer)
    assert held.get(Address(HOST, 1)) is answer
    assert held.release(Address(HOST, 1)) is answer
    assert held.release(Address(HOST, 1)) is None

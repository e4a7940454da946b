from pearbox_edge.net.udx.budget import OVERDRAFT, SHARE, TOTAL, Budget
from pearbox_edge.net.udx.receiver import WINDOW, Receiver

KIB64 = memoryview(bytes(64 << 10))


def fill(receiver: Receiver, size: int) -> None:
    for _ in range(size // len(KIB64)):
        receiver.add_run([KIB64])
        receiver.settle()


def test_the_window_shrinks_as_the_budget_is_used() -> None:
    budget = Budget(1000 << 10)
    assert budget.window == 250 << 10
    budget.used = 999 << 10
    assert budget.window == SHARE
    assert not budget.is_spent
    budget.used = (1000 << 10) + OVERDRAFT + 1
    assert budget.is_spent


def test_many_slow_readers_stay_within_the_total() -> None:
    budget = Budget()
    readers = [Receiver(0, budget) for _ in range(500)]
    for reader in readers:  # each sender obeys the window that it is told
        while (window := reader.take_window()) > SHARE:
            fill(reader, window)
        fill(reader, SHARE)
    assert budget.used <= TOTAL + 500 * SHARE
    fresh = Receiver(0, budget)
    assert fresh.take_window() >= SHARE


def test_who_ignores_the_windows_is_dropped_at_the_overdraft() -> None:
    budget = Budget()
    for _ in range(100):
        fill(Receiver(0, budget), WINDOW)
    assert budget.used <= TOTAL + OVERDRAFT + len(KIB64)


def test_what_is_read_or_over_is_given_back() -> None:
    budget = Budget()
    one, two, three = (Receiver(0, budget) for _ in range(3))
    for reader in (one, two, three):
        fill(reader, 1 << 20)
        reader.add(1 << 10, memoryview(b"behind a hole"), end=False)
    while one.has_data:
        one.read()
    one.settle_account()
    two.settle_account()
    three.clear()
    assert budget.used == 0
    assert two.has_data
    while two.has_data:
        two.read()
    assert budget.used == 0

from pearbox_edge.data.replication.messages import Sync
from pearbox_edge.data.replication.upgrade import HeadExchange, OwnHead


def own(length: int = 0, fork: int = 0, **how: bool) -> OwnHead:
    return OwnHead(
        fork,
        length,
        how.get("has_manifest", True),
        how.get("downloading", True),
        how.get("complete", True),
    )


def test_the_first_sync_says_that_nothing_was_heard_yet() -> None:
    exchange = HeadExchange()
    exchange.sync_due = True
    assert exchange.take_sync(own(5)) == Sync(0, 5, 0, True, True, True, True)
    assert exchange.take_sync(own(5)) is None


def test_the_longer_side_acknowledges_the_shorter_ones_length() -> None:
    exchange = HeadExchange()
    exchange.hear(Sync(0, 7), own(16))
    sync = exchange.take_sync(own(16))
    assert sync is not None
    assert (sync.length, sync.remote_length, sync.can_upgrade) == (16, 7, True)


def test_the_shorter_side_does_not_answer_a_sync() -> None:
    exchange = HeadExchange()
    exchange.hear(Sync(0, 16), own(7))
    assert exchange.take_sync(own(7)) is None


def test_no_promise_is_made_to_who_is_not_behind_or_on_another_fork() -> None:
    for theirs in (Sync(0, 5), Sync(0, 9), Sync(1, 3)):
        exchange = HeadExchange()
        exchange.hear(theirs, own(5))
        assert not exchange.can_upgrade


def test_a_sparse_side_looks_up_what_it_can_prove_before_it_answers() -> None:
    exchange = HeadExchange()
    sparse = own(16, complete=False)
    exchange.hear(Sync(0, 7), sparse)
    assert exchange.checking == (0, 7)
    assert exchange.take_sync(sparse) is None
    exchange.checked(0, 6, can_prove=True)
    assert exchange.checking == (0, 7)
    exchange.checked(0, 7, can_prove=False)
    sync = exchange.take_sync(sparse)
    assert sync is not None
    assert not sync.can_upgrade


def test_what_was_looked_up_once_is_remembered() -> None:
    exchange = HeadExchange()
    sparse = own(16, complete=False)
    exchange.hear(Sync(0, 7), sparse)
    exchange.checked(0, 7, can_prove=True)
    exchange.own_changed(own(20, complete=False))
    assert exchange.checking is None
    assert exchange.can_upgrade


def test_an_upgrade_is_asked_only_of_who_acknowledged_our_length() -> None:
    exchange = HeadExchange()
    exchange.hear(Sync(0, 16, remote_length=0), own(7))
    assert not exchange.offers_upgrade(own(7))
    assert exchange.may_bring_news(own(7))
    exchange.hear(Sync(0, 16, remote_length=7), own(7))
    assert exchange.offers_upgrade(own(7))


def test_no_news_are_expected_from_who_is_not_ahead_or_cannot_prove_it() -> None:
    exchange = HeadExchange()
    assert exchange.may_bring_news(own(7))
    exchange.hear(Sync(0, 7), own(7))
    assert not exchange.may_bring_news(own(7))
    exchange.hear(Sync(0, 9, remote_length=7, can_upgrade=False), own(7))
    assert not exchange.may_bring_news(own(7))


def test_a_higher_fork_is_news_unless_it_is_empty() -> None:
    exchange = HeadExchange()
    exchange.hear(Sync(2, 3), own(7))
    assert exchange.offers_reorg(own(7))
    assert not exchange.offers_upgrade(own(7))
    exchange.hear(Sync(2, 0), own(7))
    assert not exchange.offers_reorg(own(7))


def test_a_peer_on_another_fork_serves_nothing() -> None:
    exchange = HeadExchange()
    assert exchange.servable_length(own(7)) == 0
    exchange.hear(Sync(1, 9), own(7))
    assert exchange.servable_length(own(7)) == 0


def test_a_peer_behind_serves_as_far_as_its_roots_are_known() -> None:
    exchange = HeadExchange()
    sparse = own(7, complete=False)
    exchange.hear(Sync(0, 5), sparse)
    assert exchange.servable_length(sparse) == 0
    exchange.checked(0, 5, can_prove=True)
    assert exchange.servable_length(sparse) == 5
    exchange.hear(Sync(0, 9), sparse)
    assert exchange.servable_length(sparse) == 7


def test_it_is_idle_when_neither_side_downloads() -> None:
    exchange = HeadExchange()
    still = own(7, downloading=False)
    assert not exchange.is_idle(still)
    exchange.hear(Sync(0, 7, downloading=True), still)
    assert not exchange.is_idle(still)
    exchange.hear(Sync(0, 7, downloading=False), still)
    assert exchange.is_idle(still)
    assert not exchange.is_idle(own(7))


def test_a_peer_that_announced_our_last_block_has_our_head_whatever_it_said() -> None:
    exchange = HeadExchange()
    sparse = own(7, complete=False)
    exchange.hear(Sync(0, 5), sparse)
    assert exchange.servable_length(sparse) == 0
    assert exchange.servable_length(sparse, has_last=True) == 7
    exchange.hear(Sync(1, 5), sparse)
    assert exchange.servable_length(sparse, has_last=True) == 0

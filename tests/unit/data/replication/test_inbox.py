import pytest

from pearbox_edge.data.core import BlockRequest, ProofRequest
from pearbox_edge.data.replication.inbox import MAX_INVALID, MAX_QUEUED, Inbox
from pearbox_edge.data.replication.messages import Request, Want
from pearbox_edge.errors import PeerError


def request(number: int, priority: int = 0) -> Request:
    return Request(number, ProofRequest(0, BlockRequest(number, 0)), priority)


def ids(requests: list[Request]) -> list[int]:
    return [one.id for one in requests]


def test_requests_are_taken_in_order_with_urgent_ones_first() -> None:
    inbox = Inbox()
    for number, priority in ((1, 0), (2, 1), (3, 0), (4, 2)):
        inbox.add(request(number, priority))
    assert ids(inbox.take(3)) == [2, 4, 1]
    assert ids(inbox.take(3)) == [3]
    assert not inbox


def test_a_cancelled_request_is_not_taken() -> None:
    inbox = Inbox()
    inbox.add(request(1))
    inbox.add(request(2, 1))
    inbox.cancel(1)
    inbox.cancel(2)
    inbox.cancel(99)
    assert inbox.take(9) == []


def test_a_number_used_again_replaces_the_older_request() -> None:
    inbox = Inbox()
    inbox.add(request(1))
    inbox.add(request(1, 1))
    assert inbox.take(9) == [request(1, 1)]


def test_a_flood_of_requests_drops_the_peer() -> None:
    inbox = Inbox()
    for number in range(MAX_QUEUED):
        inbox.add(request(number))
    with pytest.raises(PeerError):
        inbox.add_want(Want(0, 32))


def test_wants_wait_in_order() -> None:
    inbox = Inbox()
    inbox.add_want(Want(0, 32))
    inbox.add_want(Want(32, 32))
    assert inbox.take_want() == Want(0, 32)
    assert inbox.take_want() == Want(32, 32)
    assert inbox.take_want() is None


def test_refusals_slow_down_and_end_with_the_peer() -> None:
    inbox = Inbox()
    delays = [inbox.refuse() for _ in range(MAX_INVALID - 1)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.2, 5.0)
    with pytest.raises(PeerError):
        inbox.refuse()


def test_nothing_waits_after_the_peer_is_gone() -> None:
    inbox = Inbox()
    inbox.add(request(1))
    inbox.add(request(2, 1))
    inbox.add_want(Want(0, 32))
    inbox.clear()
    assert len(inbox) == 0

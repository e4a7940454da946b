import random
from collections.abc import Sequence
from itertools import islice

import pytest

from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc import Commit, Failure, Question, Reply, node_id
from pearbox_edge.net.rpc.query import (
    CONCURRENCY,
    MAX_SEEN,
    MAX_VISITS,
    Query,
    QueryOptions,
)
from pearbox_edge.net.rpc.requests import Asking
from pearbox_edge.wire import Address

TARGET = random.Random(4).randbytes(32)
GOAL = int.from_bytes(TARGET, "big")
HERE = Address("198.51.100.1", 1)


def there(number: int) -> Address:
    return Address(f"20.{number >> 16}.{number >> 8 & 255}.{number & 255}", 49737)


def distance(address: Address) -> int:
    return GOAL ^ int.from_bytes(node_id(address), "big")


class Host:
    """A node whose network is played by the test."""

    def __init__(self, table: Sequence[Address] = (), bootstrap: Sequence[Address] = ()) -> None:
        self.table = list(table)
        self.bootstrap = list(bootstrap)
        self.asked: list[Address] = []
        self.open: dict[Address, Asking] = {}
        self.questions: list[Question] = []
        self.down: list[tuple[Address, list[Address]]] = []
        self.ended = 0
        self.replies: list[Reply] = []
        self.busy = False
        self.names = 0
        self.full = False

    def ask_for(
        self, query: Query, question: Question, retries: int, *, force: bool
    ) -> Asking | None:
        if self.full:
            return None
        asking = Asking(question, len(self.asked), 0)
        self.asked.append(question.to)
        self.questions.append(question)
        self.open[question.to] = asking
        return asking

    def drop(self, asking: Asking) -> None:
        del self.open[asking.question.to]

    def closest(self, target: bytes, count: int) -> list[Address]:
        return self.table[:count]

    def want_bootstrap(self, query: Query) -> None:
        for address in self.bootstrap:
            query.offer(address)
        query.await_names(self.names)

    def is_welcome(self, address: Address) -> bool:
        return address != HERE

    def report_down(self, down: Address, namers: Sequence[Address]) -> None:
        self.down.append((down, list(namers)))

    def is_busy(self) -> bool:
        return self.busy

    def query_ended(self, query: Query) -> None:
        self.ended += 1

    def query_answered(self, query: Query, reply: Reply) -> None:
        self.replies.append(reply)

    def begin(self, options: QueryOptions | None = None) -> Query:
        query = Query(self, TARGET, 2, None, options or QueryOptions(), internal=True)
        query.begin()
        return query

    def answer(
        self,
        query: Query,
        address: Address,
        closer: Sequence[Address] = (),
        *,
        error: int = 0,
        lasting: bool = True,
        token: bytes | None = None,
    ) -> None:
        id_: NodeId | None = node_id(address) if lasting else None
        reply = Reply(address, id_, HERE, token, tuple(closer), error, None, 0.1, 0)
        query.answered(self.open.pop(address), reply)

    def fail(self, query: Query, address: Address) -> None:
        query.failed(self.open.pop(address), Failure.TIMED_OUT)


def test_the_nearest_are_asked_first_and_ten_at_once() -> None:
    host = Host([there(n) for n in range(20)])
    query = host.begin()
    nearest = sorted(host.table, key=distance)
    assert host.asked == nearest[:CONCURRENCY]
    host.answer(query, nearest[3])
    assert host.asked[CONCURRENCY:] == [nearest[CONCURRENCY]]


def test_it_ends_when_nobody_nearer_is_known() -> None:
    nodes = [there(n) for n in range(60)]
    near = sorted(nodes, key=distance)
    host = Host(near[40:60])
    query = host.begin()
    while not query.done:
        host.answer(query, next(iter(host.open)), near)
    assert [reply.sender for reply in query.closest] == near[:20]
    assert host.ended == 1
    assert query.failure is None
    assert query.successes == len(host.replies) == len(host.asked)


def test_with_a_small_table_the_bootstrap_nodes_are_asked_too() -> None:
    host = Host([there(1)], bootstrap=[there(2), there(1)])
    query = host.begin()
    assert sorted(host.asked) == [there(1), there(2)]
    host.answer(query, there(1))
    host.answer(query, there(2), lasting=False)
    assert query.done
    assert [reply.sender for reply in query.closest] == [there(1)]


def test_names_of_bootstrap_nodes_are_waited_for() -> None:
    host = Host()
    host.names = 2
    query = host.begin()
    assert not query.done
    query.offer(there(1), awaited=True)
    host.answer(query, there(1))
    assert not query.done
    query.offer(None, awaited=True)
    assert query.done


def test_without_anybody_it_is_over_at_once() -> None:
    query = Host().begin()
    assert query.done and query.closest == [] and query.failure is None


def test_a_slow_node_makes_room_for_another_and_is_not_waited_for_in_the_end() -> None:
    host = Host([there(n) for n in range(20)])
    query = host.begin()
    lazy = host.asked[0]
    query.slow(host.open[lazy])
    assert len(host.asked) == CONCURRENCY + 1
    more = [there(n) for n in range(100, 120)]
    while others := [address for address in host.open if address != lazy]:
        host.answer(query, others[0], more)
    assert query.done, "twenty answered, and one is slow"
    assert host.open == {}


def test_nodes_that_named_a_dead_one_are_told() -> None:
    host = Host([there(1), there(2)])
    query = host.begin()
    host.answer(query, there(1), [there(3)])
    host.answer(query, there(2), [there(3)])
    host.fail(query, there(3))
    assert host.down == [(there(3), [there(1), there(2)])]
    assert query.errors == 1


def test_who_names_a_node_found_dead_before_is_told_too() -> None:
    host = Host([there(1), there(2)])
    query = host.begin()
    host.answer(query, there(1), [there(3)])
    host.fail(query, there(3))
    host.answer(query, there(2), [there(3)])
    assert host.down[-1] == (there(3), [there(2)])
    assert host.asked.count(there(3)) == 1


def test_answers_with_an_error_are_counted_and_their_nodes_asked() -> None:
    host = Host([there(1)])
    query = host.begin()
    host.answer(query, there(1), [there(2)], error=1)
    host.answer(query, there(2))
    assert (query.successes, query.errors) == (1, 1)
    assert [reply.sender for reply in query.closest] == [there(2)]
    assert [reply.sender for reply in host.replies] == [there(2)]


def test_we_are_not_asked_by_ourselves() -> None:
    host = Host([there(1)])
    query = host.begin()
    host.answer(query, there(1), [HERE])
    assert query.done


def test_given_nodes_are_asked_cautiously_until_ten_have_answered() -> None:
    given = [there(n) for n in range(25)]
    host = Host()
    query = host.begin(QueryOptions(nodes=given))
    assert len(host.open) == CONCURRENCY
    for _ in range(CONCURRENCY - 1):
        host.answer(query, next(iter(host.open)))
    assert len(host.open) == 3
    host.answer(query, next(iter(host.open)))
    assert len(host.open) == CONCURRENCY


def test_too_few_answers_of_given_nodes_fall_back_on_the_table() -> None:
    given = [there(n) for n in range(20)]
    host = Host([there(n) for n in range(100, 120)])
    query = host.begin(QueryOptions(nodes=given))
    for _ in given:
        host.fail(query, next(iter(host.open)))
    assert set(host.open) <= set(host.table) and host.open
    assert not query.done


def test_only_given_nodes_are_asked_if_told_so() -> None:
    host = Host([there(9)], bootstrap=[there(8)])
    query = host.begin(QueryOptions(nodes=[there(1), there(2)], only_nodes=True))
    assert sorted(host.asked) == [there(1), there(2)]
    host.answer(query, there(1), [there(3)])
    host.answer(query, there(2))
    assert query.done and len(host.asked) == 2


def test_a_background_walk_holds_back_while_the_node_is_busy() -> None:
    host = Host([there(n) for n in range(20)])
    host.busy = True
    query = host.begin(QueryOptions(background=True))
    assert len(host.open) == 2
    host.busy = False
    host.answer(query, next(iter(host.open)))
    assert len(host.open) == CONCURRENCY


def commit(reply: Reply) -> Commit | None:
    return Commit(8, b"value of " + (reply.token or b""))


def test_a_commit_goes_to_the_closest_with_their_tokens() -> None:
    host = Host([there(1), there(2)])
    query = host.begin(QueryOptions(commit=commit))
    host.answer(query, there(1), token=b"1")
    host.answer(query, there(2), token=b"2")
    assert not query.done
    commits = host.questions[2:]
    assert {(q.to, q.command, q.token, q.value) for q in commits} == {
        (there(1), 8, b"1", b"value of 1"),
        (there(2), 8, b"2", b"value of 2"),
    }
    host.answer(query, there(1), error=2)
    host.answer(query, there(2))
    assert query.done and query.failure is None and query.stored == 1


def test_a_commit_that_nobody_takes_fails() -> None:
    host = Host([there(1), there(2)])
    query = host.begin(QueryOptions(commit=commit))
    host.answer(query, there(1), token=None)
    host.answer(query, there(2), token=b"2")
    host.fail(query, there(2))
    assert query.done and query.failure is not None and query.stored == 0


def test_a_commit_with_nobody_to_take_it_fails() -> None:
    host = Host([there(1)])
    query = host.begin(QueryOptions(commit=commit))
    host.fail(query, there(1))
    assert query.failure == "too few nodes answered"


def test_a_cancelled_walk_asks_nobody_any_more() -> None:
    host = Host([there(n) for n in range(20)])
    query = host.begin()
    query.cancel()
    query.cancel()
    assert host.open == {} and host.ended == 1
    assert query.failure == "cancelled"


def test_when_nothing_can_be_asked_it_ends() -> None:
    host = Host([there(1), there(2)])
    host.full = True
    query = host.begin()
    assert query.done and query.errors == 2


def test_a_liar_that_always_names_nearer_nodes_is_not_followed_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ground(address: Address) -> NodeId:
        """An id that is nearer the higher the address, as if somebody had searched for them."""
        number = int.from_bytes(bytes(map(int, address.host.split("."))), "big")
        return NodeId((GOAL ^ ((1 << 255) - number)).to_bytes(32, "big"))

    monkeypatch.setattr("pearbox_edge.net.rpc.query.node_id", ground)
    host = Host([there(1)])
    query = host.begin()
    names = iter(range(1000, 1_000_000))
    while not query.done:
        address = next(iter(host.open))
        reply = Reply(
            address,
            ground(address),
            HERE,
            None,
            tuple(map(there, islice(names, 20))),
            0,
            None,
            0,
            0,
        )
        query.answered(host.open.pop(address), reply)
    assert len(host.asked) <= MAX_VISITS
    assert len(query._namers) == MAX_SEEN


def test_a_liar_that_names_few_nodes_at_once_is_not_followed_for_ever_either() -> None:
    host = Host([there(1)])
    query = host.begin()
    names = iter(range(1000, 1_000_000))
    while not query.done:  # without an id none is kept among the closest: all seem near enough
        address = next(iter(host.open))
        host.answer(query, address, [there(n) for n in islice(names, 3)], lasting=False)
    assert len(host.asked) == MAX_VISITS


def test_an_answer_full_of_names_is_cut() -> None:
    host = Host([there(1)])
    query = host.begin()
    host.answer(query, there(1), [there(n) for n in range(1000, 1300)])
    assert len(query._namers) == 21

import random
from dataclasses import dataclass, field

import pytest

from pearbox_edge.errors import UsageError
from pearbox_edge.net.rpc import Failure, Question
from pearbox_edge.net.rpc.messages import Response
from pearbox_edge.net.rpc.requests import MAX_PENDING, Asking, RequestMachine
from pearbox_edge.wire import Address

THERE = Address("203.0.113.7", 49737)
HERE = Address("198.51.100.1", 1)


@dataclass
class Case:
    """A machine, and what became of its questions."""

    machine: RequestMachine = field(
        default_factory=lambda: RequestMachine(0.0, random.Random(1).randbytes)
    )
    failures: list[Failure] = field(default_factory=list)
    slow: int = 0

    def ask(self, now: float = 0.0, to: Address = THERE, attempts: int = 4) -> Asking:
        asking = self.machine.new(Question(to, 0, internal=True), 0)
        assert asking is not None
        asking.attempts = attempts
        asking.datagram = b"question"
        asking.on_failure = self.failures.append
        asking.on_slow = self._slow
        self.machine.send(asking, now)
        return asking

    def _slow(self) -> None:
        self.slow += 1


def response(asking: Asking) -> Response:
    return Response(asking.tid, HERE, None, None, (), 0, None)


def test_a_question_is_sent_and_its_answer_matched() -> None:
    case = Case()
    asking = case.ask()
    (out,) = case.machine.transmit(0.0)
    assert (out.data, out.address) == (b"question", THERE)
    assert case.machine.match(response(asking), THERE, 0.1) is asking
    assert case.machine.deadline(0.1) is None
    assert len(case.machine) == 0


def test_an_answer_from_somebody_else_is_a_stray() -> None:
    case = Case()
    asking = case.ask()
    assert case.machine.match(response(asking), Address(THERE.host, 1), 0.1) is None
    assert case.machine.match(response(asking), HERE, 0.1) is None
    assert case.machine.strays == 2
    assert case.machine.match(response(asking), THERE, 0.1) is asking


def test_a_second_answer_is_a_stray() -> None:
    case = Case()
    asking = case.ask()
    case.machine.match(response(asking), THERE, 0.1)
    assert case.machine.match(response(asking), THERE, 0.1) is None
    assert case.machine.strays == 1


def test_without_an_answer_it_is_sent_every_second_and_given_up() -> None:
    case = Case()
    asking = case.ask(attempts=3)
    sends = [0.0]
    given_up: list[Asking] = []
    case.machine.transmit(0.0)
    while (due := case.machine.deadline(sends[-1])) is not None:
        given_up = case.machine.expire(due)
        if case.machine.transmit(due):
            sends.append(due)
    assert sends == [0.0, 1.0, 2.0]
    assert given_up == [asking]
    assert case.failures == [Failure.TIMED_OUT]
    assert case.slow == 1
    assert (case.machine.retries, case.machine.timeouts) == (2, 1)


def test_a_question_may_take_its_own_time() -> None:
    case = Case()
    asking = case.machine.new(Question(THERE, 4, internal=True), 0)
    assert asking is not None
    asking.datagram, asking.timeout = b"question", 11.0
    case.machine.send(asking, 0.0)
    assert case.machine.deadline(0.0) == 11.0


def test_a_cancelled_question_is_told_to_its_owner_once() -> None:
    case = Case()
    asking = case.ask()
    case.machine.cancel(asking, 0.1)
    case.machine.cancel(asking, 0.1)
    assert case.failures == [Failure.CANCELLED]
    assert case.machine.match(response(asking), THERE, 0.2) is None
    assert case.machine.deadline(0.1) is None


def test_suspending_gives_up_everything() -> None:
    case = Case()
    for _ in range(200):
        case.ask()
    case.machine.cancel_all(0.1, Failure.SUSPENDED)
    assert case.failures == [Failure.SUSPENDED] * 200
    assert case.machine.transmit(0.1) == []
    assert case.machine.deadline(0.1) is None


def test_questions_over_the_window_wait_in_order() -> None:
    case = Case()
    askings = [case.ask(to=Address(THERE.host, port)) for port in range(1, 101)]
    sent = case.machine.transmit(0.0)
    assert len(sent) == 80
    assert case.machine.deadline(0.0) == 0.75
    case.machine.match(response(askings[0]), askings[0].question.to, 0.1)
    (more,) = case.machine.transmit(0.1)
    assert more.address.port == 81
    case.machine.expire(0.75)
    assert [out.address.port for out in case.machine.transmit(0.75)] == list(range(82, 101))


def test_a_question_that_waited_is_not_sent_once_it_is_cancelled() -> None:
    case = Case()
    askings = [case.ask() for _ in range(81)]
    case.machine.transmit(0.0)
    case.machine.cancel(askings[80], 0.1)
    case.machine.expire(0.75)
    assert case.machine.transmit(0.75) == []


def test_a_forced_question_does_not_wait() -> None:
    case = Case()
    for _ in range(80):
        case.ask()
    asking = case.machine.new(Question(THERE, 0), 0)
    assert asking is not None
    asking.datagram = b"urgent"
    case.machine.send(asking, 0.0, force=True)
    assert case.machine.transmit(0.0)[-1].data == b"urgent"


def test_transaction_ids_wrap_and_skip_those_in_use() -> None:
    case = Case()
    first = case.ask()
    tids = set()
    for _ in range(65536 + 10):
        asking = case.ask()
        assert asking.tid != first.tid
        tids.add(asking.tid)
        case.machine.cancel(asking, 0.0)
    assert len(tids) == 65535


def test_there_is_a_limit_to_what_is_under_way() -> None:
    case = Case()
    for _ in range(MAX_PENDING):
        case.ask()
    assert case.machine.new(Question(THERE, 0), 0) is None


def test_a_question_needs_its_datagram() -> None:
    case = Case()
    asking = case.machine.new(Question(THERE, 0), 0)
    assert asking is not None
    with pytest.raises(UsageError):
        case.machine.send(asking, 0.0)


def test_an_adaptive_machine_waits_as_long_as_the_node_used_to_take() -> None:
    machine = RequestMachine(0.0, bytes, adaptive_timeout=True)
    case = Case(machine)
    asking = case.ask()
    assert machine.deadline(0.0) == 0.25
    machine.match(response(asking), THERE, 0.5)
    case.ask(1.0)
    assert machine.deadline(1.0) == pytest.approx(2.0)

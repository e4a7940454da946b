import pytest

from pearbox_edge.data.core import BlockPart, BlockRequest, Proof, ProofRequest
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.replication.messages import MessageType
from pearbox_edge.data.replication.peer import MAX_UNASKED, STALL_SECONDS, PeerMachine
from pearbox_edge.data.replication.requests import RequestTable
from pearbox_edge.data.replication.upgrade import OwnHead
from pearbox_edge.errors import PeerError
from tests.kit.wire_messages import joined

KEY = b"k" * 32
OWN = OwnHead(0, 10, True, True, True)


def open_peer(table: RequestTable | None = None, own: OwnHead = OWN) -> PeerMachine:
    machine = PeerMachine(1, RequestTable() if table is None else table, lambda: own, KEY)
    machine.open(m.encode_handshake(m.Handshake(KEY)), 0.0)
    return machine


def feed(machine: PeerMachine, kind: MessageType, body: bytes, now: float = 0.0) -> None:
    machine.receive(kind, memoryview(body), now)


def data(number: int, block: int, fork: int = 0) -> bytes:
    return joined(m.encode_data(m.Data(number, Proof(fork, BlockPart(block, b"value", [])))))


def sent(machine: PeerMachine) -> list[tuple[int, bytes]]:
    return [(int(kind), b"".join(body)) for kind, body in machine.transmit()]


def test_a_peer_that_does_not_know_the_key_is_refused() -> None:
    machine = PeerMachine(1, RequestTable(), lambda: OWN, KEY)
    with pytest.raises(PeerError) as caught:
        machine.open(m.encode_handshake(m.Handshake(b"x" * 32)), 0.0)
    assert caught.value.code == "INVALID_CAPABILITY"
    assert not machine.is_open


def test_the_first_thing_said_is_the_head() -> None:
    machine = open_peer()
    machine.say_head()
    assert sent(machine) == [(MessageType.SYNC, m.encode_sync(m.Sync(0, 10, has_manifest=True)))]


def test_an_answer_is_matched_with_its_request() -> None:
    table = RequestTable()
    machine = open_peer(table)
    one = table.add_block(1, 4, 0)
    feed(machine, MessageType.DATA, data(one.id, 4))
    assert machine.answer_bytes > 0
    ((asked, proof),) = machine.take_answers()
    assert asked is one
    assert isinstance(proof, Proof)
    assert machine.take_answers() == []


def test_an_answer_to_something_else_drops_the_peer() -> None:
    table = RequestTable()
    machine = open_peer(table)
    one = table.add_block(1, 4, 0)
    with pytest.raises(PeerError):
        feed(machine, MessageType.DATA, data(one.id, 5))


def test_an_answer_waits_for_the_one_it_relies_on() -> None:
    table = RequestTable()
    machine = open_peer(table)
    first, second, third = (table.add_block(1, block, 0) for block in range(3))
    second.relies_on, third.relies_on = first.id, second.id
    for one in (third, second):
        feed(machine, MessageType.DATA, data(one.id, one.block or 0))
    assert machine.take_answers() == []
    assert not machine.has_answers
    feed(machine, MessageType.DATA, data(first.id, 0))
    assert [asked for asked, _ in machine.take_answers()] == [first, second, third]


def test_an_answer_whose_forerunner_was_given_up_waits_no_longer() -> None:
    table = RequestTable()
    machine = open_peer(table)
    first, second = table.add_block(1, 0, 0), table.add_block(1, 1, 0)
    second.relies_on = first.id
    feed(machine, MessageType.DATA, data(second.id, 1))
    assert machine.take_answers() == []
    table.cancel(first)
    assert machine.has_answers
    assert [asked for asked, _ in machine.take_answers()] == [second]
    assert second.excused


def test_late_answers_to_cancelled_requests_are_forgiven() -> None:
    table = RequestTable()
    machine = open_peer(table)
    for block in range(2 * MAX_UNASKED):
        one = table.add_block(1, block, 0)
        table.cancel(one)
        feed(machine, MessageType.DATA, data(one.id, block))
    assert machine.take_answers() == []


def test_data_that_nobody_asked_for_drops_the_peer_in_the_end() -> None:
    machine = open_peer()
    for _ in range(MAX_UNASKED):
        feed(machine, MessageType.DATA, data(99, 1))
    with pytest.raises(PeerError):
        feed(machine, MessageType.NO_DATA, m.encode_no_data(m.NoData(99)))


def test_a_peer_that_owes_an_answer_stalls_after_a_while() -> None:
    table = RequestTable()
    machine = open_peer(table)
    assert machine.deadline(0) is None
    machine.expect(5.0)
    one, two = table.add_block(1, 4, 0), table.add_block(1, 5, 0)
    machine.expect(8.0)
    assert machine.deadline(0) == 5.0 + STALL_SECONDS
    feed(machine, MessageType.DATA, data(one.id, 4), now=9.0)
    assert machine.deadline(0) == 9.0 + STALL_SECONDS
    machine.progressed(11.0)
    assert machine.deadline(0) == 11.0 + STALL_SECONDS
    feed(machine, MessageType.NO_DATA, m.encode_no_data(m.NoData(two.id, 1)), now=12.0)
    assert machine.deadline(0) is None


def test_large_blocks_may_take_longer() -> None:
    table = RequestTable()
    machine = open_peer(table)
    machine.expect(0.0)
    table.add_block(1, 4, 0)
    deadline = machine.deadline(15 << 20)
    assert deadline is not None
    assert deadline > 100


def test_blocks_told_of_are_remembered_and_make_news() -> None:
    machine = open_peer()
    feed(machine, MessageType.RANGE, m.encode_range(m.Range(20, 10)))
    feed(machine, MessageType.RANGE, m.encode_range(m.Range(22, 2, drop=True)))
    feed(machine, MessageType.BITFIELD, m.encode_bitfield(m.BitfieldMessage(64, b"\1\0\0\0")))
    held = [i for i in range(100) if machine.source.blocks.has(i)]
    assert held == [20, 21, *range(24, 30), 64]
    assert machine.news
    assert machine.gained == 20


def test_a_refused_block_counts_again_once_it_is_announced() -> None:
    machine = open_peer()
    machine.source.refused = {3, 9}
    feed(machine, MessageType.RANGE, m.encode_range(m.Range(0, 5)))
    assert machine.source.refused == {9}


def test_requests_and_cancels_go_to_the_inbox() -> None:
    machine = open_peer()
    want = ProofRequest(0, BlockRequest(1, 0))
    for number in (1, 2):
        feed(machine, MessageType.REQUEST, m.encode_request(m.Request(number, want)))
    feed(machine, MessageType.WANT, m.encode_want(m.Want(0, 32)))
    feed(machine, MessageType.CANCEL, m.encode_cancel(1))
    assert [one.id for one in machine.inbox.take(9)] == [2]
    assert machine.inbox.take_want() == m.Want(0, 32)


def test_unknown_types_extensions_and_unwants_are_ignored() -> None:
    machine = open_peer()
    machine.receive(77, memoryview(b"x"), 0.0)
    feed(machine, MessageType.EXTENSION, b"\1xyz")
    feed(machine, MessageType.UNWANT, m.encode_want(m.Want(0, 32)))
    assert not machine.inbox
    assert not machine.news


def test_a_complete_core_is_announced_whole_and_once() -> None:
    machine = open_peer()
    machine.announce(3, 4, OWN)
    machine.announce(4, 5, OWN)
    assert sent(machine) == [(MessageType.RANGE, m.encode_range(m.Range(0, 10)))]
    machine.announce_drop(2, 1)
    machine.announce(2, 3, OWN)
    assert sent(machine) == [
        (MessageType.RANGE, m.encode_range(m.Range(2, 1, drop=True))),
        (MessageType.RANGE, m.encode_range(m.Range(0, 10))),
    ]


def test_what_the_peer_has_already_is_not_announced() -> None:
    machine = open_peer()
    sparse = OWN._replace(complete=False)
    feed(machine, MessageType.RANGE, m.encode_range(m.Range(0, 5)))
    machine.announce(3, 5, sparse)
    machine.announce(4, 7, sparse)
    assert sent(machine) == [(MessageType.RANGE, m.encode_range(m.Range(4, 3)))]


def test_a_head_that_was_refused_is_not_asked_again() -> None:
    machine = open_peer(own=OWN._replace(length=0))
    own = OWN._replace(length=0)
    feed(machine, MessageType.SYNC, m.encode_sync(m.Sync(0, 5)))
    assert machine.offers_upgrade(own)
    machine.refused_upgrade = (0, 5)
    assert not machine.offers_upgrade(own)
    assert not machine.may_bring_news(own)
    feed(machine, MessageType.SYNC, m.encode_sync(m.Sync(0, 6)))
    assert machine.offers_upgrade(own)


def test_the_manifest_of_a_compat_core_is_not_offered() -> None:
    machine = open_peer(own=OWN._replace(has_manifest=False))
    machine.say_head()
    ((_, body),) = sent(machine)
    assert not m.decode_sync(body).has_manifest

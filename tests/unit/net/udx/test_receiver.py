from pearbox_edge.net.udx.receiver import ACKS, MESSAGES, MOST_WAITING, SLACK, WINDOW, Receiver

KIB64 = memoryview(bytes(64 << 10))


def fill(receiver: Receiver, size: int) -> None:
    for _ in range(size // len(KIB64)):
        receiver.add_run([KIB64])
        receiver.settle()


def test_a_reader_that_keeps_up_never_narrows_the_window() -> None:
    receiver = Receiver()
    fill(receiver, SLACK)
    assert receiver.take_window() == WINDOW


def test_unread_bytes_narrow_the_window_and_reading_opens_it() -> None:
    receiver = Receiver()
    fill(receiver, SLACK + WINDOW)
    assert receiver.take_window() == 0
    receiver.must_ack = False
    while receiver.has_data:
        receiver.read()
    assert receiver.must_ack
    assert receiver.take_window() == WINDOW


def test_who_ignores_the_window_is_not_kept() -> None:
    receiver = Receiver()
    fill(receiver, 4 * MOST_WAITING)
    assert receiver.dropped
    held = 0
    while receiver.has_data:
        held += len(receiver.read())
    assert held <= MOST_WAITING + len(KIB64)


def test_small_pieces_are_read_together() -> None:
    receiver = Receiver()
    for byte in (b"a", b"b", b"c"):
        receiver.add_run([memoryview(byte)])
        receiver.settle()
    assert receiver.read() == b"abc"


def test_tiny_packets_do_not_become_many_objects() -> None:
    receiver = Receiver()
    for _ in range(100_000):
        receiver.add_run([memoryview(b"x")])
        receiver.settle()
    reads = 0
    while receiver.has_data:
        receiver.read()
        reads += 1
    assert reads <= 4


def test_sequence_numbers_wrap() -> None:
    receiver = Receiver((1 << 32) - 1)
    receiver.add(0, memoryview(b"b"), end=True)
    receiver.add((1 << 32) - 1, memoryview(b"a"), end=False)
    receiver.settle()
    assert receiver.read() == b"ab"
    assert receiver.is_drained


def test_few_holes_are_told_of_and_many_messages_are_not_kept() -> None:
    receiver = Receiver()
    for seq in range(1, 999, 2):
        receiver.add(seq, memoryview(b"x"), end=False)
    assert len(receiver.sacks()) == ACKS * 50
    for number in range(2 * MESSAGES):
        receiver.messages.append(b"%d" % number)
    assert len(receiver.messages) == MESSAGES
    receiver.clear()
    assert not receiver.sacks()

"""The receiving half of a stream: what arrived, what waits for its reader, the window."""

from collections import deque

from .budget import SHARE, Budget
from .inbox import Inbox
from .packet import MAX_SACKS, SEQUENCES, difference

WINDOW = 4 << 20  # SPEC sheet 02: what the reference always advertises
SLACK = 1 << 20  # TUNING unread bytes that do not narrow the window yet
MOST_WAITING = WINDOW + 2 * SLACK  # TUNING past it packets are dropped: they ignore our window
ACKS = 3  # TUNING packets that one ack may take, when one has not room for all blocks
SMALL = 32 << 10  # TUNING pieces below this are lengthened by what comes next
MESSAGES = 256  # TUNING unordered messages that wait; the oldest go first, as on a full line
_MASK = SEQUENCES - 1


class Receiver:
    """Takes payloads in any order, gives out bytes in theirs."""

    def __init__(self, first: int = 0, budget: Budget | None = None) -> None:
        """`budget`: what all streams of a node share."""
        self._budget = budget or Budget()
        self.inbox = Inbox(first, limit=WINDOW + SLACK)
        self.messages: deque[bytes] = deque(maxlen=MESSAGES)
        self.must_ack = False
        """Whether the other end waits for an ack."""
        self.dropped = 0
        """Packets refused because the reader is too slow for a sender that ignores our window."""
        self._chunks: deque[bytearray] = deque()
        self._unread = 0
        self._advertised = WINDOW

    # -- packets in -------------------------------------------------------------------------------

    def add(self, seq: int, payload: memoryview, *, end: bool) -> None:
        """One packet of data, or the END; `seq` as on the wire."""
        self.must_ack = True
        inbox = self.inbox
        before = inbox.stored_bytes
        if self._unread + before > MOST_WAITING or self._budget.is_spent:
            self.dropped += 1
            return
        inbox.add(inbox.next + difference(seq, inbox.next & _MASK), payload, end=end)
        self._budget.used += inbox.stored_bytes - before

    def add_run(self, payloads: list[memoryview]) -> None:
        """Payloads of packets that continue exactly where the last one ended."""
        self.must_ack = True
        inbox = self.inbox
        if self._unread > MOST_WAITING or inbox.ended or self._budget.is_spent:
            self.dropped += len(payloads)
            return
        inbox.ready += payloads
        inbox.next += len(payloads)

    def settle(self) -> None:
        """Copy what is in order out of the memory it arrived in: the last step of `receive`."""
        ready = self.inbox.ready
        if not ready:
            return
        chunks = self._chunks
        before = 0
        if chunks and len(chunks[-1]) < SMALL:  # many tiny packets must not become many objects
            chunk = chunks[-1]
            before = len(chunk)
            chunk += b"".join(ready)
        else:
            chunk = bytearray().join(ready)
            chunks.append(chunk)
        ready.clear()
        self._unread += len(chunk) - before
        self._budget.used += len(chunk) - before

    # -- for the acks -----------------------------------------------------------------------------

    def take_window(self) -> int:
        """Bytes we will take, as an ack is about to say."""
        room = min(WINDOW, WINDOW + SLACK - self._unread)
        if room > SHARE:
            room = min(room, self._budget.window)
        self._advertised = max(room, 0)
        return self._advertised

    def sacks(self) -> list[tuple[int, int]]:
        """What lies behind holes."""
        return list(self.inbox.ranges(ACKS * MAX_SACKS)) if self.inbox.has_holes else []

    # -- for the reader ---------------------------------------------------------------------------

    @property
    def has_data(self) -> bool:
        """Whether there are bytes to read."""
        return bool(self._chunks)

    @property
    def is_drained(self) -> bool:
        """Whether all has been read and nothing more comes."""
        return self.inbox.ended and not self._chunks

    def read(self) -> bytearray:
        """Bytes in order (none if there are none); may ask for an ack that opens the window."""
        chunks = self._chunks
        if not chunks:
            return bytearray()
        data = chunks.popleft()
        self._unread -= len(data)
        self._budget.used -= len(data)
        if self._advertised < WINDOW // 2 and self._unread <= SLACK + WINDOW // 4:
            self.must_ack = True
        return data

    def settle_account(self) -> None:
        """The stream is over: what was not read yet is not counted any more."""
        self._budget.used -= self._unread + self.inbox.stored_bytes
        self._budget = Budget()
        self._budget.used = self._unread
        self.inbox.clear()
        self.must_ack = False

    def clear(self) -> None:
        """Forget everything that was not read."""
        self._budget.used -= self._unread + self.inbox.stored_bytes
        self.inbox.clear()
        self._chunks.clear()
        self.messages.clear()
        self._unread = 0
        self.must_ack = False

"""Streams that are over: remembered for a while, for the other end may not have heard so."""

from collections import OrderedDict

LINGER = 15.0  # TUNING seconds; the reference sends its END again for 13 s
MAX_FINISHED = 1024  # TUNING ids remembered; the oldest go first


class FinishedStreams:
    """The final ack of each, by id. Times in seconds."""

    def __init__(self) -> None:
        self._acks: OrderedDict[int, tuple[float, bytes]] = OrderedDict()

    def __contains__(self, id_: int) -> bool:
        return id_ in self._acks

    def __len__(self) -> int:
        return len(self._acks)

    def add(self, id_: int, ack: bytes, now: float) -> None:
        """A stream has ended well; `ack` is what answers its END from now on."""
        acks = self._acks
        acks.pop(id_, None)
        acks[id_] = (now + LINGER, ack)
        while len(acks) > MAX_FINISHED:
            acks.popitem(last=False)

    def ack(self, id_: int, now: float) -> bytes | None:
        """What to answer an END with; None when nothing is known of the stream."""
        found = self._acks.get(id_)
        if found is None:
            return None
        until, ack = found
        if now > until:
            del self._acks[id_]
            return None
        return ack

"""Near the end: asking a quick peer for what a slow one still owes, so that nobody waits for it.

While there is anything that nobody was asked for, no block is asked for twice.
"""

from collections.abc import Callable

from .requests import RequestTable
from .scheduler import Source

MAX_COPIES = 3  # SPEC sheet 12: requests for one block under way at once
PATIENCE = 0.25
"""TUNING: seconds that a slow peer's queue may still take before it is shared out."""
RECHECK = 0.25
"""TUNING: seconds after which a peer with nothing to do looks once more."""
QUEUE_SECONDS = 2.0
"""TUNING: how far ahead a peer is asked: more would wait for it while others have nothing to do."""
LEAST = 4
"""TUNING: requests that even the slowest peer may owe."""


class Pace:
    """How long one peer takes for an answer, on average over the newest ones."""

    __slots__ = ("_busy_since", "seconds")

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._busy_since = 0.0

    def begin(self, now: float) -> None:
        """It owes something, and did not before."""
        self._busy_since = now

    def answered(self, count: int, now: float) -> None:
        """So many answers came."""
        took = max(now - self._busy_since, 0.0) / count
        self.seconds = took if self.seconds is None else 0.75 * self.seconds + 0.25 * took
        self._busy_since = now

    def owed(self, count: int, now: float) -> float:
        """Seconds until `count` answers will have come, as far as one can tell."""
        silent = now - self._busy_since
        expected = count * self.seconds if self.seconds is not None else 0.0
        return max(expected, silent)

    def room(self, window: int) -> int:
        """How many answers it may owe at a time: a window, unless they would take too long."""
        if not self.seconds:
            return window
        return max(LEAST, min(window, int(QUEUE_SECONDS / self.seconds)))


def swaps(
    source: Source,
    own: Pace,
    pace_of: Callable[[int], Pace | None],
    table: RequestTable,
    now: float,
    room: int,
) -> list[int]:
    """Blocks that slow peers owe and that `source`, which has nothing to do, should bring instead.

    The last half of what each owes: it comes to those last.
    """
    owed: dict[int, list[int]] = {}
    for one in table:
        if one.block is not None and one.peer != source.number and not one.arrived:
            owed.setdefault(one.peer, []).append(one.block)
    own_time = own.seconds or 0.0
    picks: list[int] = []
    for number, blocks in owed.items():
        pace = pace_of(number)
        if pace is None or pace.owed(len(blocks), now) <= PATIENCE + 2 * own_time:
            continue
        for block in reversed(blocks[len(blocks) // 2 :]):
            if len(picks) >= room:
                return picks
            if (
                block < source.servable
                and table.blocks.get(block, 0) < MAX_COPIES
                and block not in source.refused
                and block not in picks
                and source.blocks.has(block)
            ):
                picks.append(block)
    return picks

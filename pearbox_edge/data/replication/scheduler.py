"""Choosing which block to ask which peer for next."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from .ranges import HeldBlocks, Wish, Wishes
from .remote_bitfield import RemoteBitfield
from .requests import RequestTable

WANT_SPAN = 1 << 21  # SPEC sheet 12: the span of a want, which starts at a multiple of it
MAX_WANTS = 512  # SPEC sheet 12: wants open at a time
MAX_REFUSALS = 32  # SPEC sheet 12: noData of a peer before it is asked nothing more


@dataclass(slots=True)
class Source:
    """One peer as somebody to ask: its number, what it holds and how far it can prove.

    `refused`: blocks it said it does not have, although its map says so.
    """

    number: int
    blocks: RemoteBitfield
    servable: int = 0
    wanted: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    refusals: int = 0


def choose(
    source: Source, room: int, wishes: Wishes, table: RequestTable, held: HeldBlocks
) -> list[int]:
    """Up to `room` blocks to ask a peer for: single wishes first, then ranges from their front.

    Blocks under way elsewhere are left out. Spans whose map must be asked for are noted in
    `source.wanted` by the caller, see `unknown_spans`.
    """
    if room <= 0 or not source.servable or source.refusals >= MAX_REFUSALS:
        return []
    picks: list[int] = []
    chosen: set[int] = set()
    under_way = table.blocks
    remote = source.blocks
    for index in wishes.blocks():
        if len(picks) >= room:
            return picks
        if (
            index < source.servable
            and index not in under_way
            and remote.has(index)
            and index not in source.refused
        ):
            picks.append(index)
            chosen.add(index)
    for wish in wishes.ranges():
        if len(picks) >= room:
            break
        _from_range(wish, source, room, under_way, held, picks, chosen)
    return picks


def _from_range(
    wish: Wish,
    source: Source,
    room: int,
    under_way: dict[int, int],
    held: HeldBlocks,
    picks: list[int],
    chosen: set[int],
) -> None:
    end = min(wish.end, source.servable)
    remote = source.blocks
    at = max(wish.front, wish.cursors.get(source.number, 0))
    while len(picks) < room and at < end:
        at = held.first_unset(at, end)
        if at >= remote.contiguous:
            there = remote.first_held(at, end)
            if there != at:
                at = there
                continue
        if at >= end:
            break
        if at not in under_way and at not in chosen and at not in source.refused:
            picks.append(at)
            chosen.add(at)
        at += 1
    wish.cursors[source.number] = at


def unknown_spans(source: Source, wishes: Wishes, length: int, held: HeldBlocks) -> Iterator[int]:
    """Starts of the spans whose map should be asked for: wished for, and not known to be held.

    Each is given once per peer.
    """
    for index in wishes.blocks():
        if index < length and not source.blocks.has(index):
            yield from _new_span(source, index)
    for wish in wishes.ranges():
        at = max(wish.front, source.blocks.contiguous)
        end = min(wish.end, length)
        while at < end and len(source.wanted) < MAX_WANTS:
            at = held.first_unset(at, end)
            if at >= end:
                break
            yield from _new_span(source, at)
            at = (at // WANT_SPAN + 1) * WANT_SPAN


def _new_span(source: Source, index: int) -> Iterator[int]:
    start = index - index % WANT_SPAN
    if start not in source.wanted and len(source.wanted) < MAX_WANTS:
        source.wanted.add(start)
        yield start

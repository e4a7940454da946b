"""A place in the tree of a version, moving over its keys in order, either way."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pearbox_edge.errors import PeerError

from .lookup import search
from .messages import Level, Node
from .source import MAX_DEPTH, NodeCache, Walk, open_level

MAX_AHEAD = 512
"""TUNING: blocks asked for at once: enough to hide a round trip, some 100 KiB of usual ones."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Bounds on keys; None is no bound. Of `gt` and `gte` (of `lt` and `lte`) give one."""

    gt: bytes | None = None
    gte: bytes | None = None
    lt: bytes | None = None
    lte: bytes | None = None

    def within(self, prefix: bytes) -> "KeyRange":
        """The same bounds for keys that all carry `prefix`; open sides end where the prefix ends.

        The prefix must not end with byte ff.
        """
        gt = None if self.gt is None else prefix + self.gt
        gte = None if self.gte is None else prefix + self.gte
        lt = None if self.lt is None else prefix + self.lt
        lte = None if self.lte is None else prefix + self.lte
        if prefix and gt is None and gte is None:
            gt = prefix
        if prefix and lt is None and lte is None:
            lt = prefix[:-1] + bytes([prefix[-1] + 1])
        return KeyRange(gt, gte, lt, lte)

    def is_above(self, key: bytes) -> bool:
        """Whether `key` lies above the upper bound."""
        if self.lt is not None:
            return key >= self.lt
        return self.lte is not None and key > self.lte

    def is_below(self, key: bytes) -> bool:
        """Whether `key` lies below the lower bound."""
        if self.gt is not None:
            return key <= self.gt
        return self.gte is not None and key < self.gte


class Step(NamedTuple):
    """What comes next: the tree node `offset` of block `seq`, or (`offset` -1) the key in `seq`."""

    seq: int
    offset: int


KEY = -1
"""In a Step: not a tree node but a key."""


class _Frame:
    """A tree node on the way down: `step` 2i is its child i, `step` 2i + 1 its key i."""

    __slots__ = ("level", "step")

    def __init__(self, level: Level, step: int) -> None:
        self.level = level
        self.step = step


class Cursor:
    """Moves over the keys of a range; tree nodes in between may be entered or stepped over.

    Ends on its own beyond the range. `seek` comes first; `ahead_limit` bounds how many blocks
    it asks for beyond the one it needs.
    """

    def __init__(
        self, nodes: NodeCache, version: int, bounds: KeyRange, *, reverse: bool = False
    ) -> None:
        self.ahead_limit = MAX_AHEAD
        self._nodes = nodes
        self._version = version
        self._bounds = bounds
        self._reverse = reverse
        self._move = -1 if reverse else 1
        self._beyond = bounds.is_below if reverse else bounds.is_above
        self._stack: list[_Frame] = []
        self._last: bytes | None = None

    def seek(self) -> Walk[None]:
        """Go to the first key of the range."""
        if self._version < 2:
            return
        bounds, reverse = self._bounds, self._reverse
        if reverse:
            start, inclusive = (bounds.lt, False) if bounds.lt is not None else (bounds.lte, True)
        else:
            start, inclusive = (bounds.gt, False) if bounds.gt is not None else (bounds.gte, True)
        seq, offset = self._version - 1, 0
        if start is None:
            yield from self._enter(seq, offset)
            return
        while True:
            level = yield from open_level(self._nodes, seq, offset, len(self._stack))
            position, found = yield from search(self._nodes, level, start)
            if found:
                step = 2 * position + 1
                self._stack.append(_Frame(level, step if inclusive else step + self._move))
                return
            self._stack.append(_Frame(level, 2 * position + self._move))
            if not level.children:
                return
            seq, offset = level.children[2 * position : 2 * position + 2]

    def peek(self) -> Step | None:
        """What comes next, or None at the end."""
        stack = self._stack
        while stack:
            frame = stack[-1]
            (keys, children), step = frame.level, frame.step
            if not 0 <= step <= 2 * len(keys):
                stack.pop()
            elif step & 1:
                return Step(keys[step >> 1], KEY)
            elif children:
                return Step(children[step], children[step + 1])
            else:
                frame.step = step + self._move
        return None

    def enter(self, step: Step) -> Walk[None]:
        """Go into the tree node that comes next."""
        if step.seq not in self._nodes:
            yield from self._need(step.seq)
        self._stack[-1].step += self._move
        yield from self._enter(step.seq, step.offset)

    def load(self, step: Step) -> Walk[Node]:
        """Give the block of the key that comes next, and stay."""
        node = self._nodes.get(step.seq)
        if node is None:
            node = yield from self._need(step.seq)
        return node

    def take(self, step: Step) -> Walk[Node | None]:
        """Give the block of the key that comes next and step over it; None beyond the range."""
        node = yield from self.load(step)
        return node if self.pass_key(node.key) else None

    def pass_key(self, key: bytes) -> bool:
        """Step over the key that comes next, which is `key`; False if that is beyond the range."""
        last = self._last
        # Keys go one way only: this is what ends a walk through a tree that leads back into itself.
        if last is not None and (key >= last if self._reverse else key <= last):
            raise PeerError("the keys of a tree are not in order")
        self._last = key
        if self._beyond(key):
            self._stack.clear()
            return False
        self._stack[-1].step += self._move
        return True

    def skip(self) -> None:
        """Step over the tree node that comes next, unread."""
        self._stack[-1].step += self._move

    def _enter(self, seq: int, offset: int) -> Walk[None]:
        level = yield from open_level(self._nodes, seq, offset, len(self._stack))
        self._stack.append(_Frame(level, 2 * len(level.keys) if self._reverse else 0))

    def _need(self, seq: int) -> Walk[Node]:
        """Ask for a block together with what the cursor will visit next."""
        wanted = [seq]
        seen = {seq}
        for ahead in self._ahead(4 * self.ahead_limit):
            if len(wanted) >= self.ahead_limit:
                break
            if ahead not in seen and ahead not in self._nodes:
                seen.add(ahead)
                wanted.append(ahead)
        yield wanted
        node = self._nodes.get(seq)
        if node is None:
            raise PeerError(f"block {seq} is missing")
        return node

    def _ahead(self, budget: int) -> Iterator[int]:
        """Block numbers that come next, nearest first, as far as known tree nodes tell."""
        pending = [(frame.level, frame.step, depth) for depth, frame in enumerate(self._stack)]
        while pending:
            level, step, depth = pending.pop()
            while 0 <= step <= 2 * len(level.keys):
                budget -= 1
                if budget < 0:
                    return
                at, step = step, step + self._move
                if at & 1:
                    seq = level.keys[at >> 1]
                    node = self._nodes.get(seq)
                    if node is not None and self._beyond(node.key):
                        return
                    yield seq
                elif level.children:
                    seq, offset = level.children[at : at + 2]
                    yield seq
                    child = self._nodes.get(seq)
                    if child is not None and depth < MAX_DEPTH:
                        # What lies below this child comes before the rest of this tree node.
                        pending.append((level, step, depth))
                        level = child.level(offset)
                        step = 2 * len(level.keys) if self._reverse else 0
                        depth += 1

"""The requests that are on their way: who was asked for what, and what nobody was asked for yet."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from pearbox_edge.data.core import BlockRequest, Proof, ProofRequest

MAX_CANCELLED = 4096
"""TUNING: cancelled requests remembered, so that their late answers are known for what they are."""


@dataclass(slots=True)
class Outstanding:
    """One request on its way.

    `peer` is the asked peer's number. `promised` are the tree nodes the answer will bring;
    `relies_on` is the request whose answer brings what this one leaves out, and `excused` tells
    that it never did. `arrived`: the answer is here, but not looked at yet. `on_end` is told
    whether it was good. `taker` is given the answer in the core's stead, None if there is none.
    """

    id: int
    peer: int
    want: ProofRequest
    block: int | None = None
    promised: list[int] = field(default_factory=list)
    relies_on: int = 0
    excused: bool = False
    arrived: bool = False
    on_end: Callable[[bool], None] | None = None
    taker: Callable[[Proof | None], None] | None = None

    def fits(self, proof: Proof) -> bool:
        """Whether an answer is one to this request: what was asked, nothing that was not."""
        want = self.want
        if proof.manifest is not None and not want.manifest:
            return False
        if is_bare(proof):
            return want.block is None  # all that a peer on another fork can give
        if proof.fork != want.fork or (proof.block is None) != (want.block is None):
            return False
        if proof.block is not None and proof.block[0] != (want.block or (-1,))[0]:
            return False
        if proof.hash is not None and (want.hash is None or proof.hash.index != want.hash.index):
            return False
        if proof.seek is not None and (
            want.seek is None or proof.seek.byte_offset != want.seek.byte_offset
        ):
            return False
        return proof.upgrade is None or want.upgrade is not None


def is_bare(proof: Proof) -> bool:
    """Whether a proof brings nothing, or the manifest alone."""
    return not (proof.block or proof.hash or proof.seek or proof.upgrade)


class RequestTable:
    """All requests of one core that are on their way, to all its peers.

    Numbers are never used twice, so a late answer cannot be taken for another.
    """

    def __init__(self) -> None:
        self._next_id = 1
        self._open: dict[int, Outstanding] = {}
        self._cancelled: dict[int, None] = {}
        self._counts: dict[int, int] = {}
        self._awaited: dict[int, int] = {}
        self.blocks: dict[int, int] = {}
        self.upgrade: Outstanding | None = None

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Outstanding]:
        return iter(list(self._open.values()))

    def is_waited_for(self, request_id: int) -> bool:
        """Whether the answer to a request has yet to be dealt with."""
        return request_id in self._open

    def excuse(self, failed: Outstanding) -> None:
        """A request brought nothing: what relied on it cannot be held against the peer."""
        if failed.block is None:
            return
        for outstanding in self._open.values():
            if outstanding.relies_on == failed.id:
                outstanding.excused = True

    def is_open(self, outstanding: Outstanding) -> bool:
        """Whether an answer to it still matters."""
        return outstanding.id in self._open

    def count(self, peer: int) -> int:
        """How many requests one peer has yet to answer."""
        return self._counts.get(peer, 0)

    def add(self, peer: int, want: ProofRequest) -> Outstanding:
        """Note a request to a peer, other than for a block; its number is fresh."""
        outstanding = Outstanding(self._next_id, peer, want)
        self._add(outstanding)
        if want.upgrade is not None:
            self.upgrade = outstanding
        return outstanding

    def add_block(self, peer: int, block: int, fork: int) -> Outstanding:
        """Note a request for a block; the steps it needs are put into `want` before it leaves."""
        want = ProofRequest(fork, BlockRequest(block, 0))
        outstanding = Outstanding(self._next_id, peer, want, block)
        self._add(outstanding)
        self.blocks[block] = self.blocks.get(block, 0) + 1
        return outstanding

    def _add(self, outstanding: Outstanding) -> None:
        peer = outstanding.peer
        self._open[self._next_id] = outstanding
        self._next_id += 1
        self._counts[peer] = self._counts.get(peer, 0) + 1
        self._awaited[peer] = self._awaited.get(peer, 0) + 1

    def arrive(self, request_id: int, peer: int) -> Outstanding | None:
        """An answer arrived: the request that it names; None if that peer owes no answer to it."""
        outstanding = self._open.get(request_id)
        if outstanding is None or outstanding.peer != peer or outstanding.arrived:
            return None
        outstanding.arrived = True
        self._awaited[peer] -= 1
        return outstanding

    def awaited(self, peer: int) -> int:
        """How many requests of one peer no answer has arrived for."""
        return self._awaited.get(peer, 0)

    def finish(self, outstanding: Outstanding) -> None:
        """An answer was dealt with. Nothing happens if the request was given up meanwhile."""
        if outstanding.id in self._open:
            self._forget(outstanding)

    def was_cancelled(self, request_id: int) -> bool:
        """Whether an answer that nobody waits for was asked for once."""
        return self._cancelled.pop(request_id, 0) is None

    def cancel(self, outstanding: Outstanding) -> None:
        """The answer no longer matters."""
        if outstanding.id in self._open:
            self._forget(outstanding)
            self.excuse(outstanding)
            self._cancelled[outstanding.id] = None
            if len(self._cancelled) > MAX_CANCELLED:
                del self._cancelled[next(iter(self._cancelled))]

    def of_block(self, block: int) -> list[Outstanding]:
        """The requests for one block that are on their way."""
        if block not in self.blocks:
            return []
        return [one for one in self._open.values() if one.block == block]

    def of_peer(self, peer: int) -> list[Outstanding]:
        """The requests that one peer has yet to answer, oldest first."""
        return [one for one in self._open.values() if one.peer == peer]

    def drop_peer(self, peer: int) -> list[Outstanding]:
        """A peer is gone: the requests that it will never answer."""
        lost = self.of_peer(peer)
        self._drop(lost)
        self._counts.pop(peer, None)
        self._awaited.pop(peer, None)
        return lost

    def _drop(self, lost: Iterable[Outstanding]) -> None:
        for outstanding in lost:
            self._forget(outstanding)

    def _forget(self, outstanding: Outstanding) -> None:
        del self._open[outstanding.id]
        if not outstanding.arrived:
            outstanding.arrived = True
            self._awaited[outstanding.peer] -= 1
        left = self._counts[outstanding.peer] - 1
        if left:
            self._counts[outstanding.peer] = left
        else:
            del self._counts[outstanding.peer]
        block = outstanding.block
        if block is not None:
            copies = self.blocks[block] - 1
            if copies:
                self.blocks[block] = copies
            else:
                del self.blocks[block]
        if self.upgrade is outstanding:
            self.upgrade = None

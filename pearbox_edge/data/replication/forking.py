"""Following a core to a higher fork: its head, then the few hashes that tell what is common.

    head arrives --verified--> asking for a path --answer--> ... --nothing left to ask--> taken over
                                      +------- refused, lost: what is known by then ----------^

One take-over at a time; it runs in tasks of the stream whose peer showed the head.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from pearbox_edge.data.core import HashPart, Hypercore, Narrowing, Proof, ProofRequest
from pearbox_edge.errors import PeerError, StorageError

from .connection import Peer
from .requests import Outstanding


class Questioner(Protocol):
    """What a take-over needs of the core's replicator."""

    core: Hypercore

    def ask(self, peer: Peer, want: ProofRequest) -> Outstanding:
        """Ask a peer for anything but a block."""

    def changed(self) -> None:
        """Something changed that an update or a seek may wait for."""

    def poke_all(self) -> None:
        """Have every peer look for something to do."""

    def fail(self, error: StorageError) -> None:
        """Nothing more can be stored."""


class Forking:
    """The take-over under way, if any: `peer` is who showed the head."""

    def __init__(self, owner: Questioner) -> None:
        self.peer: Peer | None = None
        self._fork = 0
        self._owner = owner

    def start(self, peer: Peer, proof: Proof) -> None:
        """A peer sent a head of a higher fork. Nothing happens while another is taken over."""
        if self.peer is None:
            self.peer = peer
            self._fork = self._owner.core.fork
            self._run(peer, partial(self._examine, peer, proof))

    def _run(self, peer: Peer, step: Callable[[], Awaitable[bool]]) -> None:
        peer.link.spawn(partial(self._guard, step))

    async def _guard(self, step: Callable[[], Awaitable[bool]]) -> None:
        goes_on = False
        try:
            goes_on = await step()
        except StorageError as error:
            self._owner.fail(error)
        except PeerError:
            # What does not fit is a lie, unless another fork was taken over meanwhile.
            if self._owner.core.fork == self._fork:
                raise
        finally:
            if not goes_on:
                self._end()

    def _end(self) -> None:
        self.peer = None
        self._owner.changed()
        self._owner.poke_all()

    def drop(self, peer: Peer) -> None:
        """A peer is gone: its take-over ends."""
        if self.peer is peer:
            self.peer = None

    async def _examine(self, peer: Peer, proof: Proof) -> bool:
        core = self._owner.core
        search = await core.forks.examine(proof)
        return await self._narrow(peer, search, None)

    async def _narrow(self, peer: Peer, search: Narrowing, part: HashPart | None) -> bool:
        """Whether an answer is waited for."""
        core = self._owner.core
        want = await core.forks.narrow(search, part)
        if want is not None and not peer.gone:
            request = ProofRequest(search.reorg.head.fork, hash=want)
            outstanding = self._owner.ask(peer, request)
            outstanding.taker = partial(self._answered, peer, search)
            peer.flush()
            return True
        await core.switch(search)
        return False

    def _answered(self, peer: Peer, search: Narrowing, proof: Proof | None) -> None:
        part = proof.hash if proof is not None else None
        if part is not None:
            self._run(peer, partial(self._narrow, peer, search, part))
        else:
            self._run(peer, partial(self._switch, search))

    async def _switch(self, search: Narrowing) -> bool:
        await self._owner.core.switch(search)
        return False

"""What peers send under number 0, asked for by nobody: heads that may contradict ours, and pushes.

A core whose signer signed two heads of one length is worth nothing: whoever sees both freezes it,
shows both heads to everybody, and neither serves nor asks any more.
"""

from dataclasses import replace
from functools import partial
from typing import Protocol

from pearbox_edge.data.core import (
    BlockRequest,
    Hypercore,
    Proof,
    ProofRequest,
    UpgradeRequest,
    flat_tree,
    upgraded_length,
)
from pearbox_edge.errors import PeerError

from .connection import Peer
from .forking import Forking
from .messages import Data, MessageType, Request, encode_data, encode_request
from .requests import Outstanding, RequestTable

CHECK_SECONDS = 2.0
"""TUNING: how long a peer whose data is bad may take to show its head before it is dropped."""
_UNASKED_ID = 0  # SPEC sheet 12: the number of pushes and conflict checks


class Taker(Protocol):
    """What claims need of the core's replicator."""

    core: Hypercore
    table: RequestTable
    forking: Forking
    allow_push: bool

    def took_push(self, peer: Peer, proof: Proof) -> None:
        """A pushed block was good and is held."""

    def cancel(self, requests: list[Outstanding]) -> None:
        """These answers matter no longer."""


class Claims:
    """Heads and blocks that nobody asked for, both ways."""

    def __init__(self, owner: Taker) -> None:
        self._owner = owner
        self._evidence: Proof | None = None

    async def take(self, peer: Peer, proof: Proof) -> None:
        """A peer sent this under number 0. PeerError if it is a lie."""
        owner = self._owner
        core, way = owner.core, proof.upgrade
        if core.conflicted:
            return
        if way is not None and way.start == 0:
            if proof.fork > core.fork:
                owner.forking.start(peer, proof)
                return
            if proof.fork == core.fork and core.length and await self._contradicts(proof):
                return
            if peer.machine.suspect is not None:
                raise peer.machine.suspect
        if owner.allow_push:
            await self._take_push(peer, proof)

    async def _contradicts(self, proof: Proof) -> bool:
        self._evidence = proof
        try:
            return await self._owner.core.check_conflict(proof)
        except PeerError as error:
            if error.code != "INVALID_OPERATION":
                raise
            return False

    async def _take_push(self, peer: Peer, proof: Proof) -> None:
        core = self._owner.core
        if proof.fork != core.fork:
            return
        if proof.upgrade is not None and upgraded_length(proof.upgrade) <= core.length:
            # We learned of that head meanwhile: the path leads to a node that is held.
            proof = replace(proof, upgrade=None, manifest=None)
        [result] = await core.accept_many([proof])
        if isinstance(result, PeerError):
            # It may be made for the head we had a moment ago; a peer that sends much of it is bad.
            peer.machine.note_unasked()
        elif proof.block is not None:
            self._owner.took_push(peer, proof)

    def suspect(self, peer: Peer, error: PeerError) -> bool:
        """A peer sent bad data: ask for its head first if its core may be another of the same key.

        Whether that was done; the peer is dropped soon after then unless a conflict comes to light.
        """
        core, remote = self._owner.core, peer.machine.exchange.remote
        if remote is None or remote.fork != core.fork or peer.machine.suspect is not None:
            return False
        length = min(core.length, remote.length)
        if not length or error.code not in {"INVALID_CHECKSUM", "INVALID_SIGNATURE"}:
            return False
        peer.machine.suspect = error
        self._owner.cancel(self._owner.table.of_peer(peer.number))
        want = ProofRequest(core.fork, upgrade=UpgradeRequest(0, length))
        peer.machine.send(MessageType.REQUEST, encode_request(Request(_UNASKED_ID, want)))
        peer.flush()
        peer.link.spawn(partial(self._drop_soon, peer, error))
        return True

    async def _drop_soon(self, peer: Peer, error: PeerError) -> None:
        await peer.link.sleep(CHECK_SECONDS)
        if not self._owner.core.conflicted:
            raise error

    async def show_head(self, peer: Peer) -> None:
        """The core is frozen: show a peer both heads, so that it freezes too, and part with it."""
        core, remote = self._owner.core, peer.machine.exchange.remote
        try:
            if remote is not None and remote.length and remote.fork == core.fork:
                way = UpgradeRequest(0, min(core.length, remote.length))
                [head] = await core.prove_many([ProofRequest(core.fork, upgrade=way)])
                # Whoever has our head learns from the other one, the writer itself perhaps.
                for proof in (head, self._evidence):
                    if isinstance(proof, Proof) and not peer.gone:
                        peer.machine.send(MessageType.DATA, *encode_data(Data(_UNASKED_ID, proof)))
        finally:
            peer.close()

    async def push(self, peer: Peer, index: int) -> bool:
        """Send a block that was not asked for, with the head if it is news; whether it was sent.

        Only to peers that take pushes, are on our fork and do not hold the block.
        """
        core, machine = self._owner.core, peer.machine
        remote = machine.exchange.remote
        if remote is None or not (remote.allow_push and remote.downloading):
            return False
        if remote.fork != core.fork or machine.source.blocks.has(index):
            return False
        known, length = max(remote.length, machine.pushed_length), core.length
        block = BlockRequest(index, flat_tree.max_missing_nodes(2 * index, known))
        way = UpgradeRequest(known, length - known) if index >= known else None
        want = ProofRequest(core.fork, block, upgrade=way, manifest=remote.length == 0)
        if way is not None:
            machine.pushed_length = length
        [proof] = await core.prove_many([want])
        if not isinstance(proof, Proof) or proof.block is None or peer.gone:
            return False
        machine.send(MessageType.DATA, *encode_data(Data(_UNASKED_ID, proof)))
        peer.flush()
        return True

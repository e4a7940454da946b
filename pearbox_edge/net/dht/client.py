"""Asking the DHT: who is listed, be listed, and small values; what comes back is verified."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from pearbox_edge.crypto import KeyPair, hash_bytes
from pearbox_edge.errors import DeniedError, PeerError, UnavailableError
from pearbox_edge.ids import PublicKey, Topic
from pearbox_edge.net.rpc import Commit, QueryOptions, Reply, RpcNode
from pearbox_edge.wire import Address

from .messages import (
    MAX_PEERS,
    Command,
    LookupAnswer,
    MutableValue,
    PeerRecord,
    check_value,
    decode_lookup_answer,
    decode_mutable,
    decode_peer,
    encode_announcement,
    encode_mutable_put,
    encode_seq,
)
from .signatures import (
    ANNOUNCE_TAG,
    UNANNOUNCE_TAG,
    is_mutable_signed,
    sign_announcement,
    sign_mutable,
    target_for,
)


class Listing(NamedTuple):
    """What one node told about a topic."""

    node: Address
    peers: tuple[PeerRecord, ...]
    bump: int
    to: Address
    """Our address as the node sees it."""


class FoundPeer(NamedTuple):
    """What one node told about a machine: it passes messages on to it."""

    node: Address
    peer: PeerRecord
    to: Address


class DhtClient:
    """Questions to the DHT that storing nodes answer. All raise UnavailableError when offline.

    Format: npm hyperdht 6.34.0.
    """

    def __init__(self, node: RpcNode) -> None:
        self._node = node

    # -- topics -----------------------------------------------------------------------------------

    async def lookup(self, topic: Topic) -> AsyncIterator[Listing]:
        """Who is listed under a topic, node by node; the same machine may come often."""
        query = self._node.query(topic, Command.LOOKUP)
        try:
            async for reply in query:
                answer = _listed(reply)
                if answer is not None:
                    yield Listing(reply.sender, answer.peers, answer.bump, reply.to)
        finally:
            query.cancel()

    async def announce(
        self,
        topic: Topic,
        key_pair: KeyPair,
        relay_addresses: tuple[Address, ...] = (),
        *,
        bump: int = 0,
    ) -> list[Listing]:
        """Be listed under a topic for 20 minutes; returns who else is.

        bump: milliseconds since 1970, when the topic last had something new; 0 for none.
        Raises UnavailableError if no node took it.
        """

        def commit(reply: Reply) -> Commit | None:
            if reply.token is None or reply.id is None:
                return None
            announcement = sign_announcement(
                ANNOUNCE_TAG,
                topic,
                reply.token,
                reply.id,
                key_pair,
                relay_addresses=relay_addresses,
                bump=bump,
            )
            return Commit(Command.ANNOUNCE, encode_announcement(announcement))

        found: list[Listing] = []
        async for reply in self._node.query(topic, Command.LOOKUP, commit=commit):
            answer = _listed(reply)
            if answer is not None:
                found.append(Listing(reply.sender, answer.peers, answer.bump, reply.to))
        return found

    async def unannounce(self, topic: Topic, key_pair: KeyPair) -> int:
        """Have ourselves taken off the lists of a topic; returns how many nodes did so."""

        def commit(reply: Reply) -> Commit | None:
            answer = _listed(reply)
            if answer is None or reply.token is None or reply.id is None:
                return None
            keys = [peer.public_key for peer in answer.peers]
            if key_pair.public_key not in keys and len(keys) < MAX_PEERS:
                return None
            announcement = sign_announcement(UNANNOUNCE_TAG, topic, reply.token, reply.id, key_pair)
            return Commit(Command.UNANNOUNCE, encode_announcement(announcement))

        query = self._node.query(topic, Command.LOOKUP, commit=commit)
        await query.finished()
        return query.stored

    # -- machines ---------------------------------------------------------------------------------

    async def find_peer(
        self, public_key: PublicKey, *, nodes: tuple[Address, ...] = (), retries: int | None = None
    ) -> AsyncIterator[FoundPeer]:
        """Nodes that pass messages on to a machine, as they are found.

        nodes: where to begin. retries: sends after the first one, if not the usual.
        """
        options = QueryOptions() if retries is None else QueryOptions(retries=retries)
        query = self._node.query(
            target_for(public_key), Command.FIND_PEER, None, options, nodes=nodes
        )
        try:
            async for reply in query:
                peer = _record(reply)
                if peer is not None and peer.public_key == public_key:
                    yield FoundPeer(reply.sender, peer, reply.to)
        finally:
            query.cancel()

    # -- values -----------------------------------------------------------------------------------

    async def put_immutable(self, value: bytes) -> bytes:
        """Have the DHT keep a value for two days; returns its hash, which finds it again.

        Raises UsageError above 1000 bytes, UnavailableError if no node took it.
        """
        check_value(value)
        target = hash_bytes(value)
        commit = Commit(Command.IMMUTABLE_PUT, value)
        await self._node.query(
            target, Command.IMMUTABLE_GET, commit=lambda _reply: commit
        ).finished()
        return target

    async def get_immutable(self, target: bytes) -> bytes | None:
        """The value with this hash, None if nobody has it."""
        query = self._node.query(target, Command.IMMUTABLE_GET)
        try:
            async for reply in query:
                if reply.value and hash_bytes(reply.value) == target:
                    return reply.value
        finally:
            query.cancel()
        return None

    async def put_mutable(self, key_pair: KeyPair, value: bytes, seq: int = 0) -> MutableValue:
        """Have the DHT keep a value for two days under our key, instead of one with a lower `seq`.

        Raises UsageError above 1000 bytes or for an empty value, DeniedError (SEQ_REUSED,
        SEQ_TOO_LOW) if a newer value is known, UnavailableError if no node took it.
        """
        check_value(value)
        public_key = key_pair.public_key
        put = sign_mutable(seq, value, key_pair)
        commit = Commit(Command.MUTABLE_PUT, encode_mutable_put(public_key, put))
        newest: MutableValue | None = None
        query = self._node.query(
            target_for(public_key),
            Command.MUTABLE_GET,
            encode_seq(0),
            commit=lambda _reply: commit,
        )
        try:
            async for reply in query:
                known = _signed(reply, public_key)
                if known is not None and (newest is None or known.seq > newest.seq):
                    newest = known
        except UnavailableError as error:
            if newest is None or newest.seq < seq or newest == put:
                raise
            code = "SEQ_REUSED" if newest.seq == seq else "SEQ_TOO_LOW"
            raise DeniedError(f"the DHT has a value with seq {newest.seq}", code=code) from error
        return put

    async def get_mutable(
        self, public_key: PublicKey, seq: int = 0, *, latest: bool = True
    ) -> MutableValue | None:
        """The value under a key, with this sequence number or a higher one; None if there is none.

        latest: ask all nodes for the newest; else take the first one that is good.
        """
        found: MutableValue | None = None
        query = self._node.query(target_for(public_key), Command.MUTABLE_GET, encode_seq(seq))
        try:
            async for reply in query:
                known = _signed(reply, public_key)
                if known is None or known.seq < seq:
                    continue
                if not latest:
                    return known
                if found is None or known.seq > found.seq:
                    found = known
        finally:
            query.cancel()
        return found


def _listed(reply: Reply) -> LookupAnswer | None:
    try:
        return decode_lookup_answer(reply.value) if reply.value else None
    except PeerError:
        return None


def _record(reply: Reply) -> PeerRecord | None:
    try:
        return decode_peer(reply.value) if reply.value else None
    except PeerError:
        return None


def _signed(reply: Reply, public_key: PublicKey) -> MutableValue | None:
    try:
        found = decode_mutable(reply.value) if reply.value else None
    except PeerError:
        return None
    return found if found is not None and is_mutable_signed(found, public_key) else None

"""The storing node: announcements and values that others leave with us, within limits."""

from collections.abc import Callable
from dataclasses import dataclass

from pearbox_edge.crypto import hash_bytes
from pearbox_edge.ids import NodeId, PublicKey
from pearbox_edge.net.rpc import IncomingRequest
from pearbox_edge.wire import Address

from .answers import BARE, Answer, Refusal, Value
from .caches import AnnouncementCache, ExpiringCache
from .messages import (
    MAX_PEERS,
    MAX_RELAYS,
    SEQ_REUSED,
    SEQ_TOO_LOW,
    Command,
    MutableValue,
    PeerRecord,
    decode_announcement,
    decode_mutable,
    decode_mutable_put,
    decode_seq,
    encode_lookup_answer,
    encode_mutable,
    encode_peer,
    target_of,
)
from .router import Route, Router
from .signatures import (
    ANNOUNCE_TAG,
    UNANNOUNCE_TAG,
    is_announcement_signed,
    is_mutable_signed,
    target_for,
)

MAX_RECORDS = 65536  # SPEC announcements
MAX_VALUES = 32768  # SPEC of each kind
RECORD_AGE = 20 * 60.0  # SPEC seconds
VALUE_AGE = 48 * 3600.0  # SPEC seconds
MAX_DRIFT = 60.0  # SPEC seconds that a bump may be ahead of our clock
MAX_PER_TOPIC = 4096  # TUNING machines listed under one topic
MAX_VALUE_BYTES = 32 << 20  # TUNING of each kind: 32768 honest values of 1000 bytes fit
MAX_STORED_VALUE = 1536  # TUNING bytes: the answer must fit in a datagram of 2048


@dataclass(frozen=True, slots=True)
class _Refresh:
    """An announcement that whoever knows the preimage may repeat."""

    target: bytes
    public_key: PublicKey
    record: bytes
    is_self: bool


class StoringNode:
    """Answers the commands 2 to 9 of a lasting member of the DHT; other commands are not ours.

    Nothing is stored without a token (the sender does receive at its host) and a signature or hash.
    Invalid questions get silence. Pure: `now` is monotonic, `wall` is seconds since 1970.
    Format: npm hyperdht 6.34.0, `lib/persistent.js`.
    """

    def __init__(self, router: Router, random_bytes: Callable[[int], bytes]) -> None:
        self._router = router
        self._random_bytes = random_bytes
        self._records = AnnouncementCache(MAX_RECORDS, RECORD_AGE, MAX_PER_TOPIC)
        self._bumps: ExpiringCache[bytes, int] = ExpiringCache(MAX_RECORDS, RECORD_AGE)
        self._refreshes: ExpiringCache[bytes, _Refresh] = ExpiringCache(MAX_RECORDS, RECORD_AGE)
        self._mutables: ExpiringCache[bytes, bytes] = ExpiringCache(
            MAX_VALUES, VALUE_AGE, max_bytes=MAX_VALUE_BYTES
        )
        self._immutables: ExpiringCache[bytes, bytes] = ExpiringCache(
            MAX_VALUES, VALUE_AGE, max_bytes=MAX_VALUE_BYTES
        )

    def counters(self) -> dict[str, int]:
        """How much is kept, for the status page and tests."""
        return {
            "records": len(self._records),
            "routes": len(self._router),
            "bumps": len(self._bumps),
            "refreshes": len(self._refreshes),
            "mutables": len(self._mutables),
            "immutables": len(self._immutables),
            "value_bytes": self._mutables.bytes + self._immutables.bytes,
        }

    def answer(
        self, request: IncomingRequest, node: NodeId, now: float, wall: float
    ) -> Answer | None:
        """What to answer, None for silence; PeerError if it cannot be read.

        node: our id, which announcements are signed for.
        """
        target = target_of(request.target)
        match request.command:
            case Command.FIND_PEER:
                route = self._router.get(target, now)
                return Value(None if route is None else route.record)
            case Command.LOOKUP:
                return self._lookup(target, now)
            case Command.MUTABLE_GET:
                return self._get_mutable(target, request.value, now)
            case Command.IMMUTABLE_GET:
                return Value(self._immutables.get(target, now))
        if request.token is None or request.value is None:
            return None
        match request.command:
            case Command.ANNOUNCE:
                return self._announce(
                    target, request.token, request.value, request.sender, node, now, wall
                )
            case Command.UNANNOUNCE:
                return self._unannounce(target, request.token, request.value, node)
            case Command.MUTABLE_PUT:
                return self._put_mutable(target, request.value, now)
            case Command.IMMUTABLE_PUT:
                return self._put_immutable(target, request.value, now)
            case _:
                return None

    def unannounce(self, target: bytes, public_key: PublicKey) -> None:
        """Forget that a machine announced itself here: ourselves, mostly."""
        if target_for(public_key) == target:
            self._router.delete(target)
        self._records.remove(target, public_key)

    # -- announcements ----------------------------------------------------------------------------

    def _lookup(self, target: bytes, now: float) -> Answer:
        records = self._records.pick(target, MAX_PEERS, now, self._random_bytes)
        route = self._router.get(target, now)
        if route is not None and len(records) < MAX_PEERS:
            records.append(route.record)
        if not records:
            return Value()
        return Value(encode_lookup_answer(records, self._bumps.get(target, now) or 0))

    def _announce(
        self,
        target: bytes,
        token: bytes,
        value: bytes,
        sender: Address,
        node: NodeId,
        now: float,
        wall: float,
    ) -> Answer | None:
        announcement = decode_announcement(value)
        peer, refresh = announcement.peer, announcement.refresh
        if peer is None:
            return None if refresh is None else self._refresh(refresh, sender, now)
        if not is_announcement_signed(ANNOUNCE_TAG, target, token, node, announcement):
            return None
        public_key = peer.public_key
        kept = _Refresh(
            target,
            public_key,
            encode_peer(PeerRecord(public_key, peer.relay_addresses[:MAX_RELAYS])),
            target_for(public_key) == target,
        )
        self._keep(kept, sender, now)
        if not kept.is_self:
            bump = announcement.bump
            if (self._bumps.get(target, now) or 0) < bump <= (wall + MAX_DRIFT) * 1000:
                self._bumps.set(target, bump, now)
        if refresh is not None:
            self._refreshes.set(refresh, kept, now)
        return BARE

    def _refresh(self, preimage: bytes, sender: Address, now: float) -> Answer | None:
        known = hash_bytes(preimage)
        kept = self._refreshes.get(known, now)
        if kept is None:
            return None
        self._keep(kept, sender, now)
        self._refreshes.pop(known)
        self._refreshes.set(preimage, kept, now)
        return BARE

    def _keep(self, kept: _Refresh, sender: Address, now: float) -> None:
        if kept.is_self:
            self._router.set(kept.target, Route(sender, kept.record), now)
            self._records.remove(kept.target, kept.public_key)
        else:
            self._records.add(kept.target, kept.public_key, kept.record, now)

    def _unannounce(self, target: bytes, token: bytes, value: bytes, node: NodeId) -> Answer | None:
        announcement = decode_announcement(value)
        peer = announcement.peer
        if peer is None or not is_announcement_signed(
            UNANNOUNCE_TAG, target, token, node, announcement
        ):
            return None
        self.unannounce(target, peer.public_key)
        return BARE

    # -- values -----------------------------------------------------------------------------------

    def _get_mutable(self, target: bytes, value: bytes | None, now: float) -> Answer | None:
        if value is None:
            return None
        wanted = decode_seq(value)
        stored = self._mutables.get(target, now)
        if stored is None or decode_seq(stored) < wanted:
            return Value()
        return Value(stored)

    def _put_mutable(self, target: bytes, value: bytes, now: float) -> Answer | None:
        public_key, put = decode_mutable_put(value)
        if target_for(public_key) != target or not put.value or len(put.value) > MAX_STORED_VALUE:
            return None
        if not is_mutable_signed(put, public_key):
            return None
        refusal = self._conflict(target, put, now)
        if refusal is not None:
            return refusal
        stored = encode_mutable(put)
        self._mutables.set(target, stored, now, size=len(stored))
        return Value()

    def _conflict(self, target: bytes, put: MutableValue, now: float) -> Refusal | None:
        before = self._mutables.get(target, now)
        if before is None:
            return None
        known = decode_mutable(before)
        if known.seq == put.seq and known.value != put.value:
            return Refusal(SEQ_REUSED)
        return Refusal(SEQ_TOO_LOW) if put.seq < known.seq else None

    def _put_immutable(self, target: bytes, value: bytes, now: float) -> Answer | None:
        if not value or len(value) > MAX_STORED_VALUE or hash_bytes(value) != target:
            return None
        self._immutables.set(target, value, now, size=len(value))
        return Value()

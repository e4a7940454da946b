"""The Noise patterns XX and IK, message by message."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pearbox_edge.crypto import KeyPair, exchange
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.wire import Buffer

from .symmetric import KEY_SIZE, MAC_SIZE, MAX_MESSAGE, SymmetricState


class Pattern(Enum):
    """Who knows whose key beforehand, and what each message carries."""

    XX = "XX"
    """Nobody knows anybody: three messages, the keys travel encrypted."""
    IK = "IK"
    """The initiator knows the responder's key: two messages."""


_MESSAGES: dict[Pattern, tuple[tuple[str, ...], ...]] = {  # SPEC sheet 03; the initiator begins
    Pattern.XX: (("e",), ("e", "ee", "s", "es"), ("s", "se")),
    Pattern.IK: (("e", "es", "s", "ss"), ("e", "ee", "se")),
}


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What a finished handshake leaves: enough to run a secret stream."""

    is_initiator: bool
    tx: bytes
    """32 bytes: the key we send with."""
    rx: bytes
    """32 bytes: the key we receive with."""
    handshake_hash: bytes
    """64 bytes, equal on both sides and of no other connection."""
    remote_public_key: PublicKey


class HandshakeMachine:
    """One side of one handshake; `write` and `read` in turn until `keys` is there.

        initiator: write, read, write (XX)      responder: read, write, read (XX)
                   write, read        (IK)                 read, write       (IK)

    Pure: the ephemeral key is a seed drawn from `random_bytes(32)`. After a PeerError it is dead.
    Format: npm noise-handshake 4.2.0, protocol `Noise_<pattern>_Ed25519_ChaChaPoly_BLAKE2b`.
    """

    def __init__(
        self,
        pattern: Pattern,
        *,
        is_initiator: bool,
        key_pair: KeyPair,
        random_bytes: Callable[[int], bytes],
        prologue: bytes = b"",
        remote_public_key: PublicKey | None = None,
    ) -> None:
        self.keys: SessionKeys | None = None
        """The result, once the last message is written or read."""
        self.remote_public_key: PublicKey | None = None
        """The other side's static key, as soon as it is known."""
        self._is_initiator = is_initiator
        self._static = key_pair
        self._random_bytes = random_bytes
        self._ephemeral: KeyPair | None = None
        self._remote_ephemeral: PublicKey | None = None
        self._expected = remote_public_key
        self._messages = _MESSAGES[pattern]
        self._turn = 0
        self._dead = False
        name = f"Noise_{pattern.value}_Ed25519_ChaChaPoly_BLAKE2b"
        self._symmetric = SymmetricState(name.encode())
        self._symmetric.mix_hash(prologue)
        if pattern is Pattern.IK:
            if is_initiator:
                if remote_public_key is None:
                    raise UsageError("IK needs the responder's public key")
                self.remote_public_key = remote_public_key
                self._symmetric.mix_hash(remote_public_key)
            else:
                self._symmetric.mix_hash(key_pair.public_key)

    @property
    def is_our_turn(self) -> bool:
        """Whether the next step is `write`."""
        return self.keys is None and (self._turn % 2 == 0) == self._is_initiator

    def write(self, payload: Buffer = b"") -> bytes:
        """Our next message, carrying `payload`."""
        if self._dead or not self.is_our_turn:
            raise UsageError("it is not our turn in the handshake")
        symmetric = self._symmetric
        parts: list[bytes] = []
        try:
            for step in self._messages[self._turn]:
                if step == "e":
                    self._ephemeral = KeyPair.from_seed(self._random_bytes(KEY_SIZE))
                    symmetric.mix_hash(self._ephemeral.public_key)
                    parts.append(self._ephemeral.public_key)
                elif step == "s":
                    parts.append(symmetric.seal(self._static.public_key))
                else:
                    symmetric.mix_key(self._exchange(step))
        except PeerError:
            self._dead = True
            raise
        parts.append(symmetric.seal(payload))
        message = b"".join(parts)
        if len(message) > MAX_MESSAGE:
            raise UsageError("the handshake payload is too long")
        self._advance()
        return message

    def read(self, message: Buffer) -> bytes:
        """The payload of their next message. Raises PeerError if anything in it is wrong."""
        if self._dead or self.keys is not None or self.is_our_turn:
            raise UsageError("it is not their turn in the handshake")
        try:
            payload = self._read(memoryview(message))
        except PeerError:
            self._dead = True
            raise
        self._advance()
        return payload

    def _read(self, message: memoryview) -> bytes:
        if len(message) > MAX_MESSAGE:
            raise PeerError("the handshake message is too long")
        symmetric = self._symmetric
        start = 0
        for step in self._messages[self._turn]:
            if step not in ("e", "s"):
                symmetric.mix_key(self._exchange(step))
                continue
            size = KEY_SIZE + MAC_SIZE if step == "s" and symmetric.has_key else KEY_SIZE
            part = message[start : start + size]
            if len(part) < size:
                raise PeerError("the handshake message is too short")
            start += size
            if step == "e":
                self._remote_ephemeral = PublicKey(bytes(part))
                symmetric.mix_hash(part)
            else:
                key = PublicKey(symmetric.open(part))
                if self._expected is not None and key != self._expected:
                    raise PeerError("the other end is not the machine that was dialled")
                self.remote_public_key = key
        return symmetric.open(message[start:])

    def _exchange(self, step: str) -> bytes:
        """The secret of `ee`, `es`, `se` or `ss`: initiator's key first, then responder's."""
        own, their = (step[0], step[1]) if self._is_initiator else (step[1], step[0])
        own_pair = self._ephemeral if own == "e" else self._static
        their_key = self._remote_ephemeral if their == "e" else self.remote_public_key
        if own_pair is None or their_key is None:
            raise UsageError("a handshake pattern uses a key before it is known")
        return exchange(own_pair, their_key)

    def _advance(self) -> None:
        self._turn += 1
        if self._turn < len(self._messages):
            return
        if self.remote_public_key is None:
            raise UsageError("a handshake pattern ends without the other side's key")
        forth, back = self._symmetric.split()
        self.keys = SessionKeys(
            is_initiator=self._is_initiator,
            tx=forth if self._is_initiator else back,
            rx=back if self._is_initiator else forth,
            handshake_hash=self._symmetric.hash,
            remote_public_key=self.remote_public_key,
        )

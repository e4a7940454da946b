"""Who may sign a core: the manifest, whose hash is the core's key (sheet 11)."""

from dataclasses import dataclass

from pearbox_edge.crypto import hash_bytes, namespace
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import KEY_SIZE, CoreKey, PublicKey
from pearbox_edge.wire import Buffer, Reader, Writer

# SPEC sheet 11: the tags of namespace "hypercore", in order.
(
    TREE,
    REPLICATE_INITIATOR,
    REPLICATE_RESPONDER,
    MANIFEST,
    DEFAULT_NAMESPACE,
    DEFAULT_ENCRYPTION,
) = namespace("hypercore", 6)

# SPEC sheet 11: manifest flags and fixed numbers.
_ALLOW_PATCH = 1
_PROLOGUE = 2
_LINKED = 4
_USER_DATA = 8
_BLAKE2B = 0
_ED25519 = 0
_V0_STATIC = 0
_V0_ONE_SIGNER = 1
_V0_SIGNERS = 2
MAX_VERSION = 3
DEFAULT_VERSION = 1

MAX_SIGNERS = 256
"""TUNING: signers in one manifest; autobase has a handful, a hostile list no end."""
MAX_LINKED = 1024
"""TUNING: linked cores in one manifest."""


@dataclass(frozen=True, slots=True)
class Signer:
    """One key that may sign (Ed25519), and the namespace it signs under in version 0."""

    public_key: PublicKey
    namespace: bytes = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class Prologue:
    """A beginning fixed in the key itself: tree hash (32 bytes) of the first `length` blocks."""

    tree_hash: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Who may sign a core and what it begins with.

    `quorum` is how many of the signers must sign a head; 0 without signers (a static core).
    Format: npm hypercore 11.39.5, manifest versions 0 to 3.
    """

    signers: tuple[Signer, ...]
    quorum: int
    version: int = DEFAULT_VERSION
    allow_patch: bool = False
    prologue: Prologue | None = None
    linked: tuple[CoreKey, ...] | None = None
    user_data: bytes | None = None

    @classmethod
    def default(cls, public_key: PublicKey) -> "Manifest":
        """What a new core gets: version 1, one signer, the default namespace."""
        return cls(signers=(Signer(public_key),), quorum=1)

    @classmethod
    def create(
        cls,
        signers: tuple[Signer, ...] = (),
        *,
        quorum: int | None = None,
        version: int | None = None,
        allow_patch: bool = False,
        prologue: Prologue | None = None,
        linked: tuple[CoreKey, ...] | None = None,
        user_data: bytes | None = None,
    ) -> "Manifest":
        """Make a manifest with the usual defaults filled in; UsageError if it contradicts itself.

        The default quorum is a majority; the default version 2 if a field needs it, else 1.
        """
        if version is None:
            version = 2 if linked or user_data is not None else DEFAULT_VERSION
        if quorum is None:
            quorum = len(signers) // 2 + 1 if signers else 0
        if not 0 <= version <= MAX_VERSION:
            raise UsageError(f"there is no manifest version {version}")
        if not 0 <= quorum <= len(signers):
            raise UsageError(f"a quorum of {quorum} among {len(signers)} signers")
        if version < 2 and (linked or user_data is not None):
            raise UsageError("linked cores and user data need manifest version 2")
        if prologue is not None and (len(prologue.tree_hash) != KEY_SIZE or prologue.length < 0):
            raise UsageError("a prologue is a hash of 32 bytes and a length")
        return cls(signers, quorum, version, allow_patch, prologue, linked or None, user_data)

    @property
    def key(self) -> CoreKey:
        """The key of a core with this manifest (not of a compat core)."""
        return CoreKey(hash_bytes(MANIFEST, self.encode()))

    def is_compat(self, key: CoreKey) -> bool:
        """Whether `key` is the only signer's own public key, as in cores of old."""
        return len(self.signers) == 1 and bytes(self.signers[0].public_key) == key

    def fits(self, key: CoreKey) -> bool:
        """Whether this manifest belongs to the core `key`."""
        return self.is_compat(key) or self.key == key

    def encode(self) -> bytes:
        """The bytes whose hash is the key."""
        writer = Writer()
        self.write(writer)
        return bytes(writer.finish())

    def write(self, writer: Writer) -> None:
        """Write the manifest as part of a message."""
        if self.version == 0:
            self._write_v0(writer)
            return
        flags = (
            (_ALLOW_PATCH if self.allow_patch else 0)
            | (_PROLOGUE if self.prologue is not None else 0)
            | (_LINKED if self.linked is not None else 0)
            | (_USER_DATA if self.user_data is not None else 0)
        )
        writer.uint(self.version)
        writer.uint(flags)
        writer.uint(_BLAKE2B)
        writer.uint(self.quorum)
        _write_signers(writer, self.signers)
        if self.prologue is not None:
            writer.fixed32(self.prologue.tree_hash)
            writer.uint(self.prologue.length)
        if self.linked is not None:
            writer.uint(len(self.linked))
            for key in self.linked:
                writer.fixed32(key)
        if self.user_data is not None:
            writer.buffer(self.user_data)

    def _write_v0(self, writer: Writer) -> None:
        writer.uint(0)
        writer.uint(_BLAKE2B)
        if self.prologue is not None and not self.signers:
            writer.uint(_V0_STATIC)
            writer.fixed32(self.prologue.tree_hash)
        elif self.quorum == 1 and len(self.signers) == 1 and not self.allow_patch:
            writer.uint(_V0_ONE_SIGNER)
            _write_signer(writer, self.signers[0])
        else:
            writer.uint(_V0_SIGNERS)
            writer.uint(_ALLOW_PATCH if self.allow_patch else 0)
            writer.uint(self.quorum)
            _write_signers(writer, self.signers)

    @classmethod
    def decode(cls, data: Buffer) -> "Manifest":
        """Read a manifest that fills `data`; PeerError if it is not one."""
        reader = Reader(data)
        manifest = cls.read(reader)
        if reader.remaining:
            raise PeerError("bytes are left after the manifest")
        return manifest

    @classmethod
    def read(cls, reader: Reader) -> "Manifest":
        """Read a manifest from within a message; PeerError if it is not one."""
        version = reader.uint()
        if version > MAX_VERSION:
            raise PeerError(f"unknown manifest version {version}")
        if version == 0:
            return cls._read_v0(reader)
        flags = reader.uint()
        _read_hash(reader)
        quorum = reader.uint()
        signers = _read_signers(reader)
        prologue = Prologue(reader.fixed32(), reader.uint()) if flags & _PROLOGUE else None
        linked = None
        if flags & _LINKED:
            count = _bounded(reader.uint(), MAX_LINKED, "linked cores")
            linked = tuple(CoreKey(reader.fixed32()) for _ in range(count))
        user_data = bytes(reader.buffer()) if flags & _USER_DATA else None
        allow_patch = bool(flags & _ALLOW_PATCH)
        return cls(signers, quorum, version, allow_patch, prologue, linked, user_data)

    @classmethod
    def _read_v0(cls, reader: Reader) -> "Manifest":
        _read_hash(reader)
        kind = reader.uint()
        if kind == _V0_STATIC:
            return cls((), 0, 0, prologue=Prologue(reader.fixed32(), 0))
        if kind == _V0_ONE_SIGNER:
            return cls((_read_signer(reader),), 1, 0)
        if kind == _V0_SIGNERS:
            flags = reader.uint()
            quorum = reader.uint()
            return cls(_read_signers(reader), quorum, 0, bool(flags & _ALLOW_PATCH))
        raise PeerError(f"unknown manifest type {kind}")


def _write_signers(writer: Writer, signers: tuple[Signer, ...]) -> None:
    writer.uint(len(signers))
    for signer in signers:
        _write_signer(writer, signer)


def _write_signer(writer: Writer, signer: Signer) -> None:
    writer.uint(_ED25519)
    writer.fixed32(signer.namespace)
    writer.fixed32(signer.public_key)


def _read_signers(reader: Reader) -> tuple[Signer, ...]:
    count = _bounded(reader.uint(), MAX_SIGNERS, "signers")
    return tuple(_read_signer(reader) for _ in range(count))


def _read_signer(reader: Reader) -> Signer:
    if (signature := reader.uint()) != _ED25519:
        raise PeerError(f"unknown signature type {signature}")
    signer_namespace = reader.fixed32()
    return Signer(PublicKey(reader.fixed32()), signer_namespace)


def _read_hash(reader: Reader) -> None:
    if (kind := reader.uint()) != _BLAKE2B:
        raise PeerError(f"unknown hash type {kind}")


def _bounded(count: int, most: int, what: str) -> int:
    if count > most:
        raise PeerError(f"{count} {what} in a manifest")
    return count

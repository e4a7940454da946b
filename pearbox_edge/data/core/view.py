"""What can be seen of a core without waiting, and who may do what with it."""

from collections.abc import Sequence

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.storage import LEFT_OVER, Head, Storage, StoredCore
from pearbox_edge.errors import StorageError, UnavailableError, UsageError
from pearbox_edge.ids import CoreKey, DiscoveryKey
from pearbox_edge.logs import short
from pearbox_edge.wire import Buffer

from .bitfield import Bitfield
from .encryption import PADDING, BlockCipher, EncryptionMode, block_key
from .extensions import Extensions
from .hooks import CoreListener, Fetcher
from .manifest import Manifest
from .merkle_tree import GrowingTree
from .state import CoreState
from .verifier import may_sign, sign_head, verify_head

CONFLICT_NAME = "core/conflict"
"""The user data that marks a core as frozen for good."""


class CoreView:
    """The part of `Hypercore` that neither waits nor writes."""

    def __init__(
        self, storage: Storage, stored: StoredCore, state: CoreState, key_pair: KeyPair | None
    ) -> None:
        self.storage = storage
        self.key: CoreKey = stored.key
        self.discovery_key: DiscoveryKey = stored.discovery_key
        self.key_pair = key_pair
        self.fetcher: Fetcher | None = None
        self.extensions = Extensions()
        self.user_data: dict[str, bytes] = dict(stored.user_data)
        self.closed = False
        self.conflicted = CONFLICT_NAME in stored.user_data
        self.failure: StorageError | None = None
        self._state = state
        self._encryption: tuple[EncryptionMode | None, bytes] | None = None
        self._cipher: BlockCipher | None = None
        self._listeners: list[CoreListener] = []

    @property
    def manifest(self) -> Manifest | None:
        """Who may sign; None for a core that no head was seen of yet."""
        return self._state.manifest

    @property
    def bitfield(self) -> Bitfield:
        """Blocks held, staged ones too. To look at, not to change."""
        return self._state.bitfield

    @property
    def head(self) -> Head:
        """The newest signed head; its byte length counts stored bytes."""
        return self._state.head

    @property
    def length(self) -> int:
        """Blocks in the newest head."""
        return self._state.head.length

    @property
    def fork(self) -> int:
        """How often the core was truncated."""
        return self._state.head.fork

    @property
    def byte_length(self) -> int:
        """Plain bytes of all blocks, held or not."""
        head = self._state.head
        return head.byte_length - self.padding * head.length

    @property
    def contiguous_length(self) -> int:
        """Blocks held with no gap from 0."""
        return self._state.bitfield.contiguous

    @property
    def padding(self) -> int:
        """Bytes of each stored block that do not count: 8 with an encryption key, else 0."""
        return PADDING if self._encryption is not None else 0

    @property
    def encrypted(self) -> bool:
        """Whether blocks are encrypted here (a core whose encryption key is unknown says no)."""
        return self._encryption is not None

    @property
    def writable(self) -> bool:
        """Whether the key pair at hand may append."""
        manifest = self._state.manifest
        return manifest is not None and may_sign(self.key, manifest, self.key_pair)

    @property
    def is_compat(self) -> bool:
        """Whether the key is the signer's own, as in cores of old."""
        return self._state.is_compat

    def set_encryption(self, encryption_key: bytes, mode: EncryptionMode | None = None) -> None:
        """Read and write blocks encrypted from now on; `mode` None takes what fits the core."""
        self._encryption = (mode, encryption_key)
        self._cipher = None

    def has(self, index: int, end: int | None = None) -> bool:
        """Whether block `index` (or all of `index` up to `end`) is held here."""
        if end is None:
            return self._state.bitfield.has(index)
        return self._state.bitfield.has_range(index, end)

    def add_listener(self, listener: CoreListener) -> None:
        """Tell `listener` of every change from now on."""
        self._listeners.append(listener)

    def remove_listener(self, listener: CoreListener) -> None:
        """Tell `listener` no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def _check_open(self) -> None:
        if self.closed:
            raise UnavailableError("the core is closed", code="SESSION_CLOSED")

    def _check_changeable(self) -> None:
        self._check_open()
        if self.conflicted:
            raise self.conflict()
        if self.failure is not None:
            raise self.failure

    def conflict(self) -> UnavailableError:
        """What whoever wants more of a frozen core is told."""
        return UnavailableError(
            f"core {short(self.key)} was signed twice: it is frozen for good", code="CONFLICT"
        )

    @property
    def has_left_over(self) -> bool:
        """Whether block bytes may lie at rest that nothing tells of any more; see `adopt`."""
        return LEFT_OVER in self.user_data

    def _check_writable(self) -> None:
        self._check_changeable()
        if not self.writable:
            raise UsageError("the core is not writable", code="SESSION_NOT_WRITABLE")

    def _sign(self, length: int, fork: int, tree_hash: bytes) -> bytes:
        if self.manifest is None or self.key_pair is None:
            raise UsageError("the core is not writable", code="SESSION_NOT_WRITABLE")
        return sign_head(self.key, self.manifest, self.key_pair, length, fork, tree_hash)

    def _signature(self, grown: GrowingTree, fork: int, given: bytes | None) -> bytes:
        """The signature of a new head: the own, or what others made, if that is right."""
        if given is None:
            return self._sign(grown.length, fork, grown.hash())
        manifest = self.manifest
        if manifest is None or not verify_head(
            self.key, manifest, grown.length, fork, grown.roots, given
        ):
            raise UsageError("the signature does not fit these blocks", code="INVALID_SIGNATURE")
        return given

    def _sealed(self, blocks: Sequence[Buffer]) -> Sequence[Buffer]:
        """Blocks as they would be stored at the end of the core."""
        cipher, head = self._block_cipher(), self.head
        if cipher is None:
            return blocks
        return [cipher.encrypt(head.length + at, head.fork, one) for at, one in enumerate(blocks)]

    def _block_cipher(self) -> BlockCipher | None:
        if self._encryption is not None and self._cipher is None:
            mode, encryption_key = self._encryption
            if mode is None:
                mode = EncryptionMode.COMPAT if self.is_compat else EncryptionMode.DEFAULT
            self._cipher = BlockCipher(block_key(mode, encryption_key, self.key))
        return self._cipher

    def _plain(self, index: int, stored: Buffer) -> bytes:
        cipher = self._block_cipher()
        if cipher is not None:
            return cipher.decrypt(index, stored)
        return stored if isinstance(stored, bytes) else bytes(stored)

"""One signed append-only log: its tree, bits, heads, proofs and blocks.

Upstream: npm hypercore 11.39.5, flat-tree 1.13.0, hypercore-crypto 3.7.0 (sheets 10, 11, 12).
Door: `Hypercore`, `Snapshot`, `Manifest`, `Fetcher`, proofs and requests as values, `flat_tree`.
Must not know: streams, channels or peers; only what they ask to prove and what they claim.
Law: nothing is believed unless a signed tree covers it; a step counts whole or not at all.
"""

from . import flat_tree
from .aio import MAX_BLOCK_SIZE, Hypercore
from .bitfield import Bitfield
from .checking import verify_storage
from .encryption import PADDING, BlockCipher, EncryptionMode, block_key
from .extensions import Extension, Extensions
from .findings import Finding, FindingKind
from .hooks import Accepted, CoreListener, Fetcher, Refusal, RefusalReason
from .manifest import (
    DEFAULT_NAMESPACE,
    REPLICATE_INITIATOR,
    REPLICATE_RESPONDER,
    Manifest,
    Prologue,
    Signer,
)
from .narrowing import Narrowing
from .proof import (
    BlockPart,
    BlockRequest,
    HashPart,
    HashRequest,
    Proof,
    ProofRequest,
    SeekPart,
    SeekRequest,
    UpgradePart,
    UpgradeRequest,
)
from .proof_verifier import upgraded_length
from .snapshot import Snapshot
from .verifier import SignatureProof, assemble, sign_share

__all__ = [
    "DEFAULT_NAMESPACE",
    "MAX_BLOCK_SIZE",
    "PADDING",
    "REPLICATE_INITIATOR",
    "REPLICATE_RESPONDER",
    "Accepted",
    "Bitfield",
    "BlockCipher",
    "BlockPart",
    "BlockRequest",
    "CoreListener",
    "EncryptionMode",
    "Extension",
    "Extensions",
    "Fetcher",
    "Finding",
    "FindingKind",
    "HashPart",
    "HashRequest",
    "Hypercore",
    "Manifest",
    "Narrowing",
    "Prologue",
    "Proof",
    "ProofRequest",
    "Refusal",
    "RefusalReason",
    "SeekPart",
    "SeekRequest",
    "SignatureProof",
    "Signer",
    "Snapshot",
    "UpgradePart",
    "UpgradeRequest",
    "assemble",
    "block_key",
    "flat_tree",
    "sign_share",
    "upgraded_length",
    "verify_storage",
]

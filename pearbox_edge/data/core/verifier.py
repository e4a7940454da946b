"""Signatures of heads: making and checking them as the manifest demands (sheet 11)."""

from collections.abc import Sequence
from typing import NamedTuple

from pearbox_edge.crypto import KeyPair, sign, verify
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import CoreKey
from pearbox_edge.wire import Buffer, Reader, Writer

from .flat_tree import MAX_LENGTH, growth
from .manifest import MAX_SIGNERS, TREE, Manifest
from .merkle_tree import GrowingTree

_SIGNATURE_SIZE = 64  # SPEC sheet 11
MAX_PATCH_NODES = 1024
"""TUNING: nodes in one signature blob; each proof needs about a hundred at most."""


class SignatureProof(NamedTuple):
    """One signer's share: which signer, 64 bytes, and how many blocks longer the signed tree is."""

    signer: int
    signature: bytes
    patch: int = 0


class SignatureBlob(NamedTuple):
    """All shares, and the nodes that the patches need."""

    proofs: tuple[SignatureProof, ...]
    patch: tuple[TreeNode, ...] = ()


def signable(context: bytes, tree_hash: bytes, length: int, fork: int) -> bytes:
    """The 112 bytes a signer signs; `context` is the core key (version 0: the namespace)."""
    return TREE + context + tree_hash + length.to_bytes(8, "little") + fork.to_bytes(8, "little")


def signable_compat(tree_hash: bytes, length: int, fork: int) -> bytes:
    """The 80 bytes signed in a core whose key is the signer's own."""
    return signable(b"", tree_hash, length, fork)


def encode_blob(blob: SignatureBlob) -> bytes:
    """The signature blob of manifests from version 1 on."""
    writer = Writer()
    writer.uint(len(blob.proofs))
    for proof in blob.proofs:
        writer.uint(proof.signer)
        writer.raw(proof.signature)
        writer.uint(proof.patch)
    _write_nodes(writer, blob.patch)
    return bytes(writer.finish())


def decode_blob(data: Buffer) -> SignatureBlob:
    """Read a signature blob of manifests from version 1 on; PeerError if it is not one."""
    reader = Reader(data)
    proofs = []
    for _ in range(_bounded(reader.uint(), MAX_SIGNERS)):
        signer = reader.uint()
        signature = reader.fixed(_SIGNATURE_SIZE)
        proofs.append(SignatureProof(signer, signature, reader.uint()))
    return SignatureBlob(tuple(proofs), _read_nodes(reader))


def encode_blob_v0(blob: SignatureBlob, length: int) -> bytes:
    """The signature blob of version 0 manifests, for a head of `length` blocks."""
    places = {node.index: place for place, node in enumerate(blob.patch)}
    writer = Writer()
    writer.uint(len(blob.proofs))
    for proof in blob.proofs:
        writer.uint(1 if proof.patch else 0)
        writer.uint(proof.signer)
        writer.raw(proof.signature)
        if proof.patch:
            used = [places[index] for index in growth(length, length + proof.patch)]
            writer.uint(length)
            writer.uint(proof.patch)
            writer.uint(len(used))
            for place in used:
                writer.uint(place)
    _write_nodes(writer, blob.patch)
    return bytes(writer.finish())


def decode_blob_v0(data: Buffer) -> SignatureBlob:
    """Read a signature blob of version 0 manifests; PeerError if it is not one."""
    reader = Reader(data)
    proofs = []
    for _ in range(_bounded(reader.uint(), MAX_SIGNERS)):
        patched = reader.uint() & 1
        signer = reader.uint()
        signature = reader.fixed(_SIGNATURE_SIZE)
        patch = 0
        if patched:
            reader.uint()
            patch = reader.uint()
            for _ in range(_bounded(reader.uint(), MAX_PATCH_NODES)):
                reader.uint()
        proofs.append(SignatureProof(signer, signature, patch))
    return SignatureBlob(tuple(proofs), _read_nodes(reader))


def verify_head(
    key: CoreKey,
    manifest: Manifest,
    length: int,
    fork: int,
    roots: Sequence[TreeNode],
    signature: Buffer,
) -> bool:
    """Whether `signature` makes (length, fork, roots) a head of this core. Order of sheet 11."""
    tree = GrowingTree(length, roots)
    if manifest.is_compat(key):
        message = signable_compat(tree.hash(), length, fork)
        return _verify(message, signature, manifest.signers[0].public_key)
    if manifest.version == 0:
        if len(manifest.signers) == 1 and not manifest.allow_patch:
            signer = manifest.signers[0]
            message = signable(signer.namespace, tree.hash(), length, fork)
            return _verify(message, signature, signer.public_key)
    elif manifest.prologue is not None and length <= manifest.prologue.length:
        # Fixed by the key itself: who holds the key needs no signature.
        prologue = manifest.prologue
        return length == prologue.length and tree.hash() == prologue.tree_hash
    return _verify_several(key, manifest, tree, fork, signature)


def _verify_several(
    key: CoreKey, manifest: Manifest, tree: GrowingTree, fork: int, signature: Buffer
) -> bool:
    if manifest.quorum == 0 or not len(signature):
        return False
    try:
        blob = decode_blob(signature) if manifest.version else decode_blob_v0(signature)
    except PeerError:
        return False
    if len(blob.proofs) < manifest.quorum:
        return False
    nodes = {node.index: node for node in blob.patch}
    used: set[int] = set()
    # A bad share among the first refuses, even if later ones are good: as every reader does.
    for proof in blob.proofs[: manifest.quorum]:
        if proof.signer >= len(manifest.signers) or proof.signer in used:
            return False
        used.add(proof.signer)
        signed = tree
        if proof.patch and manifest.allow_patch:
            patched = _patched(tree, proof.patch, nodes)
            if patched is None:
                return False
            signed = patched
        signer = manifest.signers[proof.signer]
        context = key if manifest.version else signer.namespace
        message = signable(context, signed.hash(), signed.length, fork)
        if not _verify(message, proof.signature, signer.public_key):
            return False
    return True


def _patched(tree: GrowingTree, patch: int, nodes: dict[int, TreeNode]) -> GrowingTree | None:
    if tree.length + patch > MAX_LENGTH:
        return None
    grown = GrowingTree(tree.length, tree.roots)
    for index in growth(tree.length, tree.length + patch):
        node = nodes.get(index)
        if node is None:
            return None
        grown.append(node)
    return grown


def may_sign(key: CoreKey, manifest: Manifest, key_pair: KeyPair | None) -> bool:
    """Whether this key pair alone can make a head of this core."""
    if key_pair is None:
        return False
    if not manifest.is_compat(key) and manifest.quorum != 1:
        return False
    return any(signer.public_key == key_pair.public_key for signer in manifest.signers)


def sign_share(
    key: CoreKey,
    manifest: Manifest,
    key_pair: KeyPair,
    length: int,
    fork: int,
    tree_hash: bytes,
) -> SignatureProof:
    """One signer's share over a head; UsageError if the key pair is not a signer's."""
    for place, signer in enumerate(manifest.signers):
        if signer.public_key == key_pair.public_key:
            if manifest.is_compat(key):
                message = signable_compat(tree_hash, length, fork)
            else:
                context = key if manifest.version else signer.namespace
                message = signable(context, tree_hash, length, fork)
            return SignatureProof(place, sign(message, key_pair))
    raise UsageError("this key pair may not sign the core")


def sign_head(
    key: CoreKey,
    manifest: Manifest,
    key_pair: KeyPair,
    length: int,
    fork: int,
    tree_hash: bytes,
) -> bytes:
    """The signature blob of a head that one key pair signs alone; UsageError if it may not."""
    if not may_sign(key, manifest, key_pair):
        raise UsageError("this key pair alone cannot sign the core")
    share = sign_share(key, manifest, key_pair, length, fork, tree_hash)
    if manifest.is_compat(key):
        return share.signature
    if manifest.version == 0:
        if len(manifest.signers) == 1 and not manifest.allow_patch:
            return share.signature
        return encode_blob_v0(SignatureBlob((share,)), length)
    return encode_blob(SignatureBlob((share,)))


def assemble(
    manifest: Manifest,
    shares: Sequence[SignatureProof],
    length: int,
    patch: Sequence[TreeNode] = (),
) -> bytes:
    """The signature blob of a head of `length` blocks from the shares of its signers.

    `patch`: the nodes that shares over a longer tree need. UsageError if there are too few.
    """
    if len(shares) < manifest.quorum or not shares:
        raise UsageError(f"{len(shares)} shares where {manifest.quorum} are needed")
    blob = SignatureBlob(tuple(shares), tuple(patch))
    if manifest.version:
        return encode_blob(blob)
    if len(manifest.signers) == 1 and not manifest.allow_patch:
        return shares[0].signature
    return encode_blob_v0(blob, length)


def _verify(message: bytes, signature: Buffer, public_key: bytes) -> bool:
    if len(signature) != _SIGNATURE_SIZE:
        return False
    return verify(message, bytes(signature), public_key)


def _write_nodes(writer: Writer, nodes: Sequence[TreeNode]) -> None:
    writer.uint(len(nodes))
    for node in nodes:
        writer.uint(node.index)
        writer.uint(node.size)
        writer.fixed32(node.hash)


def _read_nodes(reader: Reader) -> tuple[TreeNode, ...]:
    count = _bounded(reader.uint(), MAX_PATCH_NODES)
    return tuple(TreeNode(reader.uint(), reader.uint(), reader.fixed32()) for _ in range(count))


def _bounded(count: int, most: int) -> int:
    if count > most:
        raise PeerError("a signature with too many parts", code="INVALID_SIGNATURE")
    return count

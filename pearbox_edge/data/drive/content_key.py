"""The key of a drive's blobs, made from the manifest of its entries."""

from pearbox_edge.crypto import hash_bytes, namespace
from pearbox_edge.data.core import Manifest, Signer
from pearbox_edge.ids import CoreKey

(_BLOBS,) = namespace("hyperdrive", 1)  # SPEC sheet 15


def content_manifest(manifest: Manifest, key: CoreKey) -> Manifest | None:
    """The manifest of the blobs that go with the drive `key`; None for drives of old.

    Those name their blobs in the header instead. Format: npm hyperdrive 13.3.4.
    """
    if manifest.version < 1 or manifest.is_compat(key):
        return None
    signers = tuple(
        Signer(signer.public_key, hash_bytes(_BLOBS, key, signer.namespace))
        for signer in manifest.signers
    )
    return Manifest(signers, manifest.quorum, manifest.version, manifest.allow_patch)


def content_key(manifest: Manifest, key: CoreKey) -> CoreKey | None:
    """The key of the blobs that go with the drive `key`; None for drives of old."""
    derived = content_manifest(manifest, key)
    return None if derived is None else derived.key

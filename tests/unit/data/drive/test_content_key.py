"""The key of the blobs from the drive's manifest."""

from pearbox_edge.data.core import Manifest, Prologue
from pearbox_edge.data.drive.content_key import content_key, content_manifest
from pearbox_edge.ids import CoreKey
from tests.kit.bees import KEY_PAIR

MANIFEST = Manifest.default(KEY_PAIR.public_key)


def test_signers_stay_and_their_namespaces_change() -> None:
    derived = content_manifest(MANIFEST, MANIFEST.key)
    assert derived is not None
    assert derived.signers[0].public_key == KEY_PAIR.public_key
    assert derived.signers[0].namespace != MANIFEST.signers[0].namespace
    assert content_key(MANIFEST, MANIFEST.key) == derived.key


def test_prologue_links_and_user_data_are_dropped() -> None:
    manifest = Manifest.create(
        MANIFEST.signers,
        prologue=Prologue(bytes(32), 3),
        linked=(CoreKey(bytes(32)),),
        user_data=b"x",
    )
    derived = content_manifest(manifest, manifest.key)
    assert derived is not None
    assert (derived.prologue, derived.linked, derived.user_data) == (None, None, None)
    assert derived.version == manifest.version


def test_drives_of_old_have_none() -> None:
    old = Manifest.create(MANIFEST.signers, version=0)
    assert content_key(old, old.key) is None
    assert content_key(MANIFEST, CoreKey(KEY_PAIR.public_key)) is None

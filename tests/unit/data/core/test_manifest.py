"""A manifest is the preimage of a key: what is read is written again the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import Manifest, Prologue, Signer
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import CoreKey, PublicKey

KEYS = st.binary(min_size=32, max_size=32)
SIGNERS = st.lists(st.builds(Signer, KEYS.map(PublicKey), KEYS), max_size=3).map(tuple)
LATER = st.builds(
    Manifest,
    signers=SIGNERS,
    quorum=st.integers(0, 3),
    version=st.integers(1, 3),
    allow_patch=st.booleans(),
    prologue=st.none() | st.builds(Prologue, KEYS, st.integers(0, 1 << 40)),
    linked=st.none() | st.lists(KEYS.map(CoreKey), min_size=1, max_size=3).map(tuple),
    user_data=st.none() | st.binary(max_size=20),
)
FIRST = st.one_of(
    st.builds(
        Manifest,
        signers=SIGNERS,
        quorum=st.integers(0, 3),
        version=st.just(0),
        allow_patch=st.booleans(),
    ),
    KEYS.map(lambda tree_hash: Manifest((), 0, 0, prologue=Prologue(tree_hash, 0))),
)
MANIFESTS = LATER | FIRST
PUBLIC_KEY = KeyPair.from_seed(bytes(32)).public_key


@given(MANIFESTS)
def test_what_is_encoded_decodes_to_the_same(manifest: Manifest) -> None:
    assert Manifest.decode(manifest.encode()) == manifest


@given(st.binary(max_size=120))
def test_any_bytes_give_a_manifest_or_a_peer_error(data: bytes) -> None:
    try:
        manifest = Manifest.decode(data)
    except PeerError:
        return
    assert Manifest.decode(manifest.encode()) == manifest


@given(MANIFESTS, st.data())
def test_a_cut_manifest_is_refused(manifest: Manifest, data: st.DataObject) -> None:
    encoded = manifest.encode()
    with pytest.raises(PeerError):
        Manifest.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def test_a_new_core_has_one_signer() -> None:
    manifest = Manifest.default(PUBLIC_KEY)
    assert (manifest.version, manifest.quorum, len(manifest.signers)) == (1, 1, 1)
    assert manifest.fits(manifest.key)
    assert not manifest.is_compat(manifest.key)


def test_a_core_of_old_is_named_by_its_signer() -> None:
    key = CoreKey(PUBLIC_KEY)
    assert Manifest.default(PUBLIC_KEY).is_compat(key)
    assert Manifest.default(PUBLIC_KEY).fits(key)


def test_defaults_are_a_majority_and_the_lowest_version_that_can_say_it() -> None:
    signers = tuple(Signer(PublicKey(bytes([i]) * 32)) for i in range(3))
    assert Manifest.create(signers).quorum == 2
    assert Manifest.create(signers).version == 1
    assert Manifest.create(signers, user_data=b"x").version == 2
    assert Manifest.create().quorum == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"quorum": 2},
        {"quorum": -1},
        {"version": 4},
        {"version": 1, "user_data": b""},
        {"version": 0, "linked": (CoreKey(bytes(32)),)},
        {"prologue": Prologue(b"short", 1)},
    ],
)
def test_a_manifest_that_contradicts_itself_is_a_bug(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Manifest.create((Signer(PUBLIC_KEY),), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [b"\xfd\xff\xff", b"\xfe\xff\xff\xff\xff"])
def test_a_claim_of_many_signers_is_refused(count: bytes) -> None:
    with pytest.raises(PeerError):
        Manifest.decode(b"\x01\x00\x00\x01" + count)

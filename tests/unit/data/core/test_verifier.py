"""Heads are signed and checked as the manifest demands; blobs are read like any peer's bytes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import Manifest, Signer
from pearbox_edge.data.core.flat_tree import growth
from pearbox_edge.data.core.verifier import (
    SignatureBlob,
    SignatureProof,
    decode_blob,
    decode_blob_v0,
    encode_blob,
    encode_blob_v0,
    may_sign,
    sign_head,
    sign_share,
    verify_head,
)
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import CoreKey
from tests.kit.cores import grown

PAIRS = [KeyPair.from_seed(bytes([i]) * 32) for i in range(4)]
SIGNERS = tuple(Signer(pair.public_key) for pair in PAIRS[:3])
TREE = grown([b"a", b"bc", b"", b"def", b"g"])
NODES = st.builds(
    TreeNode,
    st.integers(0, 1 << 52),
    st.integers(0, 1 << 52),
    st.binary(min_size=32, max_size=32),
)
BLOBS = st.builds(
    SignatureBlob,
    st.lists(
        st.builds(
            SignatureProof,
            st.integers(0, 1 << 52),
            st.binary(min_size=64, max_size=64),
            st.integers(0, 1 << 52),
        ),
        max_size=3,
    ).map(tuple),
    st.lists(NODES, max_size=3).map(tuple),
)


@given(BLOBS)
def test_a_blob_decodes_to_itself(blob: SignatureBlob) -> None:
    assert decode_blob(encode_blob(blob)) == blob


@given(st.binary(max_size=200))
def test_any_bytes_give_a_blob_or_a_peer_error(data: bytes) -> None:
    for decode in (decode_blob, decode_blob_v0):
        with suppress(PeerError):
            decode(data)


@given(BLOBS, st.data())
def test_a_cut_blob_is_refused(blob: SignatureBlob, data: st.DataObject) -> None:
    encoded = encode_blob(blob)
    with pytest.raises(PeerError):
        decode_blob(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("compat", [False, True])
def test_what_one_signer_signs_is_a_head(version: int, compat: bool) -> None:
    manifest = Manifest.create(SIGNERS[:1], version=version)
    key = CoreKey(PAIRS[0].public_key) if compat else manifest.key
    blob = sign_head(key, manifest, PAIRS[0], TREE.length, 3, TREE.hash())
    assert verify_head(key, manifest, TREE.length, 3, TREE.roots, blob)
    assert not verify_head(key, manifest, TREE.length, 4, TREE.roots, blob)
    assert not verify_head(key, manifest, TREE.length, 3, TREE.roots, blob[:-1])
    assert not verify_head(key, manifest, TREE.length, 3, TREE.roots, b"")


def test_any_one_of_several_may_sign_if_one_is_enough() -> None:
    manifest = Manifest.create(SIGNERS, quorum=1)
    blob = sign_head(manifest.key, manifest, PAIRS[2], TREE.length, 0, TREE.hash())
    assert verify_head(manifest.key, manifest, TREE.length, 0, TREE.roots, blob)


def test_who_is_no_signer_or_not_enough_may_not_sign() -> None:
    one, several = Manifest.create(SIGNERS[:1]), Manifest.create(SIGNERS)
    assert not may_sign(one.key, one, None)
    assert not may_sign(one.key, one, PAIRS[3])
    assert not may_sign(several.key, several, PAIRS[0])
    with pytest.raises(UsageError):
        sign_head(several.key, several, PAIRS[0], 0, 0, bytes(32))
    with pytest.raises(UsageError):
        sign_share(several.key, several, PAIRS[3], 0, 0, bytes(32))


@pytest.mark.parametrize("version", [0, 1])
def test_a_quorum_may_sign_a_longer_tree_by_a_patch(version: int) -> None:
    manifest = Manifest.create(SIGNERS, version=version, allow_patch=True)
    longer = grown([b"a", b"bc", b"", b"def", b"g", b"h", b"i"])
    nodes = {node.index: node for node in longer.nodes}
    patch = tuple(nodes[index] for index in growth(TREE.length, longer.length))
    one = sign_share(manifest.key, manifest, PAIRS[0], TREE.length, 0, TREE.hash())
    two = sign_share(manifest.key, manifest, PAIRS[1], longer.length, 0, longer.hash())
    shares = SignatureBlob((one, two._replace(patch=2)), patch)
    encoded = encode_blob(shares) if version else encode_blob_v0(shares, TREE.length)
    assert verify_head(manifest.key, manifest, TREE.length, 0, TREE.roots, encoded)
    bare = SignatureBlob((one, two._replace(patch=2)))
    assert not verify_head(manifest.key, manifest, TREE.length, 0, TREE.roots, encode_blob(bare))


@pytest.mark.parametrize("patch", [1 << 50, (1 << 53) - 1])
def test_a_patch_of_any_claimed_length_costs_nothing(patch: int) -> None:
    manifest = Manifest.create(SIGNERS, quorum=1, allow_patch=True)
    blob = encode_blob(SignatureBlob((SignatureProof(0, bytes(64), patch),)))
    assert not verify_head(manifest.key, manifest, TREE.length, 0, TREE.roots, blob)

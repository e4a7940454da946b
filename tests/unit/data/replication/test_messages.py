import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.crypto import KeyPair
from pearbox_edge.data.core import (
    BlockPart,
    BlockRequest,
    HashPart,
    HashRequest,
    Manifest,
    Proof,
    ProofRequest,
    SeekPart,
    SeekRequest,
    UpgradePart,
    UpgradeRequest,
)
from pearbox_edge.data.replication import messages as m
from pearbox_edge.data.storage import TreeNode
from pearbox_edge.errors import PeerError
from tests.kit.wire_messages import KINDS, joined

MANIFEST = Manifest.default(KeyPair.from_seed(bytes(32)).public_key)
uints = st.integers(0, (1 << 53) - 1)
hashes = st.binary(min_size=32, max_size=32)
node_lists = st.lists(st.builds(TreeNode, uints, uints, hashes), max_size=4)
proofs = st.builds(
    Proof,
    uints,
    st.none() | st.builds(BlockPart, uints, st.binary(max_size=300), node_lists),
    st.none() | st.builds(HashPart, uints, node_lists),
    st.none() | st.builds(SeekPart, uints, node_lists),
    st.none()
    | st.builds(UpgradePart, uints, uints, node_lists, node_lists, st.binary(max_size=70)),
    st.sampled_from([None, MANIFEST]),
)
wants = st.builds(
    ProofRequest,
    uints,
    st.none() | st.builds(BlockRequest, uints, uints),
    st.none() | st.builds(HashRequest, uints, uints),
    st.none() | st.builds(SeekRequest, uints, uints),
    st.none() | st.builds(UpgradeRequest, uints, uints),
    st.booleans(),
)
words = st.binary(max_size=40).map(lambda data: data[: len(data) // 4 * 4])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "handshake": st.builds(m.Handshake, hashes, st.booleans()),
    "sync": st.builds(m.Sync, uints, uints, uints, *[st.booleans()] * 5),
    "request": st.builds(m.Request, uints, wants, uints),
    "cancel": uints,
    "data": st.builds(m.Data, uints, proofs),
    "noData": st.builds(m.NoData, uints, uints),
    "want": st.builds(m.Want, uints, uints, st.booleans()),
    "unwant": st.builds(m.Want, uints, uints, st.booleans()),
    "bitfield": st.builds(m.BitfieldMessage, uints, words),
    "range": st.builds(m.Range, uints, uints, st.booleans()),
    "extension": st.builds(m.ExtensionMessage, st.text(max_size=9), st.binary(max_size=40)),
}
each_kind = pytest.mark.parametrize("name", list(VALUES))


@each_kind
@settings(max_examples=40)
@given(data=st.data())
def test_what_is_encoded_decodes_to_the_same(name: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[name])
    kind = KINDS[name]
    assert kind.decode(joined(kind.encode(value))) == value


@each_kind
@settings(max_examples=60)
@given(body=st.binary(max_size=200))
def test_any_bytes_give_a_value_or_peer_error(name: str, body: bytes) -> None:
    check_decodes_or_refuses(KINDS[name].decode, body)


@each_kind
@settings(max_examples=25)
@given(data=st.data())
def test_cut_input_gives_a_value_or_peer_error(name: str, data: st.DataObject) -> None:
    kind = KINDS[name]
    body = joined(kind.encode(data.draw(VALUES[name])))
    check_decodes_or_refuses(kind.decode, body[: data.draw(st.integers(0, len(body)))])


def check_decodes_or_refuses(decode: Callable[[bytes], Any], body: bytes) -> None:
    with contextlib.suppress(PeerError):
        decode(body)


def test_the_value_of_a_block_is_not_copied_either_way() -> None:
    value = bytes(70_000)
    parts = m.encode_data(m.Data(7, Proof(0, BlockPart(3, value, []))))
    assert any(part is value for part in parts)
    body = b"".join(parts)
    block = m.decode_data(body).proof.block
    assert block is not None
    assert isinstance(block.value, memoryview)
    assert block.value.obj is body


def test_a_proof_with_too_many_nodes_is_refused() -> None:
    nodes = [TreeNode(0, 0, bytes(32))] * (m.NODES_LIMIT + 1)
    body = joined(m.encode_data(m.Data(1, Proof(0, BlockPart(0, b"", nodes)))))
    with pytest.raises(PeerError):
        m.decode_data(body)
    with pytest.raises(PeerError):
        m.decode_data(bytes.fromhex("01010000ff00000000001fff00"))


def test_a_no_data_of_old_peers_has_no_reason() -> None:
    assert m.decode_no_data(b"\x05") == m.NoData(5, 0)

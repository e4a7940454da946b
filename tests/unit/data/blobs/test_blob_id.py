"""Ids of blobs as JSON."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs.blob_id import MAX_NUMBER, BlobId
from pearbox_edge.errors import PeerError

counts = st.integers(0, MAX_NUMBER)
ids = st.builds(BlobId, counts, counts, counts, counts, st.booleans())
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["blockOffset", "blockLength", "byteOffset", "byteLength", "blockMap"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(ids, st.booleans())
def test_an_id_comes_back_as_it_was_written(blob: BlobId, batch_order: bool) -> None:
    assert BlobId.from_json(json.loads(json.dumps(blob.to_json(batch_order=batch_order)))) == blob


@given(anything)
def test_any_value_is_an_id_or_refused(value: object) -> None:
    with contextlib.suppress(PeerError):
        assert isinstance(BlobId.from_json(value), BlobId)


@pytest.mark.parametrize("bad", [-1, 1.5, True, "1", None, MAX_NUMBER + 1, 1e300])
def test_a_field_that_is_no_count_is_refused(bad: object) -> None:
    fields = {"blockOffset": 0, "blockLength": 1, "byteOffset": 0, "byteLength": bad}
    with pytest.raises(PeerError):
        BlobId.from_json(fields)


def test_a_whole_number_written_as_a_fraction_is_taken() -> None:
    fields = {"blockOffset": 0, "blockLength": 1.0, "byteOffset": 0, "byteLength": 5}
    assert BlobId.from_json(fields) == BlobId(0, 1, 0, 5)
    assert BlobId(3, 4, 0, 5).block_end == 7

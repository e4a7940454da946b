"""Entries: read by the names of their fields, whatever else is there or missing."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.data.blobs import BlobId, Json
from pearbox_edge.data.drive.entry import Entry, decode_entry, encode_value
from pearbox_edge.errors import PeerError

counts = st.integers(0, 2**53 - 1)
blobs = st.builds(BlobId, counts, counts, counts, counts, st.booleans())
metadata = st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["executable", "linkname", "blob", "metadata"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(
    st.text(max_size=9), st.booleans(), st.none() | st.text(min_size=1), st.none() | blobs, metadata
)
def test_an_entry_comes_back_as_it_was_written(
    path: str, executable: bool, linkname: str | None, blob: BlobId | None, metadata: Json
) -> None:
    value = encode_value(executable=executable, linkname=linkname, blob=blob, metadata=metadata)
    entry = decode_entry(path.encode(), 7, value)
    assert entry == Entry(path, 7, executable, linkname, blob, metadata)


@given(st.binary(max_size=20), st.none() | st.binary(max_size=20))
def test_any_bytes_are_an_entry_or_refused(key: bytes, value: bytes | None) -> None:
    with contextlib.suppress(PeerError):
        decode_entry(key, 1, value)


@given(anything)
def test_any_json_is_an_entry_or_refused(value: object) -> None:
    with contextlib.suppress(PeerError):
        decode_entry(b"/a", 1, json.dumps(value).encode())


def test_missing_fields_have_their_defaults() -> None:
    assert decode_entry(b"/a", 1, b"{}") == Entry("/a", 1)
    assert decode_entry(b"/a", 1, b'{"executable":1,"new":[]}') == Entry("/a", 1, executable=True)


@pytest.mark.parametrize(
    "value", [None, b"", b"x", b"1", b"[]", b'"a"', b"null", b'{"blob":1}', b'{"linkname":5}',
              b'{"blob":{"blockOffset":-1,"blockLength":0,"byteOffset":0,"byteLength":0}}'],
)  # fmt: skip
def test_what_is_no_entry_is_refused(value: bytes | None) -> None:
    with pytest.raises(PeerError):
        decode_entry(b"/a", 1, value)


def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(PeerError):
        decode_entry(b"/\xff", 1, b"{}")


def test_the_size_of_a_mapped_file_is_not_in_its_entry() -> None:
    assert Entry("/a", 1).size == 0
    assert Entry("/a", 1, blob=BlobId(0, 1, 0, 5)).size == 5
    assert Entry("/a", 1, blob=BlobId(0, 1, 0, 5, block_map=True)).size is None

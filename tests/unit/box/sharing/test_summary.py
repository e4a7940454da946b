from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.box.files import Stamp
from pearbox_edge.box.sharing.plan import Known
from pearbox_edge.box.sharing.stamps import decode_stamp, encode_stamp
from pearbox_edge.box.sharing.summary import (
    MAX_EXTRAS,
    Summary,
    decode_summary,
    encode_summary,
    restore,
    summarise,
)

STAMP = Stamp(size=5, mtime_ns=1_000, ctime_ns=2_000, inode=7, executable=True)


def test_a_drive_is_told_from_its_stamps_and_the_rest() -> None:
    known = {
        "/a": Known(5, True, None),
        "/link": Known(None, False, "a"),
        "/new\n": Known(9, False, None),
    }
    stamps = {"/a": encode_stamp(STAMP)}
    summary = summarise(7, 1, known, stamps)
    assert summary is not None
    assert "/a" not in summary.extras
    stored = decode_summary(encode_summary(summary))
    assert stored == summary
    assert restore(stored, stamps) == known


def test_what_does_not_go_together_is_not_remembered() -> None:
    stamps = {"/a": encode_stamp(STAMP)}
    assert summarise(7, 1, {}, stamps) is None
    assert summarise(7, 1, {"/a": Known(None, False, "x")}, stamps) is None
    many = {f"/{number}": Known(1, False, None) for number in range(MAX_EXTRAS + 1)}
    assert summarise(7, 1, many, {}) is None
    assert restore(Summary(1, 0, {}), {"/a": b"damaged"}) is None


def test_a_stamp_survives_storage() -> None:
    assert decode_stamp(encode_stamp(STAMP)) == STAMP
    assert decode_stamp(b"\x02" + encode_stamp(STAMP)[1:]) is None


@given(st.one_of(st.none(), st.binary(max_size=40), st.just(b'[1,2,3,{"a":[1,2]}]')))
def test_what_cannot_be_read_is_as_if_it_were_not_there(stored: bytes | None) -> None:
    assert decode_summary(stored) is None

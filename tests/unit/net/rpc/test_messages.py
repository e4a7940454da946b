import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc.messages import (
    MAX_DATAGRAM,
    Request,
    Response,
    decode,
    encode_request,
    encode_response,
    node_id,
    pack_address,
    unpack_address,
)
from pearbox_edge.wire import MAX_UINT, Address

ADDRESSES = st.builds(
    Address, st.ip_addresses(v=4).map(str), st.integers(min_value=0, max_value=0xFFFF)
)
TIDS = st.integers(min_value=0, max_value=0xFFFF)
HASHES = st.binary(min_size=32, max_size=32)
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, MAX_UINT))
VALUES = st.none() | st.binary(max_size=300)
REQUESTS = st.builds(
    Request,
    TIDS,
    ADDRESSES,
    st.none() | HASHES.map(NodeId),
    st.none() | HASHES,
    st.booleans(),
    NUMBERS,
    st.none() | HASHES,
    VALUES,
)
RESPONSES = st.builds(
    Response,
    TIDS,
    ADDRESSES,
    st.none() | HASHES.map(NodeId),
    st.none() | HASHES,
    st.lists(ADDRESSES, max_size=25).map(tuple),
    NUMBERS,
    VALUES,
)


@given(REQUESTS)
def test_a_request_reads_as_it_was_written(request_: Request) -> None:
    assert decode(encode_request(request_)) == request_


@given(RESPONSES)
def test_a_response_reads_as_it_was_written(response: Response) -> None:
    assert decode(encode_response(response)) == response


@given(st.one_of(REQUESTS.map(encode_request), RESPONSES.map(encode_response)), st.data())
def test_a_cut_message_is_refused(datagram: bytes, data: st.DataObject) -> None:
    size = data.draw(st.integers(min_value=0, max_value=len(datagram) - 1))
    with pytest.raises(PeerError):
        decode(datagram[:size])


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x03", b"\x13", b"\x03\x1f", b"\x13\x1f"]))
def test_any_bytes_are_a_message_or_refused(data: bytes, start: bytes) -> None:
    try:
        message = decode(start + data)
    except PeerError:
        return
    assert isinstance(message, Request | Response)


@given(REQUESTS, st.binary(max_size=20))
def test_bytes_left_over_are_ignored(request_: Request, rest: bytes) -> None:
    assert decode(encode_request(request_) + rest) == request_


def test_flags_written_longer_than_needed_are_understood() -> None:
    datagram = encode_request(Request(7, Address("1.2.3.4", 5), None, None, True, 0, None, None))
    assert decode(b"\x03\xfd\x04\x00" + datagram[2:]) == decode(datagram)


def test_an_array_longer_than_the_datagram_is_refused_without_work() -> None:
    head = b"\x13\x04\x01\x00" + bytes(6)
    with pytest.raises(PeerError):
        decode(head + b"\xfe\xff\xff\xff\x00")


def test_a_datagram_above_the_largest_is_refused() -> None:
    datagram = encode_request(Request(7, Address("1.2.3.4", 5), None, None, True, 0, None, None))
    decode(datagram + bytes(MAX_DATAGRAM - len(datagram)))
    with pytest.raises(PeerError):
        decode(datagram + bytes(MAX_DATAGRAM - len(datagram) + 1))


@given(ADDRESSES)
def test_an_address_reads_as_it_was_written(address: Address) -> None:
    assert unpack_address(pack_address(address)) == address


@given(st.binary(max_size=8))
def test_an_address_is_six_bytes(data: bytes) -> None:
    if len(data) == 6:
        assert pack_address(unpack_address(data)) == data
    else:
        with pytest.raises(PeerError):
            unpack_address(data)


def test_the_id_of_a_node_is_that_of_its_address_and_port() -> None:
    assert node_id(Address("127.0.0.1", 49737)).hex().startswith("d1dcf835b0d62b92")
    assert node_id(Address("127.0.0.1", 1)) != node_id(Address("127.0.0.1", 2))


@pytest.mark.parametrize(
    "address",
    [
        Address("", 1),
        Address("1.2.3", 1),
        Address("1.2.3.4.5", 1),
        Address("1.2.3.256", 1),
        Address("host", 1),
        Address("::1", 1),
        Address("1.2.3.4", 65536),
        Address("1.2.3.4", -1),
    ],
)
def test_what_is_no_address_cannot_be_written(address: Address) -> None:
    with pytest.raises(UsageError):
        pack_address(address)


@pytest.mark.parametrize(
    "bad",
    [
        Request(65536, Address("1.2.3.4", 5), None, None, True, 0, None, None),
        Request(-1, Address("1.2.3.4", 5), None, None, True, 0, None, None),
        Request(1, Address("1.2.3.4", 5), NodeId(b"id"), None, True, 0, None, None),
        Request(1, Address("1.2.3.4", 5), None, b"token", True, 0, None, None),
        Request(1, Address("1.2.3.4", 5), None, None, True, 0, b"target", None),
        Request(1, Address("1.2.3.4", 5), None, None, True, MAX_UINT + 1, None, None),
        Request(1, Address("1.2.3.4", 5), None, None, True, 0, None, bytes(MAX_DATAGRAM)),
    ],
)
def test_what_the_format_cannot_carry_is_not_written(bad: Request) -> None:
    with pytest.raises(UsageError):
        encode_request(bad)

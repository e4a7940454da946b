import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.errors import PeerError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.wire import (
    Address,
    DialableKey,
    Reader,
    Writer,
    read_dialable_key,
    read_ip,
    read_ip_address,
    write_dialable_key,
    write_ip,
    write_ip_address,
    write_ipv4,
    write_ipv4_address,
    write_ipv6,
)

KEY = PublicKey(bytes(range(32)))
ports = st.integers(0, 65535)
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.lists(ports, min_size=8, max_size=8).map(
    lambda groups: ":".join(f"{g:x}" for g in groups)
)
nodes = st.lists(st.builds(Address, ipv4, ports), max_size=4).map(tuple)


@pytest.mark.parametrize(
    "host", ["", "1.2.3", "1.2.3.256", "01.2.3.4", "box.local", "::1", "1.2.3.4 "]
)
def test_what_is_no_ipv4_address_is_a_bug_of_ours(host: str) -> None:
    with pytest.raises(UsageError):
        write_ipv4(Writer(), host)


@pytest.mark.parametrize("host", ["", "1.2.3.4", ":::", "12345::", "fe80::1%eth0%"])
def test_what_is_no_ipv6_address_is_a_bug_of_ours(host: str) -> None:
    with pytest.raises(UsageError):
        write_ipv6(Writer(), host)


def test_a_port_out_of_range_is_a_bug_of_ours() -> None:
    with pytest.raises(UsageError):
        write_ipv4_address(Writer(), Address("1.2.3.4", 65536))


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(PeerError):
        read_ip(Reader(b"\x05" + bytes(20)))


@given(st.one_of(ipv4, ipv6), ports)
def test_addresses_of_both_families_come_back(host: str, port: int) -> None:
    writer = Writer()
    write_ip(writer, host)
    write_ip_address(writer, Address(host, port))
    reader = Reader(writer.finish())
    assert read_ip(reader) == host
    assert read_ip_address(reader) == (host, port)


def test_unknown_flags_of_a_record_are_ignored() -> None:
    assert read_dialable_key(KEY + b"\x02") == DialableKey(KEY)


@given(st.one_of(st.none(), nodes))
def test_records_come_back(value: tuple[Address, ...] | None) -> None:
    assert read_dialable_key(write_dialable_key(DialableKey(KEY, value))) == (KEY, value)


@given(st.binary(max_size=60))
def test_any_bytes_give_a_record_or_a_peer_error(data: bytes) -> None:
    for read in (lambda: read_dialable_key(data), lambda: read_ip_address(Reader(data))):
        try:
            read()
        except PeerError:
            continue


@given(nodes)
def test_a_record_cut_anywhere_is_refused_but_for_the_bare_key(value: tuple[Address, ...]) -> None:
    whole = write_dialable_key(DialableKey(KEY, value))
    for size in range(len(whole)):
        if size == 32:
            assert read_dialable_key(whole[:size]) == DialableKey(KEY)
            continue
        with pytest.raises(PeerError):
            read_dialable_key(whole[:size])

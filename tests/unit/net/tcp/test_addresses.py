import pytest

from pearbox_edge.errors import UnavailableError
from pearbox_edge.net.tcp.addresses import address_of, check_port, unavailable, written


def test_ipv6_hosts_are_written_in_brackets() -> None:
    assert written("::1", 80) == "[::1]:80"
    assert written("127.0.0.1", 80) == "127.0.0.1:80"


def test_address_leaves_out_what_only_ipv6_has() -> None:
    assert address_of(("::1", 80, 0, 0)) == ("::1", 80)


@pytest.mark.parametrize("port", [-1, 65536])
def test_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(UnavailableError, match="from 0 to 65535"):
        check_port("here", port)


def test_failure_says_what_and_why_and_has_the_systems_name() -> None:
    error = unavailable("cannot connect", ConnectionRefusedError(111, "Connection refused"))
    assert str(error) == "cannot connect: Connection refused"
    assert error.code == "ECONNREFUSED"


def test_failure_without_a_text_is_named_by_its_type() -> None:
    assert str(unavailable("cannot connect", TimeoutError())) == "cannot connect: TimeoutError"
    assert unavailable("cannot connect", None).code == "UNAVAILABLE"

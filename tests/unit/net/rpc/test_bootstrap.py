import pytest

from pearbox_edge.errors import UsageError
from pearbox_edge.net.rpc.bootstrap import Bootstrap, BootstrapNode, parse_bootstrap
from pearbox_edge.wire import Address


@pytest.mark.parametrize(
    ("entry", "node"),
    [
        ("10.0.0.1:49737", BootstrapNode("10.0.0.1", None, 49737)),
        ("node.example:1", BootstrapNode(None, "node.example", 1)),
        ("10.0.0.1@node.example:65535", BootstrapNode("10.0.0.1", "node.example", 65535)),
    ],
)
def test_an_entry_is_read(entry: str, node: BootstrapNode) -> None:
    assert parse_bootstrap(entry) == node


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "host",
        ":1",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "host:²",
        "a@b:1",
        "@b:1",
        "1.2.3.4@:1",
    ],
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(UsageError):
        parse_bootstrap(entry)


def test_a_name_is_asked_for_once_and_told_to_all() -> None:
    bootstrap = Bootstrap(("node.example:7",))
    told: list[Address | None] = []
    assert bootstrap.resolve(bootstrap.nodes[0], 0.0, told.append)
    assert bootstrap.resolve(bootstrap.nodes[0], 0.0, told.append)
    assert bootstrap.wanted() == ["node.example"]
    assert bootstrap.wanted() == []
    bootstrap.resolved("node.example", "10.0.0.9", 1.0)
    assert told == [Address("10.0.0.9", 7)] * 2
    assert bootstrap.addresses() == [Address("10.0.0.9", 7)]


def test_a_known_name_is_not_asked_for_again_for_a_while() -> None:
    bootstrap = Bootstrap(("node.example:7",))
    told: list[Address | None] = []
    bootstrap.resolved("node.example", "10.0.0.9", 0.0)
    assert not bootstrap.resolve(bootstrap.nodes[0], 299.0, told.append)
    assert told == [Address("10.0.0.9", 7)]
    assert bootstrap.resolve(bootstrap.nodes[0], 300.0, told.append)


@pytest.mark.parametrize("found", [None, "::1", "nonsense"])
def test_a_name_without_an_ipv4_address_is_told_as_unknown(found: str | None) -> None:
    bootstrap = Bootstrap(("node.example:7",))
    told: list[Address | None] = []
    bootstrap.resolve(bootstrap.nodes[0], 0.0, told.append)
    bootstrap.resolved("node.example", found, 0.0)
    assert told == [None]
    assert bootstrap.addresses() == []
    assert not bootstrap.resolve(bootstrap.nodes[0], 9.0, told.append)
    assert bootstrap.resolve(bootstrap.nodes[0], 10.0, told.append)


def test_an_address_needs_no_name() -> None:
    bootstrap = Bootstrap(("10.0.0.1:1", "10.0.0.2@node.example:2"))
    assert bootstrap.addresses() == [Address("10.0.0.1", 1), Address("10.0.0.2", 2)]
    assert not bootstrap.resolve(bootstrap.nodes[0], 0.0, lambda _address: None)
    assert bootstrap.node_at(Address("10.0.0.2", 2)) == bootstrap.nodes[1]
    assert bootstrap.node_at(Address("10.0.0.2", 1)) is None

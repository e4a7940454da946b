from pearbox_edge.net.dht import DEFAULT_PORT, DhtOptions


def test_a_peer_takes_the_well_known_port_unless_told_otherwise() -> None:
    assert DhtOptions().rpc.port == DEFAULT_PORT

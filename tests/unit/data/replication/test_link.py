from pearbox_edge.data.replication import Traffic


def test_traffic_adds_up() -> None:
    assert Traffic(1, 2, 3, 4) + Traffic(10, 20, 30, 40) == Traffic(11, 22, 33, 44)

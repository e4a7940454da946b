from pearbox_edge.net.udx.mtu import MAX_FAILURES, OVERHEAD_IPV6, MtuSearch


def search(mtu: MtuSearch, path: int) -> list[int]:
    """Send full packets until the search is over; returns the sizes that were tried."""
    tried = []
    for seq in range(100):
        padding = mtu.padding(mtu.payload)
        if not padding:
            break
        tried.append(mtu.mtu + padding)
        mtu.on_probe_sent(seq)
        if tried[-1] <= path:
            mtu.on_probe_acked(seq)
        else:
            mtu.on_probe_lost(seq)
    return tried


def test_nothing_is_tried_before_the_first_ack() -> None:
    mtu = MtuSearch()
    assert mtu.padding(1100) == 0
    assert mtu.payload == 1152
    mtu.on_ack()
    assert mtu.padding(1100) == 52


def test_full_packets_reach_the_limit_in_steps() -> None:
    mtu = MtuSearch()
    mtu.on_ack()
    assert search(mtu, 1500) == [*range(1232, 1500, 32), 1500]
    assert mtu.mtu == 1500
    assert mtu.is_done


def test_three_lost_probes_end_the_search() -> None:
    mtu = MtuSearch()
    mtu.on_ack()
    assert search(mtu, 1300) == [1232, 1264, 1296, *[1328] * MAX_FAILURES]
    assert mtu.mtu == 1296
    assert mtu.is_done


def test_one_probe_is_out_at_a_time() -> None:
    mtu = MtuSearch()
    mtu.on_ack()
    mtu.on_probe_sent(5)
    assert mtu.padding(1152) == 0
    mtu.on_probe_acked(4)
    assert mtu.padding(1152) == 0
    mtu.on_probe_acked(5)
    assert mtu.padding(1152) > 0


def test_packets_too_small_to_be_padded_are_left_alone() -> None:
    mtu = MtuSearch()
    mtu.on_ack()
    assert mtu.padding(200) == 0


def test_ipv6_and_a_low_limit_are_kept() -> None:
    mtu = MtuSearch(overhead=OVERHEAD_IPV6, limit=1280)
    assert mtu.payload == 1132
    mtu.on_ack()
    assert search(mtu, 9000)[-1] == 1280

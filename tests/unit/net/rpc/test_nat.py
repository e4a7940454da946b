from hypothesis import given
from hypothesis import strategies as st

from pearbox_edge.net.rpc import NatSampler
from pearbox_edge.wire import Address

HERE = Address("203.0.113.7", 4000)


def sampled(*addresses: Address) -> NatSampler:
    sampler = NatSampler()
    for address in addresses:
        sampler.add(address)
    return sampler


def test_nothing_is_known_without_samples() -> None:
    assert NatSampler().address is None


def test_one_address_is_believed_while_all_agree() -> None:
    assert sampled(HERE, HERE, HERE).address == HERE


def test_a_port_for_each_asker_leaves_the_host_alone() -> None:
    sampler = sampled(*(Address(HERE.host, port) for port in range(1, 6)))
    assert (sampler.host, sampler.port) == (HERE.host, 0)
    assert sampler.address is None


def test_different_hosts_leave_nothing() -> None:
    sampler = sampled(HERE, Address("198.51.100.1", 1), Address("198.51.100.2", 1))
    assert sampler.host is None


def test_three_liars_among_sixteen_do_not_change_the_result() -> None:
    lie = Address("198.51.100.1", 1)
    sampler = sampled(*[HERE] * 13, lie, lie, lie)
    assert sampler.address == HERE
    sampler.add(lie)
    assert sampler.address is None


def test_a_new_address_is_believed_once_the_old_samples_are_gone() -> None:
    there = Address("198.51.100.9", 9)
    sampler = sampled(*[HERE] * 16, *[there] * 16)
    assert sampler.address == there
    assert sampler.size == 16


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(min_value=1, max_value=3)), max_size=80)
)
def test_what_is_believed_has_the_votes(samples: list[tuple[str, int]]) -> None:
    sampler = sampled(*(Address(host, port) for host, port in samples))
    latest = samples[-16:]
    if sampler.host is not None and len(samples) <= 16:
        votes = sum(host == sampler.host for host, _ in latest)
        assert votes >= sampler.threshold
        if sampler.port:
            assert latest.count((sampler.host, sampler.port)) >= sampler.threshold

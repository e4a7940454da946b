import pytest

from pearbox_edge.errors import UsageError
from pearbox_edge.net.rpc import RpcOptions
from pearbox_edge.wire import Address


@pytest.mark.parametrize(
    "wrong",
    [
        {"bootstrap": ("nowhere",)},
        {"port": 65536},
        {"port": -1},
        {"public_address": Address("host", 1)},
        {"concurrency": 0},
        {"max_window": 0},
        {"amplification_limit": 1.5},
    ],
)
def test_values_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RpcOptions(**wrong)  # type: ignore[arg-type]


def test_the_port_and_the_four_after_it_are_tried_then_any() -> None:
    assert RpcOptions(port=49737).ports() == [49737, 49738, 49739, 49740, 49741, 0]
    assert RpcOptions(port=65534).ports() == [65534, 65535, 0]
    assert RpcOptions().ports() == [0]
    assert RpcOptions(port=49737, any_port=False).ports() == list(range(49737, 49742))


def test_a_bootstrapper_has_its_port_or_none() -> None:
    options = RpcOptions.bootstrapper("10.0.0.1", 49737)
    assert options.wants_persistent and not options.firewalled and not options.is_adaptive
    assert options.public_address == Address("10.0.0.1", 49737)
    assert options.ports() == [49737]

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

import pytest
from zeroconf._dns import DNSAddress

from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.lan import LanDiscovery, LanOptions, LanPeer, aio
from pearbox_edge.lan.interfaces import OwnAddress
from pearbox_edge.lan.records import (
    SERVICE_TYPE,
    TYPE_A,
    Topic,
    TopicInfos,
    announcement,
    goodbye,
    subtype,
    topic_infos,
)
from tests.kit.lan import CABLE, FakeLink, records_of

LABEL = "y" * 52
OTHER = "b" * 52
WIFI = OwnAddress("wlan0", 3, ip_address("192.168.7.5"), 24)
THEIRS = OwnAddress("eth0", 2, ip_address("192.168.1.9"), 24)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NETWORK_CHECK", "OPEN_RETRY", "GOODBYE_GAP", "SETTLE", "QUERY_JITTER", "FLUSH"):
        monkeypatch.setattr(aio, name, 0.005)


def theirs(label: str = LABEL, instance: str = "t0", host: str = "t.local.") -> TopicInfos:
    return topic_infos(Topic(label, instance, 4001), host, [THEIRS])


class Bench:
    """A discovery on a network that the test plugs and unplugs."""

    def __init__(self, *own: OwnAddress) -> None:
        self.own: tuple[OwnAddress, ...] = own
        self.links: list[FakeLink] = []
        self.fail: Exception | None = None
        self.found: list[LanPeer] = []
        self.lost: list[LanPeer] = []
        self._drawn = 0
        self.lan = LanDiscovery(
            LanOptions(),
            self._random_bytes,
            read_network=lambda: self.own,
            open_link=self._open,
        )

    def _random_bytes(self, size: int) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(size, "big")

    async def _open(self, own: Sequence[OwnAddress], on_heard: Callable[[], None]) -> FakeLink:
        if self.fail is not None:
            raise self.fail
        self.links.append(FakeLink(own, on_heard))
        return self.links[-1]

    @property
    def link(self) -> FakeLink:
        return self.links[-1]

    def browse(self, label: str = LABEL) -> aio.Browse:
        return self.lan.browse(label, self.found.append, self.lost.append)


async def settles(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110 -- the condition is about what others did
            await asyncio.sleep(0.002)


@pytest.fixture
def bench() -> Bench:
    return Bench(CABLE)


async def test_an_announcement_is_said_at_once_and_answered_for(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        await settles(bench.link.answers)
        assert [each.by_subtype.port for each in bench.link.served] == [4001]
        names = {record.name for record in records_of(bench.link.answers()[0])}
        assert subtype(LABEL) in names


async def test_instances_and_the_host_have_random_names_of_their_own(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        await bench.lan.announce(OTHER, 4001)
        first, second = (each.by_subtype for each in bench.link.served)
        assert first.name != second.name
        assert first.server == second.server
        assert first.server is not None
        assert first.server.endswith(".local.")


async def test_withdrawing_says_goodbye_and_answers_no_more(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        await settles(bench.link.answers)
        await bench.lan.withdraw(LABEL)
        assert bench.link.served == []
        assert {record.ttl for record in records_of(bench.link.answers()[-1])} == {0}


async def test_withdrawing_one_topic_of_two_leaves_the_addresses(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        await bench.lan.announce(OTHER, 4001)
        await bench.lan.withdraw(LABEL)
        assert TYPE_A not in {record.type for record in records_of(bench.link.answers()[-1])}


async def test_withdrawing_what_was_not_announced_does_nothing(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.withdraw(LABEL)
        assert bench.link.sent == []


async def test_leaving_says_goodbye_for_all_and_closes_and_leaves_no_task(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        await bench.lan.announce(OTHER, 4002)
        bench.browse()
    taken = records_of(bench.link.answers()[-1])
    assert {subtype(LABEL), subtype(OTHER)} <= {record.name for record in taken}
    assert {record.ttl for record in taken} == {0}
    assert bench.link.closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_same_label_with_another_port_replaces_the_first(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        await bench.lan.announce(LABEL, 4001)
        await bench.lan.announce(LABEL, 4002)
        assert [each.by_subtype.port for each in bench.link.served] == [4002]


async def test_a_peer_is_found_when_it_is_heard_and_lost_with_its_goodbye(bench: Bench) -> None:
    async with bench.lan:
        bench.browse()
        bench.link.hear(announcement([theirs()]))
        await settles(lambda: bench.found)
        assert bench.found == [LanPeer("192.168.1.9", 4001, "t0")]
        bench.link.hear(goodbye([theirs()], with_addresses=True))
        await settles(lambda: bench.lost)
        assert bench.lost == bench.found


async def test_a_search_that_starts_late_hears_what_was_heard_before(bench: Bench) -> None:
    async with bench.lan:
        bench.link.hear(announcement([theirs()]))
        bench.browse()
        await settles(lambda: bench.found)
        found_again: list[LanPeer] = []
        bench.lan.browse(LABEL, found_again.append)
        await settles(lambda: found_again)
        assert len(bench.found) == 1


async def test_a_peer_of_another_label_is_not_reported(bench: Bench) -> None:
    async with bench.lan:
        bench.browse()
        bench.link.hear(announcement([theirs(OTHER, "t1")]))
        bench.link.hear(announcement([theirs()]))
        await settles(lambda: bench.found)
        assert {peer.instance for peer in bench.found} == {"t0"}


async def test_our_own_announcement_is_not_reported(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        bench.browse()
        await settles(bench.link.answers)
        bench.link.hear(bench.link.answers()[0])
        bench.link.hear(announcement([theirs()]))
        await settles(lambda: bench.found)
        assert {peer.instance for peer in bench.found} == {"t0"}


async def test_a_label_is_asked_for_and_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pearbox_edge.lan.schedule.QUERY_FIRST", 0.01)
    async with bench.lan:
        bench.browse()
        await settles(lambda: len(bench.link.queries()) >= 3)
        asked = [question for out in bench.link.queries() for question in out.questions]
        assert {question.name for question in asked} == {subtype(LABEL)}
        assert [question.unicast for question in asked[:3]] == [True, False, False]


async def test_a_search_that_is_closed_is_silent(bench: Bench) -> None:
    async with bench.lan:
        search = bench.browse()
        search.close()
        search.close()
        bench.link.hear(announcement([theirs()]))
        await asyncio.sleep(0.05)
        assert bench.found == []
        assert bench.link.queries() == []


async def test_closing_from_a_callback_stops_the_rest(bench: Bench) -> None:
    async with bench.lan:
        found: list[LanPeer] = []

        def once(peer: LanPeer) -> None:
            found.append(peer)
            search.close()

        search = bench.lan.browse(LABEL, once)
        bench.link.hear(announcement([theirs(), theirs(instance="t1")]))
        await settles(lambda: found)
        await asyncio.sleep(0.02)
        assert len(found) == 1


async def test_no_network_at_the_start_is_no_error_and_is_picked_up_later() -> None:
    bench = Bench()
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        bench.browse()
        await asyncio.sleep(0.02)
        assert bench.links == []
        bench.own = (CABLE,)
        await settles(lambda: bench.links and bench.link.answers() and bench.link.queries())
        assert len(bench.link.served) == 1


async def test_another_address_opens_anew_and_announces_it(bench: Bench) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        first = bench.link
        bench.own = (WIFI,)
        await settles(lambda: len(bench.links) == 2 and bench.link.answers())
        assert first.closed
        told = records_of(bench.link.answers()[0])
        assert [r.address for r in told if isinstance(r, DNSAddress)] == [WIFI.ip.packed]
        assert bench.link.served[0].by_subtype.name == first.served[0].by_subtype.name


async def test_the_same_addresses_in_another_order_change_nothing() -> None:
    bench = Bench(CABLE, WIFI)
    async with bench.lan:
        bench.own = (WIFI, CABLE)
        await asyncio.sleep(0.03)
        assert len(bench.links) == 1


async def test_a_known_peer_survives_a_replugged_cable_and_is_lost_if_not_heard_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pearbox_edge.lan.peers.GRACE", 0.3)
    async with bench.lan:
        bench.browse()
        bench.link.hear(announcement([theirs(), theirs(instance="t1", host="t1.local.")]))
        await settles(lambda: len(bench.found) == 2)
        bench.own = ()
        await settles(lambda: bench.link.closed)
        bench.own = (CABLE,)
        await settles(lambda: len(bench.links) == 2)
        bench.link.hear(announcement([theirs()]))
        await asyncio.sleep(0.05)
        assert bench.lost == []
        await settles(lambda: bench.lost)
        assert {peer.instance for peer in bench.lost} == {"t1"}
        assert len(bench.found) == 2


async def test_a_port_that_somebody_holds_is_tried_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.fail = OSError("port 5353 is taken")
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        bench.fail = None
        await settles(lambda: bench.links and bench.link.answers())
    assert "port 5353 is taken" in caplog.text


async def test_a_machine_that_slept_asks_and_announces_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        asleep = aio._time_asleep()
        monkeypatch.setattr(aio, "_time_asleep", lambda: asleep + 3600)
        await settles(lambda: len(bench.links) == 2 and bench.link.answers())


@pytest.mark.parametrize("clock", [0.0, 4e9])
async def test_the_date_does_not_matter(
    bench: Bench, clock: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench.lan:
        bench.browse()
        bench.link.hear(announcement([theirs()]))
        await settles(lambda: bench.found)
        monkeypatch.setattr(time, "time", lambda: clock)
        bench.link.hear(announcement([theirs(instance="t1")]))
        await settles(lambda: len(bench.found) == 2)
        assert bench.lost == []


async def test_bad_arguments_are_our_own_mistake(bench: Bench) -> None:
    with pytest.raises(UsageError):
        await bench.lan.announce(LABEL, 4001)
    with pytest.raises(UsageError):
        bench.browse()
    async with bench.lan:
        for port in (0, 65536):
            with pytest.raises(UsageError):
                await bench.lan.announce(LABEL, port)
        with pytest.raises(UsageError):
            await bench.lan.announce("short", 4001)
        with pytest.raises(UsageError):
            bench.browse("short")


async def test_there_is_a_cap_on_labels(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "MAX_LABELS", 1)
    async with bench.lan:
        await bench.lan.announce(LABEL, 4001)
        bench.browse()
        with pytest.raises(UnavailableError):
            await bench.lan.announce(OTHER, 4001)
        with pytest.raises(UnavailableError):
            bench.browse(OTHER)


async def test_an_exception_of_the_block_comes_out_as_it_is(bench: Bench) -> None:
    with pytest.raises(KeyError):
        async with bench.lan:
            raise KeyError
    assert bench.link.closed


async def test_a_cancelled_block_says_goodbye(bench: Bench) -> None:
    async def block() -> None:
        async with bench.lan:
            await bench.lan.announce(LABEL, 4001)
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(block())
    await settles(lambda: bench.links and bench.link.answers())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert {record.ttl for record in records_of(bench.link.answers()[-1])} == {0}
    assert SERVICE_TYPE in {record.name for record in records_of(bench.link.answers()[-1])}


async def test_an_exception_of_a_callback_ends_the_block(bench: Bench) -> None:
    def breaks(peer: LanPeer) -> None:
        raise KeyError(peer)

    async def block() -> None:
        async with bench.lan:
            bench.lan.browse(LABEL, breaks)
            bench.link.hear(announcement([theirs()]))
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert isinstance(caught.value.exceptions[0], KeyError)
    assert bench.link.closed

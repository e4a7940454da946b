import string
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zeroconf._cache import DNSCache
from zeroconf._dns import DNSAddress, DNSPointer, DNSQuestion, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing

from pearbox_edge.errors import UsageError
from pearbox_edge.lan.interfaces import OwnAddress
from pearbox_edge.lan.peers import HostAddress, Service
from pearbox_edge.lan.records import (
    CLASS_IN,
    MAX_POINTERS,
    SERVICE_TYPE,
    TYPE_A,
    TYPE_AAAA,
    TYPE_PTR,
    TYPE_SRV,
    Topic,
    TopicInfos,
    TopicRegistry,
    announcement,
    check_label,
    goodbye,
    look,
    query,
    random_name,
    subtype,
    topic_infos,
)
from tests.kit.lan import CABLE, records_of, take_in

LABEL = "y" * 51 + "o"
OTHER = "b" * 52
HOST = "h0.local."
V6 = OwnAddress("eth0", 2, ip_address("fe80::5"), 64)


def infos(label: str = LABEL, instance: str = "i0", port: int = 4001) -> TopicInfos:
    return topic_infos(Topic(label, instance, port), HOST, [CABLE, V6])


def heard(out: DNSOutgoing, at: float = 100) -> DNSCache:
    cache = DNSCache()
    for packet in out.packets():
        take_in(cache, packet, at)
    return cache


def test_a_label_is_52_characters_of_z32() -> None:
    assert check_label(LABEL) == LABEL
    assert len(subtype(LABEL).split(".")[0]) == 53


@pytest.mark.parametrize("label", ["", "y" * 51, "y" * 53, "l" * 52, "Y" * 52, "y" * 52 + "\n"])
def test_any_other_label_is_refused(label: str) -> None:
    with pytest.raises(UsageError):
        check_label(label)


def test_an_announcement_says_these_records_and_nothing_else() -> None:
    told = {(r.name, r.type, r.ttl, r.unique): r for r in records_of(announcement([infos()]))}
    name = f"i0.{SERVICE_TYPE}"
    assert set(told) == {
        (subtype(LABEL), TYPE_PTR, 4500, False),
        (SERVICE_TYPE, TYPE_PTR, 4500, False),
        (name, TYPE_SRV, 120, True),
        (name, 16, 4500, True),
        (HOST, TYPE_A, 120, True),
        (HOST, TYPE_AAAA, 120, True),
    }
    pointer, service, text, address = (
        told[subtype(LABEL), TYPE_PTR, 4500, False],
        told[name, TYPE_SRV, 120, True],
        told[name, 16, 4500, True],
        told[HOST, TYPE_A, 120, True],
    )
    assert isinstance(pointer, DNSPointer)
    assert pointer.alias == name
    assert isinstance(service, DNSService)
    assert (service.server, service.port) == (HOST, 4001)
    assert isinstance(text, DNSText)
    assert text.text == b"\x03v=1"
    assert isinstance(address, DNSAddress)
    assert address.address == CABLE.ip.packed


def test_many_topics_share_packets_and_say_their_addresses_once() -> None:
    out = announcement([infos(instance=f"i{n}") for n in range(50)])
    assert sum(record.type == TYPE_A for record in records_of(out)) == 1
    assert len(out.packets()) < 25


def test_a_goodbye_takes_back_every_record_that_was_announced() -> None:
    said = {(r.name, r.type) for r in records_of(announcement([infos()]))}
    taken = records_of(goodbye([infos()], with_addresses=True))
    assert {(r.name, r.type) for r in taken} == said
    assert {r.ttl for r in taken} == {0}


def test_a_goodbye_leaves_the_addresses_to_the_other_topics() -> None:
    taken = records_of(goodbye([infos()], with_addresses=False))
    assert {r.type for r in taken} == {TYPE_PTR, TYPE_SRV, 16}


def test_names_are_random_and_fit() -> None:
    assert random_name(lambda size: bytes(range(size))) == "000102030405060708090a0b0c0d0e0f"


def test_what_was_announced_is_seen_under_its_label_alone() -> None:
    cache = heard(announcement([infos()]))
    view = look(cache, LABEL, 100)
    addresses = (HostAddress(ip_address("192.168.1.5")), HostAddress(ip_address("fe80::5")))
    assert view.services == {"i0": Service("i0", HOST, 4001, addresses)}
    assert view.hosts == {HOST}
    assert view.missing == []
    assert look(cache, OTHER, 100).services == {}


def test_what_was_taken_back_is_gone() -> None:
    cache = heard(announcement([infos()]))
    for packet in goodbye([infos()], with_addresses=True).packets():
        take_in(cache, packet, 101)
    assert look(cache, LABEL, 101).services == {}


def test_an_address_that_outlived_its_time_is_asked_for_again() -> None:
    cache = heard(announcement([infos()]))
    assert look(cache, LABEL, 219).services != {}
    view = look(cache, LABEL, 221)
    assert view.services == {}
    assert view.missing == [DNSQuestion(f"i0.{SERVICE_TYPE}", TYPE_SRV, CLASS_IN)]


def test_a_service_without_an_address_is_asked_for_its_addresses() -> None:
    out = DNSOutgoing(0x8400)
    for record in (infos().by_subtype.dns_pointer(), infos().by_subtype.dns_service()):
        out.add_answer_at_time(record, 0)
    view = look(heard(out), LABEL, 100)
    assert view.services == {}
    assert [(q.name, q.type) for q in view.missing] == [(HOST, TYPE_A), (HOST, TYPE_AAAA)]


def test_an_address_that_was_replaced_is_gone_at_once() -> None:
    cache = heard(announcement([infos()]))
    cache.async_mark_unique_records_older_than_1s_to_expire(
        {(HOST, TYPE_A, CLASS_IN)}, [], 110 * 1000
    )
    (service,) = look(cache, LABEL, 110).services.values()
    assert [str(address.ip) for address in service.addresses] == ["fe80::5"]


def test_a_pointer_out_of_the_service_type_is_not_followed() -> None:
    out = DNSOutgoing(0x8400)
    alias = "printer._ipp._tcp.local."
    out.add_answer_at_time(DNSPointer(subtype(LABEL), TYPE_PTR, CLASS_IN, 4500, alias), 0)
    view = look(heard(out), LABEL, 100)
    assert (view.services, view.missing) == ({}, [])


def test_a_flood_of_pointers_is_looked_at_up_to_a_cap() -> None:
    cache = DNSCache()
    cache.async_add_records(
        DNSPointer(subtype(LABEL), TYPE_PTR, CLASS_IN, 4500, f"{n}.{SERVICE_TYPE}", 100_000.0)
        for n in range(2000)
    )
    assert len(look(cache, LABEL, 100).missing) == MAX_POINTERS


def test_a_question_names_whom_we_know_while_they_are_fresh() -> None:
    cache = heard(announcement([infos()]))
    fresh = query([(LABEL, look(cache, LABEL, 130))], 130, unicast=False)
    assert [(r.name, r.type) for r in records_of(fresh)] == [(subtype(LABEL), TYPE_PTR)]
    stale = query([(LABEL, look(cache, LABEL, 161))], 161, unicast=False)
    assert records_of(stale) == []


def test_the_first_question_asks_for_an_answer_to_us_alone() -> None:
    view = look(DNSCache(), LABEL, 0)
    for unicast in (True, False):
        (question,) = query([(LABEL, view)], 0, unicast=unicast).questions
        assert (question.name, question.type) == (subtype(LABEL), TYPE_PTR)
        assert question.unicast is unicast


def test_a_responder_lists_one_type_and_answers_for_each_subtype() -> None:
    registry = TopicRegistry()
    assert registry.async_get_types() == []
    first, second = infos(), infos(OTHER, "i1")
    registry.add_topic(first)
    registry.add_topic(second)
    assert registry.async_get_types() == [SERVICE_TYPE]
    assert registry.async_get_infos_type(subtype(LABEL)) == [first.by_subtype]
    assert registry.async_get_infos_type(SERVICE_TYPE) == [first.by_type, second.by_type]
    registry.remove_topic(first)
    assert registry.async_get_infos_type(subtype(LABEL)) == []
    assert registry.async_get_infos_type(SERVICE_TYPE) == [second.by_type]


@given(st.text(alphabet=string.hexdigits.lower(), min_size=1, max_size=32), st.integers(1, 65535))
def test_whatever_is_announced_is_seen(instance: str, port: int) -> None:
    view = look(heard(announcement([infos(instance=instance, port=port)])), LABEL, 100)
    assert view.services[instance].port == port


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 400))
def test_any_packet_gives_a_view_and_no_error(noise: bytes, start: int, stop: int) -> None:
    (packet,) = announcement([infos()]).packets()
    cache = DNSCache()
    for each in (noise, packet[:start] + noise + packet[stop:], packet[:12] + noise):
        take_in(cache, each, 100)
    view = look(cache, LABEL, 100)
    query([(LABEL, view)], 100, unicast=False).packets()


@given(st.binary(min_size=1, max_size=63), st.binary(min_size=1, max_size=63))
def test_any_names_give_a_question_that_can_be_written(alias: bytes, server: bytes) -> None:
    (packet,) = announcement([infos(instance="i" * len(alias))]).packets()
    packet = packet.replace(b"i" * len(alias), alias).replace(
        b"\x02h0", b"\x02" + server[:2].ljust(2)
    )
    cache = DNSCache()
    take_in(cache, packet, 100)
    view = look(cache, LABEL, 100)
    query([(LABEL, view)], 100, unicast=False).packets()
    for instance in view.services:
        assert instance.isprintable()


def test_a_name_that_is_no_text_is_not_followed() -> None:
    (packet,) = announcement([infos(instance="i" * 40)]).packets()
    cache = DNSCache()
    take_in(cache, packet.replace(b"i" * 40, b"\xff" * 40), 100)
    view = look(cache, LABEL, 100)
    assert (view.services, view.missing) == ({}, [])


@given(st.integers(0, 400))
def test_a_packet_cut_anywhere_gives_the_whole_service_or_none(stop: int) -> None:
    (packet,) = announcement([infos()]).packets()
    cache = DNSCache()
    take_in(cache, packet[:stop], 100)
    services = look(cache, LABEL, 100).services
    assert services.keys() <= {"i0"}
    assert all(service.port == 4001 for service in services.values())

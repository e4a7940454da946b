"""Names, records and packets: what a topic looks like on the wire, and how it is asked for.

Each topic is one instance of `_hyperswarm._tcp` with a random name, listed under one subtype:

    _<label>._sub._hyperswarm._tcp.local.  PTR  <instance>._hyperswarm._tcp.local.
    _hyperswarm._tcp.local.                PTR  <instance>._hyperswarm._tcp.local.
    <instance>._hyperswarm._tcp.local.     SRV  0 0 <port> <host>.local.
    <instance>._hyperswarm._tcp.local.     TXT  "v=1"
    <host>.local.                          A, AAAA  one for each address

Instance and host names are random and last as long as the process: no name of a machine, a person,
a drive or a file is in it. Python-zeroconf knows no subtypes beside a type, and would list each
subtype as a service type of its own; `TopicRegistry` answers as RFC 6763, 7.1 and 9 want it.
Pure: `now` is seconds on a monotonic clock (zeroconf counts milliseconds on the same one).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice

from zeroconf import ServiceInfo
from zeroconf._cache import DNSCache
from zeroconf._dns import DNSAddress, DNSPointer, DNSQuestion, DNSRecord, DNSService
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf._services.registry import ServiceRegistry

from pearbox_edge.errors import UsageError

from .interfaces import OwnAddress
from .peers import MAX_PEERS_PER_LABEL, HostAddress, Service

SERVICE_TYPE = "_hyperswarm._tcp.local."
TXT = b"\x03v=1"  # the version of this format, and nothing else
# SPEC z32 of 32 bytes; with its underscore 53 of the 63 bytes a DNS label may have.
LABEL = re.compile(r"[ybndrfg8ejkmcpqxot1uwisza345h769]{52}", re.ASCII)
MAX_LABEL_SIZE = 63  # SPEC RFC 1035, 2.3.4
NAME_SIZE = 16  # TUNING 128 random bits: no two meet by chance, so nobody need be asked (probed)

# SPEC RFC 1035, 2782, 3596, 6762
TYPE_A = 1
TYPE_PTR = 12
TYPE_AAAA = 28
TYPE_SRV = 33
CLASS_IN = 1
FLAGS_QUERY = 0x0000
FLAGS_RESPONSE = 0x8400  # response, authoritative
ADDRESS_SIZES = (4, 16)
REPLACED_TTL = 1  # SPEC RFC 6762, 10.2

# TUNING how many of a label's pointers are looked at: more than are remembered, for some are dead.
MAX_POINTERS = 4 * MAX_PEERS_PER_LABEL
# TUNING address records looked at of one host: both families of a machine with many cards.
MAX_ADDRESSES = 16


def check_label(label: str) -> str:
    """Give the label back. Raises UsageError unless it is 52 characters of z32."""
    if LABEL.fullmatch(label) is None:
        raise UsageError("a LAN label is the z32 text of a discovery key: 52 characters")
    return label


def subtype(label: str) -> str:
    """Name the DNS-SD subtype that a topic is announced and browsed under."""
    return f"_{label}._sub.{SERVICE_TYPE}"


def random_name(random_bytes: Callable[[int], bytes]) -> str:
    """Make up a name for a host or an instance that says nothing about either."""
    return random_bytes(NAME_SIZE).hex()


@dataclass(frozen=True, slots=True)
class Topic:
    """One label announced at one port of this machine."""

    label: str
    instance: str
    port: int

    @property
    def name(self) -> str:
        """The full name of the instance."""
        return f"{self.instance}.{SERVICE_TYPE}"


@dataclass(frozen=True, slots=True)
class TopicInfos:
    """A topic's records as zeroconf holds them: under its subtype, and under the type itself."""

    by_subtype: ServiceInfo
    by_type: ServiceInfo


def topic_infos(topic: Topic, host: str, own: Iterable[OwnAddress]) -> TopicInfos:
    """Build a topic's records for the addresses this machine has now; `host` ends in `.local.`."""
    addresses = list(dict.fromkeys(address.ip.packed for address in own))

    def info(type_: str) -> ServiceInfo:
        return ServiceInfo(
            type_,
            topic.name,
            port=topic.port,
            properties=TXT,
            server=host,
            addresses=addresses,
        )

    return TopicInfos(info(subtype(topic.label)), info(SERVICE_TYPE))


class TopicRegistry(ServiceRegistry):
    """What the responder answers from: topics under their subtypes and all under the one type."""

    def __init__(self) -> None:
        super().__init__()
        self._by_type: dict[str, ServiceInfo] = {}

    def add_topic(self, infos: TopicInfos) -> None:
        """Answer for this topic from now on."""
        self.async_add(infos.by_subtype)
        self._by_type[infos.by_type.key] = infos.by_type

    def remove_topic(self, infos: TopicInfos) -> None:
        """Answer for it no more."""
        self.async_remove(infos.by_subtype)
        self._by_type.pop(infos.by_type.key, None)

    def async_get_types(self) -> list[str]:
        """List the one service type: which topics there are is told to those who name one."""
        return [SERVICE_TYPE] if self._by_type else []

    def async_get_infos_type(self, type_: str) -> list[ServiceInfo]:
        """Give the instances of the type, or of a subtype."""
        if type_ == SERVICE_TYPE:
            return list(self._by_type.values())
        return super().async_get_infos_type(type_)


def announcement(topics: Iterable[TopicInfos]) -> DNSOutgoing:
    """Tell everybody about some topics, unasked (RFC 6762, 8.3)."""
    return _spoken(topics, None, with_addresses=True)


def goodbye(topics: Iterable[TopicInfos], *, with_addresses: bool) -> DNSOutgoing:
    """Take topics back: the same records with no time to live (RFC 6762, 10.1).

    `with_addresses`: the host's addresses as well, for when it has no other topics.
    """
    return _spoken(topics, 0, with_addresses=with_addresses)


def _spoken(topics: Iterable[TopicInfos], ttl: int | None, *, with_addresses: bool) -> DNSOutgoing:
    out = DNSOutgoing(FLAGS_RESPONSE)
    hosts: dict[DNSRecord, None] = {}
    for infos in topics:
        info = infos.by_subtype
        out.add_answer_at_time(info.dns_pointer(ttl), 0)
        out.add_answer_at_time(infos.by_type.dns_pointer(ttl), 0)
        out.add_answer_at_time(info.dns_service(ttl), 0)
        out.add_answer_at_time(info.dns_text(ttl), 0)
        if with_addresses:
            hosts.update(dict.fromkeys(info.get_address_and_nsec_records(ttl)))
    for record in hosts:
        out.add_answer_at_time(record, 0)
    return out


@dataclass(slots=True)
class View:
    """One look at what was heard about a label and has not expired."""

    services: dict[str, Service]
    hosts: set[str]
    fresh: list[DNSPointer]
    missing: list[DNSQuestion]


def look(cache: DNSCache, label: str, now: float) -> View:
    """Read what is known of a label: services that can be dialled, and what is still to be asked.

    `fresh` are pointers whose every record has more than half its life left, so that the answer to
    the next question may leave them out.
    """
    view = View({}, set(), [], [])
    pointers = _alive(cache, subtype(label), TYPE_PTR, now)
    for pointer in islice(pointers, MAX_POINTERS):
        if isinstance(pointer, DNSPointer):
            _look_at(cache, pointer, now, view)
    return view


def _look_at(cache: DNSCache, pointer: DNSPointer, now: float, view: View) -> None:
    name = pointer.alias.lower()
    instance = name.removesuffix(f".{SERVICE_TYPE}")
    if instance == name or not _is_sane(pointer.alias):
        return  # it points out of the service type, or nowhere: not ours to follow
    service = next(iter(_alive(cache, name, TYPE_SRV, now)), None)
    if not isinstance(service, DNSService) or not _is_sane(service.server):
        view.missing.append(DNSQuestion(pointer.alias, TYPE_SRV, CLASS_IN))
        return
    view.hosts.add(service.server_key)
    records = [
        record
        for type_ in (TYPE_A, TYPE_AAAA)
        for record in _alive(cache, service.server, type_, now)
        if isinstance(record, DNSAddress) and len(record.address) in ADDRESS_SIZES
    ][:MAX_ADDRESSES]
    if not records:
        view.missing += (
            DNSQuestion(service.server, type_, CLASS_IN) for type_ in (TYPE_A, TYPE_AAAA)
        )
        return
    addresses = tuple(HostAddress(ip_address(r.address), r.scope_id or 0) for r in records)
    view.services[instance] = Service(instance, service.server_key, service.port, addresses)
    if not any(record.is_stale(now * 1000) for record in (pointer, service, *records)):
        view.fresh.append(pointer)


def _is_sane(name: str) -> bool:
    """Whether a name that was read can be written, and shown to a person.

    Attack: bytes that are no UTF-8 grow threefold when read, and a label past 63 bytes is an error
    at the moment when we ask back.
    """
    labels = name.removesuffix(".").split(".")
    return name.isprintable() and all(0 < len(each.encode()) <= MAX_LABEL_SIZE for each in labels)


def _alive(cache: DNSCache, name: str, type_: int, now: float) -> list[DNSRecord]:
    records = cache.get_all_by_details(name, type_, CLASS_IN)
    # A life of one second is how the cache marks what was replaced, and it marks it again each time
    # the replacement is heard: to us it is gone.
    return [r for r in records if r.ttl > REPLACED_TTL and not r.is_expired(now * 1000)]


def query(asked: Sequence[tuple[str, View]], now: float, *, unicast: bool) -> DNSOutgoing:
    """Ask for the peers of some labels, saying whom we know already.

    `unicast`: let the answer come to us alone and at once, for the first time of asking.
    """
    out = DNSOutgoing(FLAGS_QUERY)
    for label, view in asked:
        for question in (DNSQuestion(subtype(label), TYPE_PTR, CLASS_IN), *view.missing):
            question.unicast = unicast
            out.add_question(question)
        for pointer in view.fresh:
            out.add_answer_at_time(pointer, now * 1000)
    return out

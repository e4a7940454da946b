"""Values of the DHT's application messages: random ones, the vectors' ones, and small networks."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from hypothesis import strategies as st

from pearbox_edge.errors import PeerError
from pearbox_edge.ids import NodeId, PublicKey
from pearbox_edge.net.dht import Dht, DhtOptions
from pearbox_edge.net.dht import messages as m
from pearbox_edge.net.dht import payloads as p
from pearbox_edge.net.rpc import IncomingRequest, RpcOptions, node_id
from pearbox_edge.wire import MAX_UINT, Address

Json = dict[str, Any]

HASHES = st.binary(min_size=32, max_size=32)
KEYS = HASHES.map(PublicKey)
SIGNATURES = st.binary(min_size=64, max_size=64)
NUMBERS = st.one_of(st.integers(0, 300), st.integers(0, MAX_UINT))
BYTES = st.binary(max_size=100)
ADDRESSES = st.builds(
    Address, st.ip_addresses(v=4).map(str), st.integers(min_value=0, max_value=0xFFFF)
)
ADDRESSES6 = st.builds(
    Address,
    st.lists(st.integers(0, 0xFFFF), min_size=8, max_size=8).map(
        lambda groups: ":".join(f"{group:x}" for group in groups)
    ),
    st.integers(0, 0xFFFF),
)
ADDRESS_LISTS = st.lists(ADDRESSES, max_size=4).map(tuple)
PEERS = st.builds(m.PeerRecord, KEYS, ADDRESS_LISTS)
ANNOUNCEMENTS = st.builds(
    m.Announcement, st.none() | PEERS, st.none() | HASHES, st.none() | SIGNATURES, NUMBERS
)
MUTABLES = st.builds(m.MutableValue, NUMBERS, BYTES, SIGNATURES)
HANDSHAKES = st.builds(
    m.PassedHandshake, NUMBERS, BYTES, st.none() | ADDRESSES, st.none() | ADDRESSES
)
HOLEPUNCHES = st.builds(m.PassedHolepunch, NUMBERS, NUMBERS, BYTES, st.none() | ADDRESSES)
PLUGINS = st.builds(m.PluginRequest, st.text(max_size=8), NUMBERS, NUMBERS, st.none() | BYTES)
NOISE_PAYLOADS = st.builds(
    p.NoisePayload,
    NUMBERS,
    NUMBERS,
    st.none()
    | st.builds(
        p.HolepunchInfo,
        NUMBERS,
        st.lists(st.builds(p.RelayInfo, ADDRESSES, ADDRESSES), max_size=3).map(tuple),
    ),
    ADDRESS_LISTS,
    st.lists(ADDRESSES6, max_size=2).map(tuple),
    st.none() | st.builds(p.UdxInfo, NUMBERS, NUMBERS, st.booleans(), NUMBERS),
    st.none() | NUMBERS,
    st.none() | st.builds(p.RelayThrough, KEYS, HASHES, NUMBERS),
    st.none() | ADDRESS_LISTS,
)
HOLEPUNCH_PAYLOADS = st.builds(
    p.HolepunchPayload,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.booleans(),
    st.booleans(),
    st.none() | ADDRESS_LISTS,
    st.none() | ADDRESSES,
    st.none() | HASHES,
    st.none() | HASHES,
)


def value_or_peer_error(decode: Callable[[bytes], object], data: bytes) -> bool:
    """Whether it was a value; anything but a value or PeerError fails the test."""
    try:
        decode(data)
    except PeerError:
        return False
    return True


# -- the vectors' values --------------------------------------------------------------------------


def raw(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def address(value: Json) -> Address:
    return Address(value["host"], value["port"])


def maybe_address(value: Json | None) -> Address | None:
    return None if value is None else address(value)


def addresses(values: list[Json]) -> tuple[Address, ...]:
    return tuple(address(value) for value in values)


def peer(value: Json) -> m.PeerRecord:
    key = PublicKey(bytes.fromhex(value["publicKey"]))
    return m.PeerRecord(key, addresses(value["relayAddresses"]))


def announcement(value: Json) -> m.Announcement:
    return m.Announcement(
        None if value["peer"] is None else peer(value["peer"]),
        raw(value.get("refresh")),
        raw(value["signature"]),
        value.get("bump", 0),
    )


def mutable(value: Json) -> m.MutableValue:
    return m.MutableValue(
        value["seq"], bytes.fromhex(value["value"]), bytes.fromhex(value["signature"])
    )


def noise_payload(value: Json) -> p.NoisePayload:
    holepunch, udx, through = value["holepunch"], value["udx"], value["relayThrough"]
    relays = value["relayAddresses"]
    return p.NoisePayload(
        value["error"],
        value["firewall"],
        None
        if holepunch is None
        else p.HolepunchInfo(
            holepunch["id"],
            tuple(
                p.RelayInfo(address(relay["relayAddress"]), address(relay["peerAddress"]))
                for relay in holepunch["relays"]
            ),
        ),
        addresses(value["addresses4"]),
        addresses(value["addresses6"]),
        None if udx is None else p.UdxInfo(udx["id"], udx["seq"], udx["reusableSocket"]),
        None if value["secretStream"] is None else 1,
        None
        if through is None
        else p.RelayThrough(
            PublicKey(bytes.fromhex(through["publicKey"])), bytes.fromhex(through["token"])
        ),
        None if relays is None else addresses(relays),
        value["version"],
    )


def holepunch_payload(value: Json) -> p.HolepunchPayload:
    return p.HolepunchPayload(
        value["error"],
        value["firewall"],
        value["round"],
        value["connected"],
        value["punching"],
        None if value["addresses"] is None else addresses(value["addresses"]),
        maybe_address(value["remoteAddress"]),
        raw(value["token"]),
        raw(value["remoteToken"]),
    )


# -- nodes ----------------------------------------------------------------------------------------

NODE_ADDRESS = Address("10.0.0.9", 49737)
NODE = NodeId(node_id(NODE_ADDRESS))
TOKEN = bytes(range(32))
ASKER = Address("10.0.0.1", 5000)


def question(
    command: int,
    target: bytes | None,
    value: bytes | None = None,
    token: bytes | None = TOKEN,
    sender: Address = ASKER,
) -> IncomingRequest:
    """A question as a node hands it to the application."""
    return IncomingRequest(
        sender, None, NODE_ADDRESS, token, command, target, value, 7, False, 0, 100
    )


def rpc_options(*bootstrap: Address, persistent: bool = True) -> RpcOptions:
    entries = tuple(f"{address.host}:{address.port}" for address in bootstrap)
    if persistent:
        return RpcOptions(bootstrap=entries, host="127.0.0.1", ephemeral=False, firewalled=False)
    return RpcOptions(bootstrap=entries, host="127.0.0.1")


@contextlib.asynccontextmanager
async def network(count: int) -> AsyncIterator[list[Dht]]:
    """So many lasting members on loopback, and the first, which nobody told its address."""
    async with contextlib.AsyncExitStack() as stack:
        nodes: list[Dht] = []
        for _ in range(count + 1):
            known = [nodes[0].node.server_address] if nodes else []
            dht = await stack.enter_async_context(Dht(DhtOptions(rpc_options(*known))))
            await dht.ready()
            nodes.append(dht)
        yield nodes

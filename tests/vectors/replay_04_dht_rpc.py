"""Sheet 04: messages, ids, answers, table and NAT sampler of a real node, and captured runs."""

from pearbox_edge.errors import PeerError
from pearbox_edge.ids import NodeId
from pearbox_edge.net.rpc import (
    SERVER,
    Datagram,
    NatSampler,
    RequestArrived,
    RpcNodeMachine,
    RpcOptions,
    node_id,
)
from pearbox_edge.net.rpc.messages import (
    Request,
    Response,
    decode,
    encode_request,
    encode_response,
    pack_address,
    unpack_address,
)
from pearbox_edge.net.rpc.routing_table import RoutingTable, TableNode
from pearbox_edge.net.rpc.tokens import TokenIssuer
from pearbox_edge.wire import Address
from tests.kit.vectors import Entry, replays

LAYER = "04-dht-rpc"


def address(value: Entry) -> Address:
    return Address(value["host"], value["port"])


def at(text: str) -> Address:
    host, port = text.split(":")
    return Address(host, int(port))


def data(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


@replays(LAYER, "ids")
def node_ids(entry: Entry, _file: Entry) -> None:
    packed = bytes.fromhex(entry["encoded"])
    assert pack_address(address(entry)) == packed
    assert unpack_address(packed) == address(entry)
    assert node_id(address(entry)).hex() == entry["id"]


@replays(LAYER, "requests")
def requests(entry: Entry, _file: Entry) -> None:
    request = Request(
        entry["tid"],
        address(entry["to"]),
        NodeId(bytes.fromhex(entry["nodeId"])) if entry["persistent"] else None,
        data(entry["token"]),
        entry["internal"],
        entry["command"],
        data(entry["target"]),
        data(entry["value"]),
    )
    assert encode_request(request).hex() == entry["hex"]
    assert decode(bytes.fromhex(entry["hex"])) == request


def read(message: Entry) -> Request | Response:
    """A message in the words of the vectors."""
    id_ = NodeId(bytes.fromhex(message["id"])) if message["id"] else None
    token, value = data(message["token"]), data(message["value"])
    if message["kind"] == "request":
        return Request(
            message["tid"],
            at(message["to"]),
            id_,
            token,
            message["internal"],
            message["command"],
            data(message["target"]),
            value,
        )
    closer = tuple(at(text) for text in message["closerNodes"] or ())
    return Response(message["tid"], at(message["to"]), id_, token, closer, message["error"], value)


def same(hexed: str, message: Entry) -> None:
    datagram = bytes.fromhex(hexed)
    decoded = decode(datagram)
    assert decoded == read(message)
    assert message["trailing"] == 0
    if isinstance(decoded, Request):
        assert encode_request(decoded) == datagram
    else:
        assert encode_response(decoded) == datagram


def fixture_node(fixture: Entry, *, persistent: bool) -> RpcNodeMachine:
    """The answering node of the vectors."""
    options = RpcOptions(
        firewalled=False,
        ephemeral=False,
        public_address=address(fixture["self"]),
        amplification_limit=0,
    )
    node = RpcNodeMachine(options, 0.0, bytes)
    node.start(address(fixture["self"]).port, 0.0)
    state = node._state
    assert node.id is not None and node.id.hex() == fixture["nodeId"]
    state.ephemeral = not persistent
    for entry in fixture["tableInInsertionDistanceOrder"]:
        node.add_node(address(entry))
    node._answers.tokens = TokenIssuer.from_secrets(
        bytes.fromhex(fixture["secrets"]["current"]),
        bytes.fromhex(fixture["secrets"]["previous"]),
        0.0,
    )
    return node


@replays(LAYER, "replies")
def replies(entry: Entry, file: Entry) -> None:
    node = fixture_node(file["fixture"], persistent=entry["persistent"])
    datagram = bytes.fromhex(entry["request"])
    question = decode(datagram)
    assert isinstance(question, Request) and encode_request(question) == datagram
    node.receive([Datagram(datagram, address(entry["from"]))], 0.0, SERVER)
    for event in node.events():
        if not isinstance(event, RequestArrived):
            continue
        asked = event.request
        if "value and token" in entry["what"] or "valid token, " in entry["what"]:
            reply = entry["replies"][0]["message"]
            token, closer = reply["token"] is not None, reply["closerNodes"] is not None
            node.reply(asked, data(reply["value"]), 0.0, token=token, closer=closer)
        elif "bare" in entry["what"]:
            node.reply(asked, None, 0.0, token=False, closer=False)
        elif entry["what"] == "user error":
            node.error(asked, entry["replies"][0]["message"]["error"], 0.0)
        else:
            node.unhandled(asked, 0.0)
    delay = 0.05 if "delayed ping 50" in entry["what"] else 0.0
    if delay:
        assert not node.transmit(0.04)
        node.expire(delay)
    sent = [out for out in node.transmit(delay) if out.data[0] == 0x13]
    assert [(out.address, out.data.hex()) for out in sent] == [
        (address(reply["to"]), reply["hex"]) for reply in entry["replies"]
    ]
    for reply in entry["replies"]:
        same(reply["hex"], reply["message"])


@replays(LAYER, "incoming")
def incoming(entry: Entry, file: Entry) -> None:
    datagram = bytes.fromhex(entry["hex"])
    node = fixture_node(file["fixture"], persistent=True)
    node.receive([Datagram(datagram, Address("144.33.218.21", 40488))], 0.0, SERVER)
    assert bool(node.transmit(0.0)) == entry["answered"]
    try:
        decode(datagram)
    except PeerError:
        assert not entry["answered"]
    else:
        assert entry["answered"]
    for check in file["fixture"]["idCheck"]:
        message = decode(bytes.fromhex(check["hex"]))
        own = node_id(address(check["from"]))
        accepted = own.hex() if message.id == own else None
        assert accepted == check["acceptedId"], check["what"]


def table_node(id_: str) -> TableNode:
    node = TableNode(Address("10.0.0.1", 1))
    node.id = NodeId(bytes.fromhex(id_))
    return node


@replays(LAYER, "tables")
def tables(entry: Entry, _file: Entry) -> None:
    table = RoutingTable(NodeId(bytes.fromhex(entry["own"])), entry["k"])
    for inserted in entry["inserted"]:
        assert table.add(table_node(inserted["id"])) == inserted["added"]
    assert len(table) == entry["size"]
    for lookup in entry["lookups"]:
        target = bytes.fromhex(lookup["target"])
        assert [node.id.hex() for node in table.closest(target)] == lookup["closest"]
        assert [node.id.hex() for node in table.closest(target, 5)] == lookup["closest5"]


@replays(LAYER, "natSampler")
def nat_sampler(entry: Entry, _file: Entry) -> None:
    sampler = NatSampler()
    for step in entry["steps"]:
        assert sampler.add(address(step)) == step["hits"]
        assert (sampler.host, sampler.port) == (step["resultHost"], step["resultPort"])
        assert (sampler.size, sampler.threshold) == (step["size"], step["threshold"])


@replays(LAYER, "live")
def live(entry: Entry, _file: Entry) -> None:
    """What was captured is read and written alike; ids are those of their senders."""
    for datagram in entry["datagrams"]:
        same(datagram["hex"], datagram["message"])
        if datagram["message"]["id"]:
            sender = Address("127.0.0.1", datagram["from"])
            assert datagram["message"]["id"] == node_id(sender).hex()

"""Nodes on sockets of this machine; the rules are tested in virtual time elsewhere."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.net.rpc import (
    CLIENT,
    SERVER,
    UNKNOWN_COMMAND,
    BecamePersistent,
    Commit,
    Event,
    IncomingRequest,
    QueryOptions,
    Reply,
    RpcNode,
    RpcOptions,
    UdpPort,
    node_id,
)
from pearbox_edge.wire import Address

TARGET = bytes(range(32))


def options(*bootstrap: Address, persistent: bool = False) -> RpcOptions:
    entries = tuple(f"{address.host}:{address.port}" for address in bootstrap)
    if persistent:
        return RpcOptions(bootstrap=entries, host="127.0.0.1", ephemeral=False, firewalled=False)
    return RpcOptions(bootstrap=entries, host="127.0.0.1")


@contextlib.asynccontextmanager
async def network(count: int) -> AsyncIterator[list[RpcNode]]:
    """So many lasting members, and the first, which nobody told its address yet."""
    async with contextlib.AsyncExitStack() as stack:
        nodes: list[RpcNode] = []
        for _ in range(count + 1):
            known = [nodes[0].server_address] if nodes else []
            node = await stack.enter_async_context(RpcNode(options(*known, persistent=True)))
            async with asyncio.timeout(5):
                await node.ready()
            nodes.append(node)
        yield nodes


async def test_nodes_meet_and_find_each_other() -> None:
    async with network(6) as nodes:
        assert all(node.id == node_id(node.server_address) for node in nodes[1:])
        closest = await nodes[1].find_node(TARGET).finished()
        expected = {node.server_address for node in nodes[2:]}
        assert {reply.sender for reply in closest} == expected


async def test_a_question_is_answered_by_the_other_sides_handler() -> None:
    async with network(2) as nodes:
        asked: list[IncomingRequest] = []

        def handler(request: IncomingRequest) -> bool:
            asked.append(request)
            nodes[1].reply(request, b"answer to " + (request.value or b""))
            return True

        nodes[1].handler = handler
        there = nodes[1].server_address
        reply = await nodes[2].request(there, 5, target=TARGET, value=b"question")
        assert reply.value == b"answer to question" and reply.token is not None
        assert reply.sender == there and reply.to == nodes[2].address
        await nodes[2].request(there, 5, target=TARGET, token=reply.token)
        assert asked[1].token == reply.token


async def test_without_a_handler_or_with_one_that_does_not_care_commands_are_unknown() -> None:
    async with network(2) as nodes:
        there = nodes[1].server_address
        assert (await nodes[2].request(there, 5)).error == UNKNOWN_COMMAND
        nodes[1].handler = lambda _request: False
        assert (await nodes[2].request(there, 5)).error == UNKNOWN_COMMAND


async def test_a_handler_that_cannot_read_a_question_leaves_it_unanswered() -> None:
    def handler(_request: IncomingRequest) -> bool:
        raise PeerError("nonsense")

    async with network(2) as nodes:
        nodes[1].handler = handler
        asking = asyncio.ensure_future(nodes[2].request(nodes[1].server_address, 5))
        await nodes[2].ping(nodes[1].server_address)
        assert not asking.done()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert nodes[2].machine.counters()["pending"] == 0


async def test_an_error_of_the_application_is_an_answer() -> None:
    async with network(2) as nodes:

        def handler(request: IncomingRequest) -> bool:
            nodes[1].error(request, 16, closer=False)
            return True

        nodes[1].handler = handler
        reply = await nodes[2].request(nodes[1].server_address, 5, target=TARGET)
        assert reply.error == 16 and reply.closer == ()


async def test_a_question_passed_on_is_answered_by_another_node() -> None:
    async with network(2) as nodes:
        relay, server, client = nodes

        def pass_on(request: IncomingRequest) -> bool:
            asker = request.sender
            relay.relay(request, f"{asker.host}:{asker.port}".encode(), server.server_address)
            return True

        seen: list[IncomingRequest] = []

        def serve(request: IncomingRequest) -> bool:
            seen.append(request)
            return True

        relay.handler, server.handler = pass_on, serve
        with pytest.raises(UnavailableError):
            await client.request(relay.server_address, 5, value=b"x", retries=0)
        assert seen[0].sender == relay.server_address
        assert seen[0].value == b"127.0.0.1:%d" % client.address.port


async def test_a_commit_is_sent_with_the_tokens_of_the_closest() -> None:
    async with network(4) as nodes:
        stored: list[bytes | None] = []

        def handler_of(node: RpcNode) -> None:
            def handler(request: IncomingRequest) -> bool:
                if request.token is not None:
                    stored.append(request.value)
                node.reply(request, b"seen")
                return True

            node.handler = handler

        for node in nodes:
            handler_of(node)

        def commit(reply: Reply) -> Commit:
            assert reply.value == b"seen"
            return Commit(6, b"kept")

        query = nodes[1].query(TARGET, 7, b"ask", commit=commit)
        values = [reply.value async for reply in query]
        assert values == [b"seen"] * 4
        assert query.stored == 3 == len(query.closest)
        assert stored == [b"kept"] * 3
        assert (query.successes, query.errors) == (4, 0)


async def test_a_walk_that_fails_says_why() -> None:
    async with RpcNode(options()) as node:
        query = node.query(TARGET, 7, commit=lambda _reply: Commit(6, None))
        with pytest.raises(UnavailableError, match="too few nodes"):
            await query.finished()


async def test_a_cancelled_walk_ends() -> None:
    silent = UdpPort.open("127.0.0.1", 0)
    async with RpcNode(options()) as node:
        query = node.find_node(TARGET, QueryOptions(nodes=[silent.address]))
        query.cancel()
        with pytest.raises(UnavailableError, match="cancelled"):
            await query.finished()
        assert node.machine.counters()["pending"] == 0
    silent.close()


async def test_who_does_not_answer_is_unavailable() -> None:
    silent = UdpPort.open("127.0.0.1", 0)
    async with RpcNode(options()) as node:
        with pytest.raises(UnavailableError) as caught:
            await node.ping(silent.address, retries=0)
        assert caught.value.code == "REQUEST_TIMEOUT"
    silent.close()


async def test_a_closed_node_fails_who_waits() -> None:
    silent = UdpPort.open("127.0.0.1", 0)
    node = RpcNode(options(silent.address))
    async with node:
        ready = asyncio.ensure_future(node.ready())
        ping = asyncio.ensure_future(node.ping(silent.address))
        await asyncio.sleep(0)
    for waiting in (ready, ping):
        with pytest.raises(UnavailableError):
            await waiting
    with pytest.raises(UnavailableError):
        node.resume()
    silent.close()


async def test_a_resumed_node_has_its_ports_again() -> None:
    async with network(3) as nodes:
        node = nodes[2]
        addresses = (node.server_address, node.client_address)
        waiting = asyncio.ensure_future(node.delayed_ping(nodes[1].server_address, 5.0))
        await asyncio.sleep(0)
        node.suspend()
        node.suspend()
        with pytest.raises(UnavailableError) as caught:
            await waiting
        assert caught.value.code == "IO_SUSPENDED"
        with pytest.raises(UnavailableError):
            _ = node.server_address
        with pytest.raises(UnavailableError):
            await node.ping(nodes[1].server_address)
        node.resume()
        node.resume()
        assert (node.server_address, node.client_address) == addresses
        assert (await nodes[1].ping(node.server_address)).error == 0


async def test_a_taken_port_is_passed_over_or_refused() -> None:
    taken = UdpPort.open("127.0.0.1", 0)
    wanted = RpcOptions(host="127.0.0.1", port=taken.address.port)
    async with RpcNode(wanted) as node:
        assert node.server_address.port != taken.address.port
    with pytest.raises(UnavailableError):
        async with RpcNode(RpcOptions.bootstrapper("127.0.0.1", taken.address.port)):
            pass
    taken.close()


async def test_more_ports_can_be_asked_from() -> None:
    async with network(2) as nodes:
        port = UdpPort.open("127.0.0.1", 0)
        number = nodes[1].add_port(port)
        assert number not in (SERVER, CLIENT)
        reply = await nodes[1].ping(nodes[2].server_address, socket=number)
        assert reply.to == port.address and reply.socket == number
        assert (await nodes[2].ping(port.address)).id is None
        nodes[1].remove_port(number)
        with pytest.raises(UnavailableError):
            nodes[1].port(number)
        port.close()


async def test_datagrams_that_are_no_messages_are_left_alone() -> None:
    async with network(1) as nodes:
        stranger = UdpPort.open("127.0.0.1", 0)
        for data in (b"", b"\0", b"\xff\1" + bytes(30), b"\x03"):
            stranger.send(data, nodes[1].server_address)
        await nodes[0].ping(nodes[1].server_address)
        assert nodes[1].machine.counters()["malformed"] == 1
        stranger.close()


async def test_what_the_node_reports_is_told() -> None:
    events: list[Event] = []
    async with network(3) as nodes:
        known = options(nodes[0].server_address, persistent=True)
        async with RpcNode(known, on_event=events.append) as node:
            await node.ready()
            assert BecamePersistent(node_id(node.server_address)) in events


async def test_a_bootstrap_node_is_resolved_by_name() -> None:
    async with network(2) as nodes:
        port = nodes[0].server_address.port
        named = RpcOptions(bootstrap=(f"localhost:{port}",), host="127.0.0.1")
        async with RpcNode(named) as node:
            async with asyncio.timeout(5):
                await node.ready()
            assert len(node.machine.nodes()) == 2


async def test_a_change_of_network_is_gone_through() -> None:
    async with network(5) as nodes:
        nodes[3].network_changed()
        assert nodes[3].id is None
        assert (await nodes[3].ping(nodes[1].server_address)).to == nodes[3].address

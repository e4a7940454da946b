"""Our UDX and udx-native itself, on loopback: every kind of packet, both ways."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.errors import UnavailableError
from pearbox_edge.net.udx import Udx, UdxSocket, UdxStream
from tests.kit.net import seeded_bytes
from tests.kit.peers import JsPeer, Peer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(60),
    pytest.mark.usefixtures("js_peers"),
]

HOST = "127.0.0.1"
OURS, THEIRS = 1, 2


@pytest.fixture(params=["offload", "singly"])
async def udx(request: pytest.FixtureRequest) -> AsyncIterator[Udx]:
    """Once with the kernel's help, once without."""
    async with Udx(os.urandom, offload=request.param == "offload") as udx:
        yield udx


def peer(mode: str, *more: str | int) -> JsPeer:
    return JsPeer("udx-echo.mjs", "--id", THEIRS, "--remote-id", OURS, "--mode", mode, *more)


async def meet(udx: Udx, js: Peer) -> tuple[UdxSocket, UdxStream]:
    """Both are connected to each other."""
    ready = await js.wait("ready")
    socket = udx.bind(HOST)
    stream = udx.stream(OURS)
    stream.connect(socket, THEIRS, HOST, ready["port"])
    await js.ask(cmd="connect", port=socket.address[1])
    return socket, stream


async def read_all(stream: UdxStream) -> bytes:
    got = bytearray()
    while data := await stream.read():
        got += data
    return bytes(got)


async def test_bytes_go_there_and_back_and_both_close_well(udx: Udx) -> None:
    data = seeded_bytes()(3_000_000)
    async with peer("echo") as js:
        _, stream = await meet(udx, js)
        stream.write(data)
        stream.end()
        assert await read_all(stream) == data
        received = await js.wait("received")
        assert received["sha256"] == hashlib.sha256(data).hexdigest()
        await js.wait("stream-closed")
        await stream.wait_closed()
        assert not any(event["event"] == "broken" for event in js.events)


async def test_a_long_transfer_to_us_arrives_whole(udx: Udx) -> None:
    async with peer("source", "--bytes", 20 << 20) as js:
        _, stream = await meet(udx, js)
        got = await read_all(stream)
        stream.end()
        sent = await js.wait("sent")
        assert hashlib.sha256(got).hexdigest() == sent["sha256"]
        await js.wait("stream-closed")


async def test_a_long_transfer_from_us_arrives_whole(udx: Udx) -> None:
    data = seeded_bytes()(20 << 20)
    async with peer("sink") as js:
        _, stream = await meet(udx, js)
        for start in range(0, len(data), 1 << 20):
            stream.write(data[start : start + (1 << 20)])
            await stream.drain()
        await stream.close()
        received = await js.wait("received")
        assert received["sha256"] == hashlib.sha256(data).hexdigest()
        assert stream.machine.sender.mtu.mtu == 1500
        await js.wait("stream-closed")


async def test_messages_pass_beside_the_stream(udx: Udx) -> None:
    async with peer("echo") as js:
        _, stream = await meet(udx, js)
        got: asyncio.Queue[bytes] = asyncio.Queue()
        stream.on_message = got.put_nowait
        assert stream.send_message(b"ping")
        assert (await js.wait("message"))["text"] == "ping"
        assert await got.get() == b"ping"


async def test_other_datagrams_share_the_port(udx: Udx) -> None:
    async with peer("quiet") as js:
        socket, _ = await meet(udx, js)
        got: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        socket.on_datagram = lambda data, where: got.put_nowait((data, where))
        port = js.events[0]["port"]
        socket.send(b"a plain one", (HOST, port))
        assert (await js.wait("datagram"))["text"] == "a plain one"
        await js.ask(cmd="datagram", text="and back", port=socket.address[1])
        assert await got.get() == (b"and back", (HOST, port))


async def test_our_half_close_leaves_the_other_way_open(udx: Udx) -> None:
    async with peer("quiet") as js:
        _, stream = await meet(udx, js)
        stream.end()
        await js.wait("received")
        await js.ask(cmd="write", text="still here")
        assert bytes(await stream.read()) == b"still here"
        await js.ask(cmd="end")
        assert not await stream.read()
        await js.wait("stream-closed")
        await stream.wait_closed()


async def test_a_destroyed_stream_breaks_the_other_side(udx: Udx) -> None:
    async with peer("quiet") as js:
        _, stream = await meet(udx, js)
        stream.write(b"hello")
        await js.wait("data", text="hello")
        await js.ask(cmd="destroy")
        with pytest.raises(UnavailableError) as caught:
            await stream.read()
        assert caught.value.code == "ECONNRESET"
    async with peer("quiet") as js:
        _, stream = await meet(udx, js)
        stream.write(b"hello")
        await js.wait("data", text="hello")
        stream.abort()
        assert (await js.wait("broken"))["code"] == "ECONNRESET"


async def test_the_first_packet_in_is_the_path(udx: Udx) -> None:
    """They connect in their firewall hook; then we do in ours."""
    async with peer("echo", "--accept") as js:
        ready = await js.wait("ready")
        stream = udx.stream(OURS)
        stream.connect(udx.bind(HOST), THEIRS, HOST, ready["port"])
        stream.write(b"anybody there?")
        assert bytes(await stream.read()) == b"anybody there?"
        stream.abort()
    async with peer("quiet") as js:
        await js.wait("ready")

        def let_in(socket: UdxSocket, host: str, port: int) -> bool:
            ours.connect(socket, THEIRS, host, port)
            return False

        ours = udx.stream(OURS, firewall=let_in)
        await js.ask(cmd="connect", port=udx.bind(HOST).address[1])
        await js.ask(cmd="write", text="first")
        assert bytes(await ours.read()) == b"first"
        ours.write(b"second")
        await js.wait("data", text="second")


async def test_their_keep_alive_is_answered(udx: Udx) -> None:
    async with peer("quiet") as js:
        _, stream = await meet(udx, js)
        stream.write(b"hello")
        await js.wait("data")
        await js.ask(cmd="keepalive", ms=50)
        await asyncio.sleep(0.4)
        stats = await js.ask(cmd="stats")
        assert stats["rtoCount"] == 0
        stream.set_keep_alive(0.05)
        await asyncio.sleep(0.3)
        assert not stream.is_closed


async def test_a_slow_reader_slows_them_down(udx: Udx) -> None:
    async with peer("source", "--bytes", 24 << 20) as js:
        _, stream = await meet(udx, js)
        first = await stream.read()
        await asyncio.sleep(1.5)
        assert stream.machine.receiver.dropped == 0
        got = bytes(first) + await read_all(stream)
        stream.end()
        sent = await js.wait("sent")
        assert hashlib.sha256(got).hexdigest() == sent["sha256"]


async def test_both_may_move_to_another_port(udx: Udx) -> None:
    async with peer("quiet") as js:
        first, stream = await meet(udx, js)
        stream.write(b"one")
        await js.wait("data", text="one")
        second = udx.bind(HOST)
        port = js.events[0]["port"]
        await stream.move(second, THEIRS, HOST, port)
        stream.write(b"two")
        await js.wait("data", text="two")
        moved = await js.ask(cmd="socket")
        await js.ask(cmd="move", port=second.address[1])
        await js.ask(cmd="write", text="three")
        assert bytes(await stream.read()) == b"three"
        await stream.move(second, THEIRS, HOST, moved["port"])
        first.close()
        stream.write(b"four")
        await js.wait("data", text="four")
        stream.end()
        await js.ask(cmd="end")
        await js.wait("stream-closed")


async def test_their_relay_carries_our_streams(udx: Udx) -> None:
    data = seeded_bytes()(2_000_000)
    async with peer("relay") as js:
        ready = await js.wait("ready")
        left, right = udx.bind(HOST), udx.bind(HOST)
        one, two = udx.stream(11), udx.stream(12)
        ports = [left.address[1], right.address[1]]
        await js.ask(cmd="connect", ids=[11, 12], ports=ports)
        one.connect(left, ready["ids"][0], HOST, ready["port"])
        two.connect(right, ready["ids"][1], HOST, ready["port"])
        one.write(data)
        one.end()
        assert await read_all(two) == data
        two.abort()
        await js.wait("stream-closed")


async def test_our_relay_carries_their_stream(udx: Udx) -> None:
    data = seeded_bytes()(2_000_000)
    async with JsPeer("udx-echo.mjs", "--id", 3, "--remote-id", 104, "--mode", "echo") as js:
        ready = await js.wait("ready")
        middle, outside = udx.bind(HOST), udx.bind(HOST)
        left, right, end = udx.stream(103), udx.stream(104), udx.stream(13)
        left.connect(middle, 13, *outside.address)
        right.connect(middle, 3, HOST, ready["port"])
        left.relay_to(right)
        right.relay_to(left)
        end.connect(outside, 103, *middle.address)
        await js.ask(cmd="connect", port=middle.address[1])
        end.write(data)
        end.end()
        assert await read_all(end) == data
        await js.wait("stream-closed")


async def test_a_vanished_peer_is_given_up_after_thirteen_seconds(udx: Udx) -> None:
    async with peer("quiet") as js:
        _, stream = await meet(udx, js)
        stream.write(b"hello")
        await js.wait("data")
    start = time.monotonic()
    stream.write(b"still there?")
    with pytest.raises(UnavailableError) as caught:
        await stream.read()
    assert caught.value.code == "ETIMEDOUT"
    assert 12.0 < time.monotonic() - start < 15.0

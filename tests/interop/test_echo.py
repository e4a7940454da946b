"""Our secret stream with the Node one over TCP, either side dialling."""

import asyncio
import hashlib
import os

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.net.noise import SecretStream
from pearbox_edge.net.tcp import TcpStream, connect, listen
from tests.kit.peers import JsPeer

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("js_peers")]

SIZES = pytest.mark.parametrize(
    ("total", "chunk"),
    [(1, 1), (3000, 7), (1 << 20, 65536), (32 << 20, 1 << 20), (17 << 20, 9 << 20)],
)


def own_keys() -> KeyPair:
    return KeyPair.generate(os.urandom)


@SIZES
async def test_node_echoes_what_we_send(total: int, chunk: int) -> None:
    async with JsPeer("echo.mjs", "--listen", "--tcp", "127.0.0.1:0", "--mode", "echo") as node:
        host, port = (await node.wait("ready"))["tcp"].split(":")
        raw = await connect(host, int(port))
        data = os.urandom(total)
        async with await SecretStream.connect(raw, own_keys(), os.urandom) as stream:

            async def send() -> None:
                for start in range(0, total, chunk):
                    stream.send([(data[start : start + chunk],)])
                    await stream.drain()

            back = bytearray()
            async with asyncio.TaskGroup() as group:
                group.create_task(send())
                while len(back) < total:
                    messages = await stream.receive()
                    assert messages
                    for message in messages:
                        back += message
            assert back == data
        received = await node.wait("received")
    assert received["bytes"] == total
    assert received["sha256"] == hashlib.sha256(data).hexdigest()


@SIZES
async def test_we_echo_what_node_sends(total: int, chunk: int) -> None:
    counts: list[int] = []

    async def echo(raw: TcpStream) -> None:
        async with await SecretStream.accept(raw, own_keys(), os.urandom) as stream:
            count = 0
            while messages := await stream.receive():
                count += sum(map(len, messages))
                stream.send([(message,) for message in messages])
                await stream.drain()
            counts.append(count)

    async with listen("127.0.0.1", 0, echo) as listener:
        host, port = listener.address
        sizes = ("--bytes", total, "--chunk", chunk)
        async with JsPeer("echo.mjs", "--tcp", f"{host}:{port}", "--mode", "echo", *sizes) as node:
            done = await node.wait_exit()
    assert done["ok"] is True
    assert done["bytes"] == total
    assert counts == [total]


async def test_node_sees_our_end_and_we_see_its_end() -> None:
    listening = ("--listen", "--tcp", "127.0.0.1:0", "--mode", "source", "--bytes", 100_000)
    async with JsPeer("echo.mjs", *listening) as node:
        host, port = (await node.wait("ready"))["tcp"].split(":")
        raw = await connect(host, int(port))
        stream = await SecretStream.connect(raw, own_keys(), os.urandom)
        digest = hashlib.sha256()
        while messages := await stream.receive():
            for message in messages:
                digest.update(message)
        await stream.close()
        sent = await node.wait("sent")
        await node.wait("close")
    assert sent["sha256"] == digest.hexdigest()

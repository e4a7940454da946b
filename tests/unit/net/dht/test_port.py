import asyncio
import os

from pearbox_edge.net.dht.port import UdxPort
from pearbox_edge.net.rpc import Datagram
from pearbox_edge.net.udx import Udx
from pearbox_edge.wire import Address


async def test_datagrams_and_hole_punches_arrive_apart() -> None:
    async with Udx(os.urandom) as udx:
        here, there = (UdxPort(udx.bind("127.0.0.1")) for _ in range(2))
        got: asyncio.Queue[list[Datagram]] = asyncio.Queue()
        punches: asyncio.Queue[Address] = asyncio.Queue()
        there.on_datagrams(got.put_nowait)
        there.on_punch = punches.put_nowait
        here.send(b"\0", there.address)
        here.send(b"\x03 question", there.address, 64)
        async with asyncio.timeout(5):
            assert await got.get() == [Datagram(b"\x03 question", here.address)]
            assert await punches.get() == here.address
        assert got.empty() and punches.empty()


async def test_a_stream_on_the_same_port_keeps_its_packets() -> None:
    async with Udx(os.urandom) as udx, Udx(os.urandom) as other:
        here, there = UdxPort(udx.bind("127.0.0.1")), UdxPort(other.bind("127.0.0.1"))
        got: list[Datagram] = []
        there.on_datagrams(got.extend)
        one, two = udx.stream(), other.stream()
        one.connect(here.socket, two.id, *there.address)
        two.connect(there.socket, one.id, *here.address)
        one.write(b"hello")
        async with asyncio.timeout(5):
            assert bytes(await two.read()) == b"hello"
        assert got == []


async def test_after_the_close_nothing_arrives_and_nothing_fails() -> None:
    async with Udx(os.urandom) as udx:
        here, there = (UdxPort(udx.bind("127.0.0.1")) for _ in range(2))
        got: list[Datagram] = []
        there.on_datagrams(got.extend)
        there.close()
        there.close()
        here.send(b"\x03 question", there.address)
        there.send(b"\x03 answer", here.address)
        await asyncio.sleep(0.02)
        assert got == []

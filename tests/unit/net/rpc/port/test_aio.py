import asyncio
import socket

import pytest

from pearbox_edge.errors import UnavailableError
from pearbox_edge.net.rpc import Datagram, UdpPort
from pearbox_edge.net.rpc.port.aio import BATCH
from pearbox_edge.wire import Address


class Box:
    """What arrived at a port."""

    def __init__(self, port: UdpPort) -> None:
        self.batches: list[list[Datagram]] = []
        self.news = asyncio.Event()
        port.on_datagrams(self.take)

    def take(self, datagrams: list[Datagram]) -> None:
        self.batches.append(datagrams)
        self.news.set()

    async def wait(self, count: int) -> list[Datagram]:
        async with asyncio.timeout(5):
            while sum(map(len, self.batches)) < count:
                self.news.clear()
                await self.news.wait()
        return [datagram for batch in self.batches for datagram in batch]


async def test_many_datagrams_arrive_in_few_wake_ups() -> None:
    here, there = UdpPort.open("127.0.0.1", 0), UdpPort.open("127.0.0.1", 0)
    try:
        box = Box(there)
        for number in range(2 * BATCH):
            here.send(bytes((number,)), there.address)
        got = await box.wait(2 * BATCH)
        assert [datagram.data[0] for datagram in got] == list(range(2 * BATCH))
        assert {datagram.address for datagram in got} == {here.address}
        assert len(box.batches) <= 4
    finally:
        here.close()
        there.close()


async def test_a_port_that_is_taken_cannot_be_had() -> None:
    port = UdpPort.open("127.0.0.1", 0)
    try:
        with pytest.raises(UnavailableError) as caught:
            UdpPort.open("127.0.0.1", port.address.port)
        assert caught.value.code == "EADDRINUSE"
    finally:
        port.close()


async def test_the_time_to_live_is_for_one_datagram() -> None:
    port = UdpPort.open("127.0.0.1", 0)
    try:
        usual = port._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)
        port.send(b"x", port.address, 5)
        assert port._socket.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == usual
    finally:
        port.close()


async def test_what_cannot_be_sent_is_lost() -> None:
    port = UdpPort.open("127.0.0.1", 0)
    port.send(b"x" * 70_000, port.address)
    port.send(b"x", Address("240.0.0.1", 1))
    port.send(b"", Address("127.0.0.1", 0))
    port.close()
    port.send(b"x", Address("127.0.0.1", 9))
    port.on_datagrams(None)
    port.close()


async def test_a_message_that_nobody_listens_is_no_error() -> None:
    here, gone = UdpPort.open("127.0.0.1", 0), UdpPort.open("127.0.0.1", 0)
    try:
        box = Box(here)
        gone.close()
        here.send(b"x", gone.address)
        await asyncio.sleep(0.02)
        here.send(b"self", here.address)
        (datagram,) = await box.wait(1)
        assert datagram.data == b"self"
    finally:
        here.close()

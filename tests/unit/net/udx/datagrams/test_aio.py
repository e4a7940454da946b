"""Sockets on loopback, with the kernel's help and without."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.errors import UnavailableError
from pearbox_edge.net.udx.datagrams import Address, DatagramSocket

HOST = "127.0.0.1"


class End:
    """A socket and all that arrived on it."""

    def __init__(self, host: str = HOST, *, offload: bool = True) -> None:
        self.got: list[tuple[bytes, Address]] = []
        self.calls = 0
        self.news = asyncio.Event()
        self.writable = 0
        self.socket = DatagramSocket(
            host, 0, on_readable=self.read, on_writable=self.on_writable, offload=offload
        )

    def on_writable(self) -> None:
        self.writable += 1

    def read(self) -> None:
        for view, size, where in self.socket.receive():
            self.calls += 1
            for start in range(0, len(view), size):
                self.got.append((bytes(view[start : start + size]), where))
        self.news.set()

    async def wait(self, count: int) -> list[bytes]:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                self.news.clear()
                await self.news.wait()
        return [data for data, _ in self.got]


@pytest.fixture
async def ends() -> AsyncIterator[tuple[End, End]]:
    one, two = End(), End()
    yield one, two
    one.socket.close()
    two.socket.close()


def parts_of(count: int, size: int) -> list[bytes]:
    parts: list[bytes] = []
    for number in range(count):
        parts += [bytes([number]), bytes([number]) * (size - 1)]
    return parts


@pytest.mark.parametrize("offload", [True, False])
async def test_many_datagrams_arrive_as_they_were(offload: bool) -> None:
    one, two = End(offload=offload), End(offload=offload)
    parts = [*parts_of(40, 500), b"", b"last"]
    one.socket.send(parts, 500, two.socket.address)
    got = await two.wait(41)
    assert got == [bytes([number]) * 500 for number in range(40)] + [b"last"]
    assert two.got[0][1] == one.socket.address
    if not offload:
        assert two.calls == 41
    elif one.socket.can_segment and two.socket.can_coalesce:
        assert two.calls == 1
    one.socket.close()
    two.socket.close()


async def test_single_datagrams_and_hops(ends: tuple[End, End]) -> None:
    one, two = ends
    one.socket.send((b"hello",), 5, two.socket.address)
    one.socket.send((b"with ttl",), 8, two.socket.address, ttl=5)
    assert await two.wait(2) == [b"hello", b"with ttl"]


async def test_what_the_kernel_refuses_is_lost_without_a_word(ends: tuple[End, End]) -> None:
    one, two = ends
    one.socket.send((bytes(70_000),), 70_000, two.socket.address)
    one.socket.send(parts_of(20, 60_000), 60_000, two.socket.address)
    one.socket.send((b"x",), 1, ("255.255.255.255", 9))
    one.socket.send((b"still fine",), 10, two.socket.address)
    assert (await two.wait(1))[-1] == b"still fine" or len(two.got) > 1


async def test_one_socket_carries_both_families() -> None:
    both, four = End("::"), End()
    both.socket.send((b"over IPv4",), 9, four.socket.address)
    assert await four.wait(1) == [b"over IPv4"]
    four.socket.send((b"back",), 4, (HOST, both.socket.address[1]))
    await both.wait(1)
    assert both.got[0] == (b"back", four.socket.address)
    both.socket.close()
    four.socket.close()


async def test_a_full_kernel_is_waited_for(ends: tuple[End, End]) -> None:
    one, two = ends
    real = one.socket._socket

    class Full:
        def __init__(self) -> None:
            self.full = True

        def sendmsg(self, *args: object) -> int:
            if self.full:
                raise BlockingIOError
            return real.sendmsg(*args)  # type: ignore[arg-type]

        def fileno(self) -> int:
            return real.fileno()

        def close(self) -> None:
            real.close()

    full = Full()
    one.socket._socket = full  # type: ignore[assignment]
    one.socket.send((b"a",), 1, two.socket.address)
    assert one.socket.is_blocked
    full.full = False
    one.socket.send((b"b",), 1, two.socket.address)
    assert await two.wait(2) == [b"a", b"b"]
    assert not one.socket.is_blocked
    assert one.writable == 1


async def test_a_taken_port_says_so(ends: tuple[End, End]) -> None:
    with pytest.raises(UnavailableError) as caught:
        DatagramSocket(
            HOST, ends[0].socket.address[1], on_readable=lambda: None, on_writable=lambda: None
        )
    assert caught.value.code == "EADDRINUSE"


async def test_closed_is_closed(ends: tuple[End, End]) -> None:
    one, two = ends
    one.socket.close()
    one.socket.close()
    one.socket.send((b"x",), 1, two.socket.address)
    assert one.socket.receive() == []

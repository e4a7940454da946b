"""The one room whose unit is a socket: all on loopback."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.net.tcp import TcpStream, aio, connect, listen
from pearbox_edge.net.tcp.aio import CLOSE_TIMEOUT, LINE_TIMEOUT, WRITE_HIGH, WRITE_LIMIT


@contextlib.asynccontextmanager
async def pipe() -> AsyncIterator[tuple[TcpStream, TcpStream]]:
    """The dialling and the accepted end of one connection."""
    accepted: asyncio.Future[TcpStream] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def on_stream(stream: TcpStream) -> None:
        accepted.set_result(stream)
        await done.wait()

    async with (
        listen("127.0.0.1", 0, on_stream) as listener,
        await connect(*listener.address) as near,
    ):
        far = await accepted
        try:
            yield near, far
        finally:
            far.abort()
            done.set()


async def read_all(stream: TcpStream) -> bytes:
    whole = bytearray()
    while data := await stream.read():
        whole += data
    return bytes(whole)


async def test_bytes_arrive_in_order_in_both_directions() -> None:
    async with pipe() as (near, far):
        assert near.remote_address[0] == far.remote_address[0] == "127.0.0.1"
        near.write(b"hello ")
        near.write(memoryview(b"there"))
        far.write(b"general")
        assert bytes(await near.read()) == b"general"
        got = b""
        while len(got) < 11:
            got += await far.read()
        assert got == b"hello there"


async def test_memory_read_is_the_readers_own() -> None:
    async with pipe() as (near, far):
        near.write(b"first")
        first = await far.read()
        first[:] = b"FIRST"
        near.write(b"second")
        assert bytes(await far.read()) == b"second"
        assert bytes(first) == b"FIRST"


async def test_much_is_carried_whole() -> None:
    async with pipe() as (near, far):
        data = bytes(range(256)) * 4096
        count = 12

        async def send() -> None:
            for _ in range(count):
                near.write(data)
                await near.drain()
            await near.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(send())
            whole = await read_all(far)
            await far.close()
        assert whole == data * count


async def test_writer_waits_while_the_other_end_does_not_read() -> None:
    async with pipe() as (near, far):
        for _ in range(16):
            near.write(bytes(1 << 20))
        assert near._queued > WRITE_HIGH
        drain = asyncio.ensure_future(near.drain())
        await asyncio.sleep(0.01)
        assert not drain.done()
        total = 0
        while total < 16 << 20:
            total += len(await far.read())
        await drain


async def test_peer_that_reads_nothing_is_dropped_in_the_end() -> None:
    async with pipe() as (near, _far):
        near.write(bytes(WRITE_LIMIT + (16 << 20)))
        with pytest.raises(UnavailableError, match="does not take"):
            await near.drain()


async def test_close_sends_what_is_queued_and_the_end_is_empty() -> None:
    async with pipe() as (near, far):
        near.write(bytes(8 << 20))
        async with asyncio.TaskGroup() as group:
            group.create_task(near.close())
            assert len(await read_all(far)) == 8 << 20
            assert len(await far.read()) == 0
            await far.close()


async def test_reader_is_woken_by_close_and_close_sees_the_other_end() -> None:
    async with pipe() as (near, far):
        reading = asyncio.ensure_future(near.read())
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(near.close())
        assert len(await reading) == 0
        await asyncio.sleep(0.01)
        assert not closing.done()
        await far.close()
        await asyncio.wait_for(closing, CLOSE_TIMEOUT / 2)


async def test_abort_is_noticed_by_both_ends() -> None:
    async with pipe() as (near, far):
        near.abort()
        with pytest.raises(UnavailableError):
            await near.read()
        with pytest.raises(UnavailableError):
            await near.drain()
        with pytest.raises(UnavailableError):
            await far.read()
        near.write(b"nothing happens")
        near.abort()
        await near.close()


async def test_second_reader_is_our_mistake() -> None:
    async with pipe() as (near, far), asyncio.TaskGroup() as group:
        group.create_task(near.read())
        await asyncio.sleep(0.01)
        with pytest.raises(UsageError):
            await near.read()
        far.write(b"done")


async def test_cancelled_read_leaves_the_stream_usable() -> None:
    async with pipe() as (near, far):
        reading = asyncio.ensure_future(near.read())
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        far.write(b"still here")
        assert bytes(await near.read()) == b"still here"


async def test_line_without_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "WATCH_INTERVAL", 0.01)
    async with pipe() as (near, _far):
        reading = asyncio.ensure_future(near.read())
        monkeypatch.setattr(aio, "_unanswered_for", lambda sock: LINE_TIMEOUT)
        with pytest.raises(UnavailableError, match="no answer for 10 s") as failure:
            await reading
    assert failure.value.code == "ETIMEDOUT"


async def test_machine_that_is_only_slow_to_read_owes_no_answer() -> None:
    async with pipe() as (near, far):
        near.write(bytes(32 << 20))
        await asyncio.sleep(0.3)
        assert near._queued > 0
        assert aio._unanswered_for(near._socket) < 0.3
        assert aio._unanswered_for(far._socket) == 0.0


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match="cannot connect") as failure:
            await connect("127.0.0.1", taken.getsockname()[1])
    assert failure.value.code == "ECONNREFUSED"


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 70000), ("no such host.invalid", 1), ("a" * 300, 1)]
)
async def test_senseless_address_is_unavailable(host: str, port: int) -> None:
    with pytest.raises(UnavailableError):
        await connect(host, port, timeout=2)
    with pytest.raises(UnavailableError):
        async with listen(host, port, _refuse):
            pass


async def _refuse(stream: TcpStream) -> None:
    raise PeerError("not today")


async def test_port_in_use_is_unavailable() -> None:
    async with listen("127.0.0.1", 0, _refuse) as listener:
        with pytest.raises(UnavailableError, match="cannot listen") as failure:
            async with listen(*listener.address, _refuse):
                pass
    assert failure.value.code == "EADDRINUSE"


async def test_bad_peer_ends_only_its_own_connection() -> None:
    async with listen("127.0.0.1", 0, _refuse) as listener:
        for _ in range(2):
            async with await connect(*listener.address) as stream:
                with pytest.raises(UnavailableError):
                    await stream.read()


async def test_connection_that_came_last_is_dropped_with_the_listener() -> None:
    async with listen("127.0.0.1", 0, _refuse) as listener:
        near = await connect(*listener.address)
    with pytest.raises(UnavailableError):
        await near.read()


async def test_leaving_the_listener_ends_its_connections() -> None:
    started = asyncio.Event()

    async def wait(stream: TcpStream) -> None:
        started.set()
        await stream.read()

    async with listen("127.0.0.1", 0, wait) as listener:
        near = await connect(*listener.address)
        await started.wait()
    with pytest.raises(UnavailableError):
        await near.read()
    near.abort()


async def test_listens_on_ipv6_as_well() -> None:
    async with listen("::1", 0, _refuse) as listener:
        assert listener.address[0] == "::1"
        async with await connect(*listener.address) as stream:
            assert stream.remote_address == listener.address

"""Our UDX to our UDX on loopback sockets."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from pearbox_edge.errors import UnavailableError, UsageError
from pearbox_edge.ids import PublicKey
from pearbox_edge.net.noise import SecretStream, SessionKeys
from pearbox_edge.net.udx import Packet, Udx, UdxSocket, UdxStream, aio, encode_packet
from pearbox_edge.wire import Buffer
from tests.kit.net import seeded_bytes

HOST = "127.0.0.1"
DATA = random.Random(2).randbytes(3_000_000)


@contextlib.asynccontextmanager
async def pipe(*, offload: bool = True) -> AsyncIterator[tuple[UdxStream, UdxStream]]:
    """Two connected streams, each on a node of its own."""
    async with (
        Udx(seeded_bytes(1), offload=offload) as one,
        Udx(seeded_bytes(2), offload=offload) as two,
    ):
        near, far = one.stream(), two.stream()
        left, right = one.bind(HOST), two.bind(HOST)
        near.connect(left, far.id, *right.address)
        far.connect(right, near.id, *left.address)
        yield near, far


async def read_all(stream: UdxStream) -> bytes:
    got = bytearray()
    while data := await stream.read():
        got += data
    return bytes(got)


@pytest.mark.parametrize("offload", [True, False])
async def test_bytes_arrive_in_order_both_ways(offload: bool) -> None:
    async with pipe(offload=offload) as (near, far):
        for stream in (near, far):
            stream.write(DATA)
            stream.end()
        one, two = await asyncio.gather(read_all(near), read_all(far))
        assert one == two == DATA
        await asyncio.gather(near.wait_closed(), far.wait_closed())


async def test_it_is_a_byte_stream_for_the_secret_stream() -> None:
    async with pipe() as (near, far):
        ends = []
        for stream, is_initiator in ((near, True), (far, False)):
            keys = SessionKeys(
                is_initiator=is_initiator,
                tx=b"12"[not is_initiator :][:1] * 32,
                rx=b"12"[is_initiator:][:1] * 32,
                handshake_hash=b"h" * 64,
                remote_public_key=PublicKey(b"k" * 32),
            )
            ends.append(SecretStream.start(stream, keys, seeded_bytes(3)))
        one, two = ends
        one.send([(DATA[:100_000],), (b"short",)])
        got: list[bytes] = []
        while len(got) < 2:
            got += [bytes(message) for message in await two.receive()]
        assert got == [DATA[:100_000], b"short"]
        closing = asyncio.ensure_future(one.close())
        assert await two.receive() == []
        await two.close()
        await closing


async def test_drain_waits_for_a_slow_reader() -> None:
    async with pipe() as (near, far):
        for _ in range(12):
            near.write(bytes(1 << 20))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await near.drain()
        reader = asyncio.ensure_future(read_all(far))
        async with asyncio.timeout(5):
            await near.drain()
        near.end()
        assert len(await reader) == 12 << 20


async def test_a_peer_that_takes_nothing_is_dropped() -> None:
    async with pipe() as (near, _):
        for _ in range(aio.WRITE_LIMIT // (4 << 20) + 2):
            near.write(bytes(4 << 20))
        assert near.is_closed


async def test_closing_sends_what_is_queued() -> None:
    async with pipe() as (near, far):
        near.write(DATA)
        closing = asyncio.ensure_future(near.close())
        assert await read_all(far) == DATA
        await far.close()
        await closing
        assert near.is_closed
        near.write(b"nothing happens")
        with pytest.raises(UnavailableError):
            await near.drain()


async def test_closing_gives_up_on_one_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "CLOSE_TIMEOUT", 0.05)
    async with pipe() as (near, far):
        near.write(b"last")
        await near.close()
        assert bytes(await far.read()) == b"last"
        assert near.is_closed


async def test_dropping_breaks_the_other_side() -> None:
    async with pipe() as (near, far):
        near.write(b"hello")
        assert bytes(await far.read()) == b"hello"
        near.abort()
        with pytest.raises(UnavailableError) as caught:
            await far.read()
        assert caught.value.code == "ECONNRESET"
        with pytest.raises(UnavailableError):
            await near.read()


async def test_one_reader_at_a_time() -> None:
    async with pipe() as (near, _):
        first = asyncio.ensure_future(near.read())
        await asyncio.sleep(0.01)
        with pytest.raises(UsageError):
            await near.read()
        near.abort()
        with pytest.raises(UnavailableError):
            await first


async def test_messages_and_plain_datagrams_share_the_port() -> None:
    async with pipe() as (near, far):
        messages: asyncio.Queue[bytes] = asyncio.Queue()
        datagrams: asyncio.Queue[bytes] = asyncio.Queue()
        far.on_message = messages.put_nowait
        assert far.socket is not None
        assert near.socket is not None
        far.socket.on_datagram = lambda data, where: datagrams.put_nowait(data)
        near.send_message(b"beside")
        assert await messages.get() == b"beside"
        stranger = encode_packet(Packet(1, 12345, 0, 0, 0, payload=b"no such stream"))
        for data in (b"\0", b"a plain one", stranger):
            near.socket.send(data, far.socket.address)
            assert await datagrams.get() == data


async def test_a_run_of_several_streams_and_of_others_is_taken_apart() -> None:
    """The kernel joins packets of equal size whoever they are for."""
    async with Udx(seeded_bytes(1)) as one, Udx(seeded_bytes(2)) as two:
        left, right = one.bind(HOST), two.bind(HOST)
        streams = [two.stream(id_) for id_ in (1, 2)]
        for stream in streams:
            stream.connect(right, 9, *left.address)
        plain: asyncio.Queue[bytes] = asyncio.Queue()
        right.on_datagram = lambda data, where: plain.put_nowait(data)
        parts: list[Buffer] = []
        for seq in range(3):
            for stream in streams:
                text = b"%d-%d;" % (stream.id, seq)
                parts += (b"", encode_packet(Packet(1, stream.id, 1, seq, 0, payload=text)))
            parts += (b"", b"datagram".ljust(24, b"."))
        left.send_batch(parts, 24, right.address)
        for stream in streams:
            wanted = b"".join(b"%d-%d;" % (stream.id, seq) for seq in range(3))
            got = b""
            while len(got) < len(wanted):
                got += bytes(await stream.read())
            assert got == wanted
        assert [await plain.get() for _ in range(3)] == [b"datagram".ljust(24, b".")] * 3


async def test_a_packet_that_comes_early_asks_the_firewall() -> None:
    async with Udx(seeded_bytes(1)) as one, Udx(seeded_bytes(2)) as two:
        left, right = one.bind(HOST), two.bind(HOST)
        calls: list[tuple[str, int]] = []

        def firewall(socket: UdxSocket, host: str, port: int) -> bool:
            calls.append((host, port))
            if len(calls) > 1:
                far.connect(socket, near.id, host, port)
            return len(calls) == 1

        near, far = one.stream(7), two.stream(8, firewall=firewall)
        near.connect(left, 8, *right.address)
        near.write(b"knock")
        assert bytes(await far.read()) == b"knock"
        assert calls == [left.address] * 2
        assert far.remote_address == left.address


async def test_a_stream_moves_to_another_socket() -> None:
    async with pipe() as (near, far):
        near.write(b"one")
        assert bytes(await far.read()) == b"one"
        assert far.socket is not None
        await near.move(near._udx.bind(HOST), far.id, *far.socket.address)
        near.write(b"two")
        # It came by a socket that is not another of theirs: the id alone counts.
        assert bytes(await far.read()) == b"two"


async def test_a_relay_passes_everything_on() -> None:
    async with pipe() as (_, __), Udx(seeded_bytes(5)) as udx:
        middle, left, right = udx.bind(HOST), udx.bind(HOST), udx.bind(HOST)
        one, two, near, far = (udx.stream() for _ in range(4))
        one.connect(left, near.id, *middle.address)
        two.connect(right, far.id, *middle.address)
        near.connect(middle, one.id, *left.address)
        far.connect(middle, two.id, *right.address)
        near.relay_to(far)
        far.relay_to(near)
        one.write(DATA)
        one.end()
        assert await read_all(two) == DATA
        two.abort()
        async with asyncio.timeout(5):
            await asyncio.gather(near.wait_closed(), far.wait_closed(), one.wait_closed())


async def test_an_end_that_comes_again_is_answered_after_the_stream_is_over() -> None:
    async with pipe() as (near, far):
        near.end()
        far.end()
        await asyncio.gather(near.wait_closed(), far.wait_closed())
        answers: asyncio.Queue[bytes] = asyncio.Queue()
        assert far.socket is not None
        async with Udx(seeded_bytes(9)) as other:
            socket = other.bind(HOST)
            socket.on_datagram = lambda data, where: answers.put_nowait(data)
            socket.send(encode_packet(Packet(2, far.id, 0, 0, 0)), far.socket.address)
            answer = await answers.get()
        assert answer[2] == 0
        assert answer[16:20] == b"\1\0\0\0"


async def test_ids_are_unique() -> None:
    async with Udx(seeded_bytes(1)) as udx:
        udx.stream(5)
        with pytest.raises(UsageError):
            udx.stream(5)


async def test_closing_a_socket_drops_its_streams() -> None:
    async with pipe() as (near, _):
        assert near.socket is not None
        near.socket.close()
        assert near.is_closed

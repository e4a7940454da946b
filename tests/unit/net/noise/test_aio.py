import asyncio
import random

import pytest

from pearbox_edge.crypto import KeyPair
from pearbox_edge.errors import PeerError, UnavailableError
from pearbox_edge.net.noise import Options, Pattern, SecretStream, SessionKeys
from tests.kit.net import MemoryByteStream, byte_pipe, seeded_bytes

ALICE = KeyPair.from_seed(b"a" * 32)
BOB = KeyPair.from_seed(b"b" * 32)


async def accept(raw: MemoryByteStream, *, pattern: Pattern = Pattern.XX) -> SecretStream:
    return await SecretStream.accept(raw, BOB, seeded_bytes(2), pattern=pattern)


async def connected(
    left: MemoryByteStream,
    right: MemoryByteStream,
    *,
    pattern: Pattern = Pattern.XX,
    options: Options | None = None,
) -> tuple[SecretStream, SecretStream]:
    async with asyncio.TaskGroup() as group:
        dialled = group.create_task(
            SecretStream.connect(
                left,
                ALICE,
                seeded_bytes(1),
                pattern=pattern,
                remote_public_key=BOB.public_key,
                options=options,
            )
        )
        accepted = group.create_task(accept(right, pattern=pattern))
    return dialled.result(), accepted.result()


@pytest.mark.parametrize("pattern", list(Pattern))
async def test_two_ends_shake_hands_and_talk(pattern: Pattern) -> None:
    alice, bob = await connected(*byte_pipe(), pattern=pattern)
    async with alice, bob:
        assert alice.is_initiator
        assert not bob.is_initiator
        assert alice.handshake_hash == bob.handshake_hash
        assert alice.remote_public_key == BOB.public_key
        assert bob.remote_public_key == ALICE.public_key
        assert alice.remote_address == ("right", 1)
        alice.send([(b"one",), (b"tw", b"o")])
        bob.send([(b"three",)])
        await alice.drain()
        assert await bob.receive() == [b"one", b"two"]
        assert await alice.receive() == [b"three"]


async def test_messages_survive_any_cutting_of_the_bytes() -> None:
    chance = random.Random(7)
    alice, bob = await connected(*byte_pipe(lambda waiting: chance.randint(1, waiting)))
    messages = [chance.randbytes(chance.randint(1, 3000)) for _ in range(20)]
    alice.send([(message,) for message in messages])
    arrived: list[memoryview] = []
    while len(arrived) < len(messages):
        arrived += await bob.receive()
    assert arrived == messages
    alice.abort()
    bob.abort()


async def test_end_of_the_stream_is_an_empty_list_for_ever() -> None:
    alice, bob = await connected(*byte_pipe())
    alice.send([(b"last words",)])
    await alice.close()
    assert await bob.receive() == [b"last words"]
    assert await bob.receive() == []
    assert await bob.receive() == []
    await bob.close()


async def test_stream_can_start_from_a_handshake_made_elsewhere() -> None:
    left, right = byte_pipe()
    keys = [
        SessionKeys(
            is_initiator=is_initiator,
            tx=b"t" * 32 if is_initiator else b"r" * 32,
            rx=b"r" * 32 if is_initiator else b"t" * 32,
            handshake_hash=b"h" * 64,
            remote_public_key=BOB.public_key if is_initiator else ALICE.public_key,
        )
        for is_initiator in (True, False)
    ]
    async with (
        SecretStream.start(left, keys[0], seeded_bytes(1)) as alice,
        SecretStream.start(right, keys[1], seeded_bytes(2)) as bob,
    ):
        alice.send([(b"hello",)])
        assert await bob.receive() == [b"hello"]


async def test_garbage_instead_of_a_handshake_is_refused_and_the_pipe_dropped() -> None:
    left, right = byte_pipe()
    left.write(b"GET / HTTP/1.1\r\nHost: pearbox.local\r\n\r\n")
    with pytest.raises(PeerError):
        await accept(right)
    assert left.aborted


async def test_peer_that_stalls_in_the_handshake_is_given_up() -> None:
    left, right = byte_pipe()
    left.write(b"\x20\0\0only a part")
    with pytest.raises(UnavailableError, match="longer than"):
        await SecretStream.accept(right, BOB, seeded_bytes(2), timeout=0.01)
    assert left.aborted


async def test_peer_that_hangs_up_in_the_handshake_is_unavailable() -> None:
    left, right = byte_pipe()
    await left.close()
    with pytest.raises(UnavailableError, match="hung up"):
        await accept(right)


async def test_cancelled_handshake_drops_the_pipe() -> None:
    left, right = byte_pipe()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(accept(right))
        await asyncio.sleep(0)
        task.cancel()
    assert left.aborted


async def test_wrong_machine_is_refused() -> None:
    left, right = byte_pipe()

    async def answer() -> None:
        with pytest.raises(UnavailableError):
            await accept(right)

    async with asyncio.TaskGroup() as group:
        group.create_task(answer())
        with pytest.raises(PeerError, match="not the machine"):
            await SecretStream.connect(
                left, ALICE, seeded_bytes(1), remote_public_key=ALICE.public_key
            )


async def test_tampered_message_comes_after_the_good_ones_and_stays() -> None:
    left, right = byte_pipe()
    alice, bob = await connected(left, right)
    alice.send([(b"good",)])
    left.write(b"\x20\0\0" + bytes(32))
    assert await bob.receive() == [b"good"]
    for _ in range(2):
        with pytest.raises(PeerError):
            await bob.receive()
    with pytest.raises(PeerError):
        await bob.drain()
    with pytest.raises(UnavailableError):
        await alice.receive()


async def test_pipe_that_ends_within_a_message_is_no_clean_end() -> None:
    left, right = byte_pipe()
    _, bob = await connected(left, right)
    left.write(b"\x20\0\0half")
    await left.close()
    with pytest.raises(UnavailableError, match="within a message"):
        await bob.receive()


async def test_waiting_reader_is_told_when_the_stream_is_dropped() -> None:
    alice, bob = await connected(*byte_pipe())

    async def read() -> None:
        with pytest.raises(UnavailableError):
            await bob.receive()

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        await asyncio.sleep(0)
        bob.abort()
    alice.abort()


async def test_sending_after_the_end_does_nothing() -> None:
    left, right = byte_pipe()
    alice, bob = await connected(left, right)
    await alice.close()
    count = len(left.written)
    alice.send([(b"too late",)])
    assert len(left.written) == count
    await bob.close()


async def test_idle_stream_sends_empty_messages() -> None:
    left, right = byte_pipe()
    alice, bob = await connected(left, right, options=Options(keep_alive=0.01))
    count = len(left.written)
    await asyncio.sleep(0.1)
    sizes = {len(data) for data in left.written[count:]}
    assert sizes == {20}
    alice.abort()
    bob.abort()


async def test_silent_peer_is_given_up_when_asked_to() -> None:
    options = Options(keep_alive=None, idle_timeout=0.01)
    alice, bob = await connected(*byte_pipe(), options=options)
    with pytest.raises(UnavailableError, match="nothing arrived"):
        await alice.receive()
    bob.abort()

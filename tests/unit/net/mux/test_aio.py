import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pearbox_edge.errors import PeerError, UnavailableError, UsageError
from pearbox_edge.net.mux import Mux
from tests.kit.mux import RecordingHandler
from tests.kit.net import MemoryMessageStream, message_pipe


async def turns(count: int = 10) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


class Pair:
    """Two muxes on one pipe, both running, ended by leaving the block."""

    def __init__(self) -> None:
        self.left_stream, self.right_stream = message_pipe()
        self.left, self.right = Mux(self.left_stream), Mux(self.right_stream)

    async def __aenter__(self) -> "Pair":
        self._runs = [asyncio.ensure_future(mux.run()) for mux in (self.left, self.right)]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.left.close()
        await self.right.close()
        await asyncio.wait_for(asyncio.gather(*self._runs, return_exceptions=True), 5)


async def test_channels_talk_in_both_directions() -> None:
    async with Pair() as pair:
        ours, theirs = RecordingHandler(), RecordingHandler()
        channel = pair.left.open("demo", b"id", ours, handshake=b"hi")
        other = pair.right.open("demo", b"id", theirs)
        channel.send(0, b"one")
        await turns()
        other.send(1, b"two")
        await turns()
        channel.close()
        await turns()
    assert theirs.log == [("open", b"hi"), (0, b"one"), ("close",)]
    assert ours.log == [("open", b""), (1, b"two"), ("close",)]


async def test_what_is_sent_in_one_turn_leaves_in_one_message() -> None:
    async with Pair() as pair:
        channel = pair.left.open("demo", None, RecordingHandler())
        for _ in range(5):
            channel.send(0, b"x")
        await turns()
        assert len(pair.left_stream.sent) == 1


async def test_answers_to_one_arrival_leave_in_one_message() -> None:
    async with Pair() as pair:
        channel = pair.left.open("demo", None, RecordingHandler())
        other = pair.right.open(
            "demo", None, RecordingHandler(lambda kind, body: other.send(1, body))
        )
        await turns()
        count = len(pair.right_stream.sent)
        for _ in range(5):
            channel.send(0, bytes(20 << 10))  # too big for a batch: five messages, one arrival
        await turns()
        assert len(pair.left_stream.sent) == 1 + 5
        assert len(pair.right_stream.sent) == count + 5
        for _ in range(5):
            channel.send(0, b"x")
        await turns()
        assert len(pair.right_stream.sent) == count + 5 + 1


async def test_bytes_are_counted() -> None:
    async with Pair() as pair:
        pair.left.open("demo", None, RecordingHandler())
        await turns()
        assert pair.left.bytes_sent == sum(map(len, pair.left_stream.sent)) > 0
        assert pair.right.bytes_received == pair.left.bytes_sent


@pytest.mark.parametrize("later", [False, True])
async def test_remote_open_asks_the_callback_which_may_open(later: bool) -> None:
    async with Pair() as pair:
        theirs = RecordingHandler()

        def now(id_: bytes | None) -> None:
            pair.right.open("demo", id_, theirs)

        async def soon(id_: bytes | None) -> None:
            await turns(3)
            pair.right.open("demo", id_, theirs)

        callback: Callable[[bytes | None], Awaitable[None] | None] = soon if later else now
        pair.right.on_remote_open("demo", callback)
        ours = RecordingHandler()
        pair.left.open("demo", b"id", ours).send(0, b"early")
        await turns(20)
        assert theirs.log == [("open", b""), (0, b"early")]
        assert ours.log == [("open", b"")]


async def test_remote_open_that_nobody_takes_is_rejected() -> None:
    async with Pair() as pair:
        asked: list[bytes | None] = []
        pair.right.on_remote_open("demo", asked.append)
        handlers = RecordingHandler(), RecordingHandler()
        pair.left.open("demo", b"id", handlers[0])
        pair.left.open("other", b"id", handlers[1])
        await turns()
        assert [handler.log for handler in handlers] == [[("close",)], [("close",)]]
        assert asked == [b"id"]
        pair.right.on_remote_open("demo", None)
        pair.left.open("demo", b"id", handlers[0])
        await turns()
        assert asked == [b"id"]


async def test_other_channels_go_on_while_a_callback_takes_its_time() -> None:
    async with Pair() as pair:
        never = asyncio.Event()

        async def wait(id_: bytes | None) -> None:
            await never.wait()

        pair.right.on_remote_open("slow", wait)
        pair.left.open("slow", None, RecordingHandler())
        theirs = RecordingHandler()
        pair.right.open("demo", None, theirs)
        pair.left.open("demo", None, RecordingHandler()).send(0, b"x")
        await turns()
        assert theirs.messages == [b"x"]


@pytest.mark.parametrize("early", [False, True])
async def test_callback_is_cancelled_when_the_stream_ends(early: bool) -> None:
    left, right = message_pipe()
    ended: list[str] = []

    async def wait(id_: bytes | None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async with Mux(right) as mux, Mux(left) as other:
        mux.on_remote_open("demo", wait)
        other.open("demo", None, RecordingHandler())
        await other.drain()
        if early:
            await other.close()
            await mux.run()
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(mux.run())
                await turns()
                await other.close()
            assert ended == ["cancelled"]


async def run_against(stream: MemoryMessageStream, mux: Mux, *frames: bytes) -> None:
    stream.send([(frame,) for frame in frames])
    await mux.run()


async def test_broken_rule_ends_the_run_and_the_stream() -> None:
    left, right = message_pipe()
    mux, handler = Mux(right), RecordingHandler()
    mux.open("demo", None, handler)
    with pytest.raises(PeerError):
        await run_against(left, mux, b"\0\2\x09")
    assert left.aborted
    assert handler.log == [("close",)]


async def test_fault_of_a_handler_ends_the_run() -> None:
    def refuse(kind: int, body: bytes) -> None:
        raise PeerError("that is no message")

    left, right = message_pipe()
    mux = Mux(right)
    mux.open("demo", None, RecordingHandler(refuse))
    with pytest.raises(PeerError, match="no message"):
        await run_against(left, mux, b"\0\1\1\4demo\0", b"\1\0x")
    assert left.aborted


@pytest.mark.parametrize("later", [False, True])
async def test_fault_of_a_callback_ends_the_run(later: bool) -> None:
    def refuse(id_: bytes | None) -> None:
        raise PeerError("not you")

    async def refuse_later(id_: bytes | None) -> None:
        await turns(1)
        refuse(id_)

    left, right = message_pipe()
    mux = Mux(right)
    mux.on_remote_open("demo", refuse_later if later else refuse)
    with pytest.raises(PeerError, match="not you"):
        await run_against(left, mux, b"\0\1\1\4demo\0")
    assert left.aborted


async def test_fault_at_another_time_than_reading_ends_the_run_too() -> None:
    class Refusing(RecordingHandler):
        def on_open(self, handshake: memoryview) -> None:
            raise PeerError("bad handshake")

    async with Pair() as pair:
        waiting = asyncio.Event()

        async def wait(id_: bytes | None) -> None:
            pair.right.open("demo", id_, Refusing())
            waiting.set()
            await asyncio.Event().wait()

        pair.right.on_remote_open("demo", wait)
        pair.left.open("demo", None, RecordingHandler())
        await waiting.wait()
        with pytest.raises(PeerError, match="bad handshake"):
            await pair._runs[1]


async def test_bug_in_a_handler_surfaces() -> None:
    def stumble(kind: int, body: bytes) -> None:
        raise ZeroDivisionError

    left, right = message_pipe()
    mux = Mux(right)
    mux.open("demo", None, RecordingHandler(stumble))
    with pytest.raises(ExceptionGroup) as failure:
        await run_against(left, mux, b"\0\1\1\4demo\0", b"\1\0x")
    assert failure.group_contains(ZeroDivisionError)
    assert left.aborted


async def test_broken_stream_is_unavailable_and_closes_channels() -> None:
    left, right = message_pipe()
    mux, handler = Mux(right), RecordingHandler()
    mux.open("demo", None, handler)
    left.abort()
    with pytest.raises(UnavailableError):
        await mux.run()
    assert handler.log == [("close",)]


async def test_end_of_the_stream_ends_the_run_and_our_side() -> None:
    left, right = message_pipe()
    mux, handler = Mux(right), RecordingHandler()
    mux.open("demo", None, handler)
    await left.close()
    await mux.run()
    assert right.ended
    assert handler.log == [("close",)]
    with pytest.raises(UnavailableError):
        mux.open("demo", None, handler)


async def test_cancelled_run_drops_the_stream() -> None:
    left, right = message_pipe()
    mux = Mux(right)
    run = asyncio.ensure_future(mux.run())
    await turns()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert left.aborted


async def test_close_sends_what_is_queued_first() -> None:
    async with Pair() as pair:
        theirs = RecordingHandler()
        pair.right.open("demo", None, theirs)
        pair.left.open("demo", None, RecordingHandler()).send(0, b"last")
        await pair.left.close()
        await turns()
    assert theirs.log == [("open", b""), (0, b"last"), ("close",)]


async def test_paused_reading_takes_nothing_more_until_resumed_as_often() -> None:
    async with Pair() as pair:
        theirs = RecordingHandler(lambda kind, body: pair.right.pause_reading())
        pair.right.open("demo", None, theirs)
        channel = pair.left.open("demo", None, RecordingHandler())
        await turns()
        pair.right.pause_reading()
        pair.right.pause_reading()
        channel.send(0, bytes(20 << 10))
        channel.send(0, b"second")
        await turns()
        pair.right.resume_reading()
        await turns()
        assert len(theirs.messages) <= 1  # one receive may have been under way
        while pair.right._pauses:
            pair.right.resume_reading()
        await turns()
        while len(theirs.messages) < 2:
            pair.right.resume_reading()
            await turns()
        assert [len(message) for message in theirs.messages] == [20 << 10, 6]
        while pair.right._pauses:
            pair.right.resume_reading()


async def test_resuming_what_is_not_paused_is_our_mistake() -> None:
    left, _ = message_pipe()
    with pytest.raises(UsageError):
        Mux(left).resume_reading()


async def test_mux_runs_only_once() -> None:
    async with Pair() as pair:
        await turns()
        with pytest.raises(UsageError):
            await pair.left.run()


async def test_closing_while_paused_ends_the_run() -> None:
    left, _ = message_pipe()
    mux = Mux(left)
    mux.pause_reading()
    async with asyncio.TaskGroup() as group:
        group.create_task(mux.run())
        await turns()
        await mux.close()


async def test_early_messages_hold_reading_until_the_callback_decides() -> None:
    async with Pair() as pair:
        decide = asyncio.Event()
        theirs = RecordingHandler()

        async def wait(id_: bytes | None) -> None:
            await decide.wait()
            pair.right.open("demo", id_, theirs)

        pair.right.on_remote_open("demo", wait)
        channel = pair.left.open("demo", None, RecordingHandler())
        for number in range(10):
            channel.send(0, bytes([number]) * (20 << 10))
        await turns(30)
        assert pair.right.bytes_received < 100 << 10
        decide.set()
        await turns(30)
        assert [message[0] for message in theirs.messages] == list(range(10))

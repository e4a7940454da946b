"""A core, a list, and two stores that replicate the core, through random steps."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pearbox_edge.data.core import Hypercore
from pearbox_edge.data.storage import MemoryStorage
from tests.kit.replication import connected, make_store

SECRET = bytes(range(32))

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.binary(max_size=40), min_size=1, max_size=12)),
        st.tuples(st.just("truncate"), st.integers(0, 60)),
        st.tuples(st.just("get"), st.integers(0, 60)),
        st.tuples(st.just("download"), st.integers(0, 60)),
        st.tuples(st.just("clear"), st.integers(0, 60)),
        st.tuples(st.just("seek"), st.integers(0, 600)),
        st.tuples(st.just("clear at the writer"), st.integers(0, 60)),
        st.tuples(st.just("cut the line"), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=20,
)


class Scene:
    """A writer, a copy that reads from it, and a blind copy that only the first copy reaches."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.fork = 0
        self.writer = make_store(1)
        self.storage = MemoryStorage()
        self.copying = make_store(2, self.storage)
        self.blind = make_store(3)
        self._lines = AsyncExitStack()
        self._count = 0

    async def open(self) -> None:
        for store in (self.writer, self.copying, self.blind):
            await store.open()
        self.core = await self.writer.get("core", encryption_key=SECRET)
        await self._open_copies()

    async def _open_copies(self) -> None:
        self.copy = await self.copying.get(key=self.core.key, encryption_key=SECRET)
        self.seed = await self.blind.get(key=self.core.key)
        await self.connect()

    async def connect(self) -> None:
        await self._lines.aclose()
        self._lines = AsyncExitStack()
        for one, two in ((self.writer, self.copying), (self.copying, self.blind)):
            self._count += 1
            name = b"line %d" % self._count
            await self._lines.enter_async_context(connected(one, two, name))

    async def reopen(self) -> None:
        await self._lines.aclose()
        await self.copying.close()
        self.copying = make_store(2, self.storage)
        await self.copying.open()
        await self._open_copies()

    async def close(self) -> None:
        await self._lines.aclose()
        for store in (self.writer, self.copying, self.blind):
            await store.close()

    async def caught_up(self, core: Hypercore) -> None:
        async with asyncio.timeout(5):
            while (core.length, core.fork) != (len(self.blocks), self.fork):
                await core.update()

    async def step(self, what: str, value: Any) -> None:
        blocks, core = self.blocks, self.core
        match what:
            case "append":
                blocks += value
                await core.append(value)
            case "truncate" if value < len(blocks):
                # A head of no blocks cannot be proved, so nobody follows to one.
                del blocks[max(value, 1) :]
                await core.truncate(len(blocks))
                self.fork += 1
            case "clear" if blocks:
                await self.copy.settled()
                await self.copy.clear(value // 2, value)
            case "clear at the writer" if blocks:
                await self.caught_up(self.copy)
                await self.copy.download(0, len(blocks))
                await self.copy.settled()
                await core.clear(value // 2, value)
                await core.download(0, len(blocks))
            case "cut the line":
                await self.connect()
            case "reopen":
                await self.reopen()
            case "get" | "download" | "seek" if blocks:
                await self._read(what, value)

    async def _read(self, what: str, value: int) -> None:
        blocks = self.blocks
        await self.caught_up(self.copy)
        if what == "get":
            index = value % len(blocks)
            assert await self.copy.get(index, timeout=5) == blocks[index]
        elif what == "download":
            start = value % len(blocks)
            assert await self.copy.get_many(start, len(blocks), timeout=5) == blocks[start:]
        elif value < sum(map(len, blocks)):
            index, rest = await self.copy.seek(value, timeout=5)
            assert sum(map(len, blocks[:index])) + rest == value
            assert rest <= len(blocks[index])

    async def check(self) -> None:
        if not self.blocks:
            return
        await self.caught_up(self.copy)
        assert await self.copy.get_many(0, len(self.blocks), timeout=5) == self.blocks
        await self.caught_up(self.seed)
        stored = await self.seed.get_many(0, len(self.blocks), timeout=5)
        self.seed.set_encryption(SECRET)
        assert await self.seed.get_many(0, len(self.blocks)) == self.blocks
        assert [len(block) - 8 for block in stored] == [len(block) for block in self.blocks]
        for core in (self.core, self.copy, self.seed):
            assert core.head == self.core.head
            assert [finding async for finding in core.verify()] == []


async def live(done: list[tuple[str, Any]]) -> None:
    scene = Scene()
    await scene.open()
    try:
        for what, value in done:
            await scene.step(what, value)
        await scene.check()
    finally:
        await scene.close()


@given(steps)
@settings(deadline=None, max_examples=40)
def test_copies_agree_with_the_writer_whatever_happens(done: list[tuple[str, Any]]) -> None:
    asyncio.run(live(done))

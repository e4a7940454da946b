"""Bytes on their way in: a source that is asked for so many, and chunks cut to blocks."""

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeAlias

from pearbox_edge.wire import Buffer

BLOCK_SIZE = 1 << 16
"""SPEC sheet 14: bytes of a block as written; readers must not count on it."""

Source: TypeAlias = Callable[[int], Awaitable[Buffer]]
"""Gives up to so many bytes, at least one before the end, none at the end.

What it gave must not change afterwards.
"""


def cut(data: Buffer, size: int = BLOCK_SIZE) -> list[memoryview]:
    """The blocks of a file's bytes, as views of them; none for no bytes."""
    view = memoryview(data).cast("B") if data else memoryview(b"")
    return [view[at : at + size] for at in range(0, len(view), size)]


async def fill(source: Source, size: int) -> Buffer:
    """Exactly `size` bytes of a source, fewer only at its end."""
    first = await source(size)
    if not first or len(first) >= size:
        return first
    chunk = bytearray(first)
    while len(chunk) < size and (more := await source(size - len(chunk))):
        chunk += more
    return chunk


def from_chunks(chunks: AsyncIterable[Buffer]) -> Source:
    """A source out of chunks of any size (an upload's, say)."""
    iterator = chunks.__aiter__()
    rest = memoryview(b"")

    async def read(size: int) -> Buffer:
        nonlocal rest
        while not rest:
            try:
                rest = memoryview(await iterator.__anext__())
            except StopAsyncIteration:
                return b""
        given, rest = rest[:size], rest[size:]
        return given

    return read

"""Bytes that wait to become packets."""

from collections import deque

from pearbox_edge.wire import Buffer


class Outbox:
    """A queue of written buffers, taken out in runs of any size, copied only across borders."""

    def __init__(self) -> None:
        self._buffers: deque[memoryview] = deque()
        self.size = 0
        """Bytes that wait."""

    def __len__(self) -> int:
        return self.size

    def write(self, data: Buffer) -> None:
        """Put bytes at the end; they must not change any more."""
        view = memoryview(data)
        if view.itemsize != 1 or view.ndim != 1:
            view = view.cast("B")
        if len(view):
            self._buffers.append(view)
            self.size += len(view)

    def take(self, size: int) -> memoryview:
        """The next `size` bytes in one piece (fewer if there are not that many)."""
        if not self._buffers:
            return memoryview(b"")
        first = self._buffers[0]
        if size < len(first):
            self._buffers[0] = first[size:]
            self.size -= size
            return first[:size]
        if size == len(first) or len(self._buffers) == 1:
            self._buffers.popleft()
            self.size -= len(first)
            return first
        pieces: list[memoryview] = []
        while size and self._buffers:
            piece = self._buffers.popleft()
            if size < len(piece):
                self._buffers.appendleft(piece[size:])
                piece = piece[:size]
            pieces.append(piece)
            size -= len(piece)
            self.size -= len(piece)
        return memoryview(b"".join(pieces))

    def clear(self) -> None:
        """Forget everything."""
        self._buffers.clear()
        self.size = 0

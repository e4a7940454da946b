"""The frame relay between two TAP devices: `relay NEAR FAR`.

Delay, jitter, loss, reordering, duplication and rate in userspace, because not every kernel has
netem. Configuration comes as JSON lines on stdin, each answered with `ok`; it stops when stdin
ends. About 100 Mbit/s or 10,000 frames/s, and it takes CPU from the programs under test.
"""

import contextlib
import fcntl
import heapq
import itertools
import json
import os
import random
import select
import signal
import struct
import sys
import time

from .check import TUN
from .impairment import PERFECT, Impairment

_TUNSETIFF = 0x400454CA  # SPEC Linux if_tun.h
_TAP_NO_HEADER = 0x0002 | 0x1000  # SPEC IFF_TAP | IFF_NO_PI

FRAMES_A_TURN = 64
"""# TUNING frames read from one side before the other has its turn."""


class Direction:
    """One way through the relay: reads frames from one device, hands them to the other."""

    def __init__(self, name: str, source: int, target: int) -> None:
        self.name, self.source, self.target = name, source, target
        self.impairment = PERFECT
        # Dice of its own, so that a seed is not disturbed by answers in the other direction.
        self.dice = random.Random()
        self._idle_at = 0.0  # when the rate-limited line is idle again
        self._last_due = 0.0  # due time of the newest in-order frame

    def read(self) -> bytes | None:
        """The next frame, or None when there is none now."""
        try:
            return os.read(self.source, 65536)
        except OSError:
            return None

    def schedule(self, size: int, now: float) -> list[float]:
        """When each copy of a frame is due; empty if it is lost."""
        imp, roll = self.impairment, self.dice.random
        if imp.loss and roll() < imp.loss:
            return []
        due = now
        if imp.rate_mbit:
            start = max(now, self._idle_at)
            if (start - now) * 1000 > imp.queue_ms:
                return []
            due = self._idle_at = start + size * 8 / (imp.rate_mbit * 1e6)
        due += imp.delay_ms / 1000
        if imp.jitter_ms:
            due += roll() * imp.jitter_ms / 1000
        copies = 2 if imp.duplicate and roll() < imp.duplicate else 1
        if imp.reorder and roll() < imp.reorder:
            due += imp.reorder_ms / 1000  # held back: frames behind it overtake
        else:
            due = self._last_due = max(due, self._last_due)
        return [due] * copies


class Control:
    """Reads configuration lines from stdin without blocking."""

    def __init__(self, directions: list[Direction]) -> None:
        self._directions = directions
        self._pending = b""
        os.set_blocking(0, False)

    def read(self) -> bool:
        """Apply what has arrived; False at the end."""
        chunk = os.read(0, 65536)
        if not chunk:
            return False
        self._pending += chunk
        while b"\n" in self._pending:
            line, _, self._pending = self._pending.partition(b"\n")
            message = json.loads(line)
            for way in self._directions:
                way.impairment = Impairment(**message[way.name])
                if message["seed"] is not None:
                    way.dice.seed(f"{message['seed']} {way.name}")
            say("ok")
        return True


def say(word: str) -> None:
    """One line to the lab."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def tap(name: str) -> int:
    """A new TAP device; what is read from it was sent through it."""
    fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_NO_HEADER))
    return fd


def put(fd: int, frame: bytes) -> None:
    """Hand a frame to a device; one that has no room for it loses it, as a switch does."""
    with contextlib.suppress(OSError):
        os.write(fd, frame)


def main(near: str, far: str) -> None:
    """Relay until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    a, b = tap(near), tap(far)
    directions = [Direction("up", a, b), Direction("down", b, a)]
    control = Control(directions)
    queue: list[tuple[float, int, int, bytes]] = []
    order = itertools.count()
    say("ready")
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else 5.0
        readable, _, _ = select.select([0, a, b], [], [], wait)
        if 0 in readable and not control.read():
            return
        for way in directions:
            if way.source not in readable:
                continue
            for frame in itertools.islice(iter(way.read, None), FRAMES_A_TURN):
                now = time.monotonic()
                for due in way.schedule(len(frame), now):
                    if due <= now:
                        put(way.target, frame)
                    else:
                        heapq.heappush(queue, (due, next(order), way.target, frame))
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, target, frame = heapq.heappop(queue)
            put(target, frame)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

"""Run a program that prints JSON lines, and learn from the kernel what it cost."""

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Event = dict[str, Any]

SAMPLE_SECONDS = 0.02
"""# TUNING often enough not to miss a peak that is followed by the end of the process."""

_TICKS = os.sysconf("SC_CLK_TCK")


class BenchFailed(RuntimeError):
    """A program did not do what is measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process used: peak resident memory in MiB, processor seconds."""

    peak_rss_mib: float
    cpu_seconds: float


class Program:
    """One program under measurement; `with` starts it and ends it."""

    def __init__(self, argv: Sequence[str | Path]) -> None:
        self.argv = [str(word) for word in argv]
        self.started = 0.0
        self._events: queue.Queue[tuple[float, Event] | None] = queue.Queue()
        self._cost = Cost(0.0, 0.0)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the program)
        self._reaped = False

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self.argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._sample_all, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._reaped:
            self._process.send_signal(signal.SIGTERM)
            killer = threading.Timer(10, self._kill)
            killer.start()
            self._reap()
            killer.cancel()
        self._errors.close()

    def wait(self, event: str, seconds: float = 600) -> tuple[float, Event]:
        """(seconds since the start, the event) of the next event of this name."""
        end = time.monotonic() + seconds
        while True:
            try:
                item = self._events.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise self._failed(f"no {event} within {seconds:g} s") from None
            if item is None:
                raise self._failed(f"it ended before {event}")
            at, found = item
            if found.get("event") == event:
                return at - self.started, found
            if found.get("event") == "error":
                raise self._failed(str(found))

    def cost(self) -> Cost:
        """What it has used so far."""
        self._sample()
        return self._cost

    def end(self, *, stop: bool = False) -> Cost:
        """Wait for the end (after SIGTERM if `stop`); returns what it used in all."""
        self._sample()
        if stop:
            self._process.send_signal(signal.SIGTERM)
        self._reap()
        if self._process.returncode:
            raise self._failed(f"exit status {self._process.returncode}")
        return self._cost

    # -- inside -------------------------------------------------------------------------------

    def _reap(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self._reaped = True
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._cost = Cost(self._cost.peak_rss_mib, usage.ru_utime + usage.ru_stime)
        for thread in self._threads:
            thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _kill(self) -> None:
        if not self._reaped:
            self._process.kill()

    def _failed(self, what: str) -> BenchFailed:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")[-4000:]
        return BenchFailed(f"$ {' '.join(self.argv)}\n{what}\n{said}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            now = time.monotonic()
            self._sample()
            self._events.put((now, json.loads(line)))
        self._events.put(None)

    def _sample_all(self) -> None:
        while not self._reaped:
            self._sample()
            time.sleep(SAMPLE_SECONDS)

    def _sample(self) -> None:
        folder = Path(f"/proc/{self._process.pid}")
        try:
            status = (folder / "status").read_text()
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
        if peak:  # a process that has ended but is not reaped has none
            self._cost = Cost(int(peak[0]) / 1024, (int(stat[11]) + int(stat[12])) / _TICKS)

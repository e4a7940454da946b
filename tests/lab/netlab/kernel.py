"""The few things a lab asks of the kernel: commands, namespaces, waiting, killing."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import NetlabError

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000  # SPEC Linux sched.h


def call(argv: Sequence[str], text: str = "", *, check: bool = True) -> str:
    """Run a command to its end, `text` on stdin; returns stdout. Raises NetlabError if it fails."""
    result = subprocess.run(
        list(argv), input=text, capture_output=True, text=True, timeout=60, check=False
    )
    if check and result.returncode:
        said = result.stderr.strip() or result.stdout.strip()
        raise NetlabError(f"{' '.join(argv)}: exit status {result.returncode}: {said}")
    return result.stdout


def enter_network(fd: int) -> None:
    """Move the calling thread into the network namespace behind an open /proc/PID/ns/net."""
    if _libc.setns(fd, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, "setns: " + os.strerror(code))


def await_files(expected: Mapping[Path, str], what: str, seconds: float = 10.0) -> None:
    """Wait until every file holds the expected word.

    The kernel may report a new carrier up to a second late; until then a device drops what it is
    given and a bridge port does not forward.
    """
    end = time.monotonic() + seconds
    for path, word in expected.items():
        while not _holds(path, word):
            if time.monotonic() > end:
                raise NetlabError(f"{what} did not come up ({path})")
            time.sleep(0.01)


def _holds(path: Path, word: str) -> bool:
    try:
        return path.read_text().strip() == word
    except OSError:
        return False


def network_of(pid: int) -> str:
    """The identity of the network namespace a process lives in."""
    return os.readlink(f"/proc/{pid}/ns/net")


def processes_in(networks: set[str], exclude: set[int]) -> list[int]:
    """The processes that live in one of the network namespaces."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in exclude:
            with contextlib.suppress(OSError):
                if network_of(int(entry.name)) in networks:
                    found.append(int(entry.name))
    return found


def kill_all(networks: set[str], exclude: set[int], rounds: int = 40) -> None:
    """SIGKILL every process that lives in one of the namespaces, until none is left."""
    for _ in range(rounds):
        alive = False
        for pid in processes_in(networks, exclude):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            alive = _is_alive(pid) or alive
        if not alive:
            return
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")

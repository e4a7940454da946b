"""The janitor outlives the lab's owner and kills what it left behind if it died without a goodbye.

Lines on stdin: `tmp FOLDER`, `host PID` (a namespace to clean), `done` (all is well). The end of
stdin without `done` means that the owner is dead.
"""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from .children import TMP_PREFIX
from .kernel import kill_all


def main() -> None:
    """Read what to guard; clean up if the owner dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    held: dict[str, int] = {}
    folder: Path | None = None
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "host":
            with contextlib.suppress(OSError):
                # Held open, so that the kernel cannot give the same number to another namespace.
                fd = os.open(f"/proc/{rest}/ns/net", os.O_RDONLY)
                held[f"net:[{os.fstat(fd).st_ino}]"] = fd
        elif word == "tmp":
            folder = Path(rest)
        elif word == "done":
            return
    kill_all(set(held), {os.getpid()}, rounds=200)
    if folder and folder.name.startswith(TMP_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A person's terminal: lines that stay, and one live line below them."""

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .output import Field


class TerminalOutput:
    """Lines that stay, above one live line with a bar, the rate, the time left and the peers."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None

    def event(self, name: str, text: str = "", **fields: Field) -> None:
        """The text above the live line."""
        if text:
            self._console.print(text, markup=False, soft_wrap=True)

    def progress(self, done: int, total: int | None, peers: int, **fields: Field) -> None:
        """Move the live line."""
        words = "no peer yet" if peers == 0 else "1 peer" if peers == 1 else f"{peers} peers"
        self._show(words, done, total)

    def preparing(self, done: int, total: int) -> None:
        """Move the live line."""
        self._show("reading files", done, total)

    def _show(self, words: str, done: int, total: int | None) -> None:
        if self._task is None:
            self._task = self._live.add_task(words, total=total)
            self._live.start()
        self._live.update(self._task, completed=done, total=total, description=words)

    def say(self, text: str) -> None:
        """The text above the live line."""
        self.event("", text)

    def picture(self, text: str) -> None:
        """Shown as it is."""
        self._console.print(text, markup=False, highlight=False, no_wrap=True)

    def failed(self, message: str, code: str) -> None:
        """One line on standard error, below everything."""
        self.close()
        sys.stderr.write(f"pearbox-edge: {message}\n")

    def close(self) -> None:
        """Take the live line away."""
        self._live.stop()

"""A person's terminal: lines that stay, and one live line below them."""

import io
import sys
from collections.abc import Iterable

import segno
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from .events import in_units
from .output import Field, Line


class TerminalOutput:
    """Lines that stay, above one live line: a bar with the rate and time left, or a counter."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._counts = False

    def event(self, name: str, text: str = "", **fields: Field) -> None:
        """The text above the live line."""
        if text:
            self._console.print(text, markup=False, soft_wrap=True)

    def lines(self, name: str, lines: Iterable[Line]) -> None:
        """The texts above the live line."""
        for text, fields in lines:
            self.event(name, text, **fields)

    def progress(self, done: int, total: int | None, peers: int, **fields: Field) -> None:
        """Move the live line: a bar if there is an end to it, else how much and how fast."""
        words = "no peer yet" if peers == 0 else "1 peer" if peers == 1 else f"{peers} peers"
        self._show(words, done, total, counts=fields.get("state") == "serve")

    def preparing(self, done: int, total: int) -> None:
        """Move the live line."""
        self._show("reading files", done, total, counts=False)

    def _show(self, words: str, done: int, total: int | None, *, counts: bool) -> None:
        if self._live is None or self._counts != counts:
            self.close()
            self._counts = counts
            self._live = self._counter() if counts else self._bar()
            self._task = self._live.add_task(words, total=total)
            self._live.start()
        if self._task is not None:
            self._live.update(self._task, completed=done, total=total, description=words)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            _Rate(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )

    def _counter(self) -> Progress:
        return Progress(
            TextColumn("{task.description},"),
            _Sent(),
            _Rate(),
            console=self._console,
            transient=True,
        )

    def say(self, text: str) -> None:
        """The text above the live line."""
        self.event("", text)

    def picture(self, text: str) -> None:
        """The text as a QR code, shown as it is."""
        drawn = io.StringIO()
        segno.make(text, error="l").terminal(out=drawn, compact=True)
        self._console.print(drawn.getvalue(), markup=False, highlight=False, no_wrap=True)

    def failed(self, message: str, code: str) -> None:
        """One line on standard error, below everything."""
        self.close()
        sys.stderr.write(f"pearbox-edge: {message}\n")

    def close(self) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class _Sent(ProgressColumn):
    """How much was sent."""

    def render(self, task: Task) -> Text:
        """The text of one moment."""
        return Text(f"{in_units(task.completed)} sent,")


class _Rate(ProgressColumn):
    """How fast it is just now."""

    def render(self, task: Task) -> Text:
        """The text of one moment."""
        return Text(f"{in_units(task.speed or 0)}/s")

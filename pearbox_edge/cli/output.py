"""How a command speaks: JSON lines for programs, a live line on a terminal, else plain lines."""

import json
import sys
from collections.abc import Iterable
from typing import Protocol

Field = str | int | float | bool | None

Line = tuple[str, dict[str, Field]]
"""The text of a line for people, and its fields for programs."""


class Output(Protocol):
    """Where a command's lines go."""

    def event(self, name: str, text: str = "", **fields: Field) -> None:
        """Something happened: `fields` for programs, `text` (if any) for people."""
        ...

    def lines(self, name: str, lines: Iterable[Line]) -> None:
        """Many events of one name at once: lists may be long."""
        ...

    def progress(self, done: int, total: int | None, peers: int, **fields: Field) -> None:
        """How far it is: bytes done, of how many, with how many peers."""
        ...

    def preparing(self, done: int, total: int) -> None:
        """How far the import is, before there is anything to tell programs."""
        ...

    def say(self, text: str) -> None:
        """Something only a person can use."""
        ...

    def picture(self, text: str) -> None:
        """A text as what a camera in front of a terminal can read (a QR code)."""
        ...

    def failed(self, message: str, code: str) -> None:
        """The one line that says why it failed and what to do."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def make_output(*, as_json: bool) -> Output:
    """The output that fits what standard output is."""
    if as_json:
        return JsonOutput()
    if not sys.stdout.isatty():
        return PlainOutput()
    # Only a terminal pays for the library that draws on it.
    from .terminal import TerminalOutput

    return TerminalOutput()


class JsonOutput:
    """One JSON object a line on standard output; problems are told on standard error as well."""

    def event(self, name: str, text: str = "", **fields: Field) -> None:
        """One line."""
        sys.stdout.write(json.dumps({"event": name, **fields}) + "\n")
        sys.stdout.flush()

    def lines(self, name: str, lines: Iterable[Line]) -> None:
        """A line each."""
        texts = [json.dumps({"event": name, **fields}) + "\n" for _, fields in lines]
        sys.stdout.write("".join(texts))
        sys.stdout.flush()

    def progress(self, done: int, total: int | None, peers: int, **fields: Field) -> None:
        """One line."""
        self.event("progress", "", done=done, total=total, peers=peers, **fields)

    def preparing(self, done: int, total: int) -> None:
        """Nothing: programs wait for `ready`."""

    def say(self, text: str) -> None:
        """Nothing: it is for people."""

    def picture(self, text: str) -> None:
        """Nothing: programs do not look at pictures."""

    def failed(self, message: str, code: str) -> None:
        """A line on each: programs read one, logs the other."""
        self.event("error", message=message, code=code)
        sys.stderr.write(f"pearbox-edge: {message}\n")

    def close(self) -> None:
        """Nothing to leave."""


class PlainOutput:
    """Plain lines, for a pipe or a log."""

    def event(self, name: str, text: str = "", **fields: Field) -> None:
        """The text, if there is one."""
        if text:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def lines(self, name: str, lines: Iterable[Line]) -> None:
        """A line each."""
        sys.stdout.write("".join(f"{text}\n" for text, _ in lines))
        sys.stdout.flush()

    def progress(self, done: int, total: int | None, peers: int, **fields: Field) -> None:
        """Nothing: a log is not a bar."""

    def preparing(self, done: int, total: int) -> None:
        """Nothing: a log is not a bar."""

    def say(self, text: str) -> None:
        """A line."""
        self.event("", text)

    def picture(self, text: str) -> None:
        """Nothing: a log has no camera in front of it."""

    def failed(self, message: str, code: str) -> None:
        """One line on standard error."""
        sys.stderr.write(f"pearbox-edge: {message}\n")

    def close(self) -> None:
        """Nothing to leave."""

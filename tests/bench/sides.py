"""The two implementations under comparison, as command lines."""

import sys
from pathlib import Path
from typing import Protocol

from tests.kit.peers import JS_PEERS

from .processes import Event

Argv = list[str | Path]


class Side(Protocol):
    """One implementation."""

    name: str

    def importing(self, source: Path, data: Path) -> Argv:
        """Put a folder in a drive; prints `ready` when all of it is stored."""
        ...

    def serving(self, source: Path, data: Path) -> Argv:
        """Serve what was imported; prints `ready` with `key` and `tcp`."""
        ...

    def fetching(self, ready: Event, data: Path, out: Path) -> Argv:
        """Fetch the whole drive from who printed `ready`; prints `done` when all is written."""
        ...

    def local(self, task: str, source: Path, data: Path) -> Argv:
        """Do `read` or `list` on what was imported; prints `done` with how long it took."""
        ...


class Ours:
    """This project's command."""

    name = "ours"
    _command = (sys.executable, "-m", "pearbox_edge")

    def importing(self, source: Path, data: Path) -> Argv:
        """As serving: `ready` comes after the import."""
        return self.serving(source, data)

    def serving(self, source: Path, data: Path) -> Argv:
        """Share on loopback."""
        options = ("--json", "--no-lan", "--listen", "127.0.0.1:0", "--data", data)
        return [*self._command, "share", source, *options]

    def fetching(self, ready: Event, data: Path, out: Path) -> Argv:
        """Get from one peer."""
        options = ("--json", "--no-lan", "--peer", ready["tcp"], "--data", data)
        return [*self._command, "get", f"pear://{ready['key']}", out, *options]

    def local(self, task: str, source: Path, data: Path) -> Argv:
        """The drive that `share` made."""
        words = ("-m", "tests.bench.local", "--task", task, "--source", source, "--data", data)
        return [sys.executable, *words]


class Reference:
    """The Node peers."""

    name = "js"

    def importing(self, source: Path, data: Path) -> Argv:
        """Import and exit."""
        return [*self._node("share.mjs"), "--storage", data, "--path", source, "--no-swarm"]

    def serving(self, source: Path, data: Path) -> Argv:
        """Serve what is in the store."""
        return [*self._node("share.mjs"), "--storage", data, "--tcp", "127.0.0.1:0"]

    def fetching(self, ready: Event, data: Path, out: Path) -> Argv:
        """Replicate everything, then write it."""
        where = ("--key", ready["key"], "--tcp", ready["tcp"])
        return [
            *self._node("fetch.mjs"),
            *where,
            *("--storage", data, "--out", out, "--timeout", "600"),
        ]

    def local(self, task: str, source: Path, data: Path) -> Argv:
        """The drive in the store."""
        return [*self._node("local.mjs"), "--storage", data, "--task", task]

    @staticmethod
    def _node(script: str) -> Argv:
        return ["node", JS_PEERS / script]


SIDES: dict[str, Side] = {"ours": Ours(), "js": Reference()}

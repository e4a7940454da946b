"""The contract of a peer that can be measured, and how one is run in a host.

A peer is started with a role and options, prints one JSON object a line (`event`, `at`: ms since
its start), and stops when its stdin ends. Addresses are "host:port", keys and topics hex.

| role     | options                                               | events                        |
| -------- | ----------------------------------------------------- | ----------------------------- |
| `dht`    | host, port, count, [bootstrap]                        | ready                         |
| `server` | bootstrap, seed, [relay-key]; echoes all data         | booted, listening {key},      |
|          |                                                       | connection {remote, punches}  |
| `client` | bootstrap, key, bytes, timeout, [relay-key], [linger] | booted, connected {ms,        |
|          |                                                       | remote, punches}, echoed      |
|          |                                                       | {ms}, moved {remote}, end, or |
|          |                                                       | failed {ms, error}            |
| `swarm`  | bootstrap, topic, bytes, timeout, [echo], [relay-key] | booted, joined, connected,    |
|          |                                                       | echoed, failed                |
| `stay`   | bootstrap, topic, seed; a tick every 100 ms           | joined, connected, closed,    |
|          |                                                       | pulse {silent_ms} every       |
|          |                                                       | 250 ms, resumed {gap_ms}      |

`ms` runs from the call that starts connecting to the open, encrypted stream. `remote` is the
stream's other end. `punches` counts attempts as {open, consistent, random}.
"""

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.kit.peers import JS_PEERS
from tests.lab.netlab import Host, NetlabError, Wan

Event = dict[str, Any]
Command = Sequence[str]
Options = dict[str, str | float | None]
"""Options of a role; None leaves one out."""

REFERENCE: Command = ("node", str(Path(__file__).parent / "reference.cjs"))

DHT_PORT = 49737
DHT_HOSTS = 3
NODES_PER_HOST = 8
"""In a DHT of fewer than 20 nodes the first query of the npm packages can end before their
firewall check has its answer, and public peers then pass for firewalled ones."""


class ContractPeer:
    """A program that keeps the contract, running inside a host."""

    def __init__(self, host: Host, command: Command, role: str, options: Options) -> None:
        argv = [*command, role]
        for key, value in options.items():
            if value is not None:
                argv += [f"--{key}", str(value)]
        self.events: list[Event] = []
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._errors: list[bytes] = []
        self._process = host.popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(JS_PEERS / "node_modules")},
        )
        for reader in (self._read, self._read_errors):
            threading.Thread(target=reader, daemon=True).start()

    def wait(self, *names: str, seconds: float = 30) -> Event:
        """The next event of one of these names; an event "exit" or "timeout" if there is none."""
        end = time.monotonic() + seconds
        while True:
            try:
                event = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return {"event": "timeout", "error": f"no {'/'.join(names)} in {seconds:g} s"}
            if event is None:
                self._queue.put(None)
                status = self._process.wait()
                return {"event": "exit", "error": f"exit status {status} {self.stderr[-300:]}"}
            self.events.append(event)
            if event["event"] in names:
                return event

    def first(self, name: str) -> Event:
        """The first event of this name so far, or {}."""
        return next((event for event in self.events if event["event"] == name), {})

    @property
    def stderr(self) -> str:
        """What it said on stderr."""
        return b"".join(self._errors).decode(errors="replace").strip()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            try:
                self._queue.put(json.loads(line))
            except ValueError:
                self._errors.append(line)
        self._queue.put(None)

    def _read_errors(self) -> None:
        try:
            self._errors.extend(self._process.stderr or ())
        except ValueError:  # the lab closed the pipe
            return


def start_dht(wan: Wan, command: Command = REFERENCE) -> str:
    """A DHT on the first public hosts; returns its bootstrap addresses, "a:p,b:p,c:p"."""
    known: list[str] = []
    for host in wan.public[:DHT_HOSTS]:
        options: Options = {
            "host": host.address,
            "port": DHT_PORT,
            "count": NODES_PER_HOST,
            "bootstrap": ",".join(known) or None,
        }
        peer = ContractPeer(host, command, "dht", options)
        event = peer.wait("ready", "failed", "error", seconds=60)
        if event["event"] != "ready":
            raise NetlabError(f"DHT node on {host.name}: {event}")
        known.append(f"{host.address}:{DHT_PORT}")
    return ",".join(known)

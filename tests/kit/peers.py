"""Programs at the other end of a connection: the Node peers, and our own command line.

Each runs as a process of its own and prints one JSON object a line, with an `event`. A test starts
one with `async with`, waits for the events it needs, and talks to it on stdin:

    async with JsPeer("share.mjs", "--storage", tmp_path / "js", "--tcp", "127.0.0.1:0") as share:
        ready = await share.wait("ready")
        await share.ask(cmd="put", path="/a", text="hello")

Leaving the block ends the process. Everything the process said is in the message of a failure.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

REPOSITORY = Path(__file__).parents[2]
JS_PEERS = REPOSITORY / "tests" / "interop" / "holepunch-js"

Event = dict[str, Any]
Word = str | int | float | Path

LINE_LIMIT = 64 << 20
"""# TUNING longest line: a `done` event may list thousands of files."""

STOP_TIMEOUT = 10.0
"""# TUNING seconds between SIGTERM and SIGKILL."""


class PeerFailed(AssertionError):
    """A program ended, was silent or said `error`, where the test needed something else."""


def install_js_peers(folder: Path = JS_PEERS) -> None:
    """Run `npm ci` in the folder unless its packages match its lock file; fail if that fails."""
    lock_file = folder / "package-lock.json"
    digest = hashlib.sha256(lock_file.read_bytes()).hexdigest()
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    with (folder / ".gitignore").open() as guard:  # several test processes, one installation
        fcntl.flock(guard, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == digest:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise PeerFailed("npm is missing: the reference peers need Node 20 with npm")
        result = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if result.returncode:
            raise PeerFailed(f"npm ci failed in {folder}:\n{result.stdout}{result.stderr}")
        modules.mkdir(exist_ok=True)
        stamp.write_text(digest)


class Peer:
    """One running program that prints JSON lines.

    `argv` is the command; `prefix` runs it somewhere else (`host.command([])` of the network lab).
    """

    def __init__(
        self,
        argv: Sequence[Word],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.events: list[Event] = []
        """Every event so far, in order."""
        self._prefix = list(prefix)
        self._cwd = cwd
        self._env = {**os.environ, **(env or {})}
        self._seen = 0
        self._news = asyncio.Event()
        self._ended = False
        self._errors = bytearray()
        self._tasks: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None

    # -- life ---------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Start the program. It dies with this process, whatever happens."""
        command = [*self._prefix, "setpriv", "--pdeathsig", "KILL", "--", *self.argv]
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._cwd,
            env=self._env,
            limit=LINE_LIMIT,
        )
        self._tasks = [
            asyncio.create_task(self._read_events()),
            asyncio.create_task(self._read_errors()),
        ]
        return self

    async def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """End the program: the signal, then SIGKILL after STOP_TIMEOUT. Returns its exit status."""
        process = self._running()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sig)
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
            except TimeoutError:
                process.kill()
        return await self._finish()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would do it to the process."""
        process = self._running()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await self._finish()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, PeerFailed):
            sys.stderr.write(self.story() + "\n")
        await self.stop()

    # -- what it says -------------------------------------------------------------------------

    async def wait(self, event: str, *, timeout: float = 20, **fields: object) -> Event:
        """The next event of this name (and with these values), after the last one waited for.

        Raises PeerFailed with all that the program said if it ends, says `error` or takes longer.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._next(event, fields)
        except TimeoutError:
            wanted = f"{event} {fields or ''}".strip()
            raise PeerFailed(f"no {wanted} within {timeout:g} s\n{self.story()}") from None

    async def wait_exit(self, *, timeout: float = 60, status: int | None = 0) -> Event:
        """Wait for the end, check the exit status (None: any); returns the last event, or {}."""
        process = self._running()
        try:
            await asyncio.wait_for(process.wait(), timeout)
        except TimeoutError:
            raise PeerFailed(f"still running after {timeout:g} s\n{self.story()}") from None
        found = await self._finish()
        if status is not None and found != status:
            raise PeerFailed(f"exit status {found}, not {status}\n{self.story()}")
        return self.events[-1] if self.events else {}

    async def send(self, **command: object) -> None:
        """Give the program one JSON command on stdin."""
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(json.dumps(command).encode() + b"\n")
        await process.stdin.drain()

    async def ask(self, *, timeout: float = 60, **command: object) -> Event:
        """Give one command and return its reply. Raises PeerFailed if the reply is an error."""
        await self.send(**command)
        reply = await self.wait("reply", timeout=timeout)
        if "error" in reply:
            raise PeerFailed(f"{command}: {reply['error']}\n{self.story()}")
        return reply

    @property
    def pid(self) -> int:
        """The program's own process id."""
        return self._running().pid

    @property
    def stderr(self) -> str:
        """What the program has written to stderr so far."""
        return self._errors.decode(errors="replace")

    def story(self) -> str:
        """The command, its last events and its stderr: for the message of a failure."""
        process = self._process
        status = "not started" if process is None else f"exit status {process.returncode}"
        events = "\n".join("  " + json.dumps(event)[:500] for event in self.events[-15:])
        return f"$ {' '.join(self.argv)}\n({status})\n{events}\n{self.stderr[-4000:]}"

    # -- inside -------------------------------------------------------------------------------

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "the program was not started"
        return self._process

    async def _next(self, event: str, fields: Mapping[str, object]) -> Event:
        while True:
            while self._seen < len(self.events):
                found = self.events[self._seen]
                self._seen += 1
                if found.get("event") == event and fields.items() <= found.items():
                    return found
                if found.get("event") == "error":
                    raise PeerFailed(f"the program failed: {found}\n{self.story()}")
            if self._ended:
                await self._finish()
                raise PeerFailed(f"the program ended before {event}\n{self.story()}")
            self._news.clear()
            await self._news.wait()

    async def _read_events(self) -> None:
        process = self._running()
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"event": "not JSON", "line": line.decode(errors="replace")}
                self.events.append(event)
                self._news.set()
        finally:
            self._ended = True
            self._news.set()

    async def _read_errors(self) -> None:
        process = self._running()
        assert process.stderr is not None
        while chunk := await process.stderr.read(65536):
            self._errors += chunk

    async def _finish(self) -> int:
        process = self._running()
        status = await process.wait()
        await asyncio.gather(*self._tasks)
        if process.stdin is not None:
            process.stdin.close()
        return status


class JsPeer(Peer):
    """One of the Node programs in tests/interop/holepunch-js: `JsPeer("share.mjs", "--tcp", ...)`.

    The test asks for the fixture `js_peers` so that their packages are there.
    """

    def __init__(self, script: str, *args: Word, **kwargs: Any) -> None:
        super().__init__(["node", JS_PEERS / script, *args], **kwargs)


class OurPeer(Peer):
    """Our own command line: `OurPeer("share", folder, "--json")`."""

    def __init__(self, *args: Word, **kwargs: Any) -> None:
        super().__init__([sys.executable, "-m", "pearbox_edge", *args], **kwargs)

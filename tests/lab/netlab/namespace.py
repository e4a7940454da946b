"""One set of Linux namespaces (network, mount, hostname) and what can be run in it."""

import contextlib
import ipaddress
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from .children import REPOSITORY, child
from .errors import NetlabError
from .kernel import call, enter_network, kill_all, network_of, processes_in

Word = str | int | float | Path

_ANCHOR = r"""
echo "$1" > /proc/sys/kernel/hostname
mount -t sysfs -o ro sysfs /sys 2>/dev/null
for f in hosts hostname resolv.conf; do mount --bind "$2/$f" "/etc/$f" 2>/dev/null; done
cd /proc/sys/net
echo 0 > ipv4/conf/all/rp_filter; echo 0 > ipv4/conf/default/rp_filter
if [ -d ipv6 ]; then
  for c in all default; do
    echo 0 > ipv6/conf/$c/accept_dad; echo 0 > ipv6/conf/$c/accept_ra
    echo 0 > ipv6/conf/$c/dad_transmits; echo 0 > ipv6/conf/$c/router_solicitations
    [ "$3" = v6 ] || echo 1 > ipv6/conf/$c/disable_ipv6
  done 2>/dev/null
fi
ip link set lo up
cd /
echo ready
exec cat > /dev/null
"""


class Namespace:
    """A network of its own with hostname, /sys and resolver; a process holds it open."""

    def __init__(self, name: str, tmp: Path, tell: Callable[[str], None], *, ipv6: bool) -> None:
        self.name = name
        self._tell_janitor = tell
        self._etc = tmp / name
        self._etc.mkdir()
        (self._etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n")
        (self._etc / "hostname").write_text(f"{name}\n")
        (self._etc / "resolv.conf").write_text("# no resolver in the lab\n")
        self._programs: list[subprocess.Popen[Any]] = []
        self._anchor = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--uts"),
                *("sh", "-c", _ANCHOR, "netlab", name, str(self._etc), "v6" if ipv6 else "v4"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._fd = -1
        self.network = ""
        """Identity of the network namespace; empty until it is there."""

    def wait_ready(self) -> None:
        """Wait until the namespaces are there and told to the janitor."""
        assert self._anchor.stdout is not None
        if self._anchor.stdout.readline().strip() != b"ready":
            raise NetlabError(f"host {self.name} did not start")
        self._fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.network = network_of(self.pid)
        self._tell_janitor(f"host {self.pid}")

    @property
    def pid(self) -> int:
        """Process that holds the namespaces: `nsenter -t PID -n -m -u` gives a shell in them."""
        return self._anchor.pid

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    # -- running things -----------------------------------------------------------------------

    def command(self, args: Sequence[Word], cwd: Path | None = None) -> list[str]:
        """The argv that runs `args` in here, for any way of starting programs."""
        where = ["nsenter", "-t", str(self.pid), "-n", "-m", "-u"]
        return [*where, f"--wdns={(cwd or Path()).resolve()}", "--", *map(str, args)]

    def popen(self, args: Sequence[Word], **kwargs: Any) -> subprocess.Popen[Any]:
        """subprocess.Popen in here; .pid and signals are the program's own (no wrapper stays)."""
        program = subprocess.Popen(self.command(args, kwargs.pop("cwd", None)), **kwargs)
        self._programs.append(program)
        return program

    def run(
        self,
        args: Sequence[Word],
        *,
        timeout: float = 60,
        check: bool = True,
        text: str = "",
    ) -> "subprocess.CompletedProcess[str]":
        """Run to the end in here, `text` on stdin, output captured."""
        return subprocess.run(
            self.command(args),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )

    def popen_child(self, module: str, *args: str) -> subprocess.Popen[bytes]:
        """Start a helper program of the lab in here and wait until it says `ready`."""
        program = self.popen(
            child(module, *args),
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert program.stdout is not None
        if program.stdout.readline().strip() != b"ready":
            raise NetlabError(f"the {module} of {self.name} did not start")
        return program

    @contextlib.contextmanager
    def inside(self) -> Iterator[Self]:
        """Move the calling thread into this network: sockets it opens belong here.

        Threads started meanwhile start inside too. The thread returns when the block ends.
        """
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter_network(self._fd)
            try:
                yield self
            finally:
                enter_network(back)
        finally:
            os.close(back)

    def socket(
        self, family: int = socket.AF_INET, kind: int = socket.SOCK_DGRAM, protocol: int = 0
    ) -> socket.socket:
        """A socket of this process that lives in this network (asyncio takes it as `sock=`)."""
        with self.inside():
            return socket.socket(family, kind, protocol)

    def pids(self) -> list[int]:
        """All processes running in here."""
        return processes_in({self.network}, {self.pid, os.getpid()})

    def kill_programs(self) -> None:
        """SIGKILL every process running in here."""
        kill_all({self.network}, {self.pid, os.getpid()})

    def capture(self, path: Path, device: str = "eth0") -> subprocess.Popen[bytes]:
        """Record an interface's frames to a pcap file until the returned process is ended.

        Checksums of packets that never saw a wire look wrong in it: that is offloading.
        """
        return self.popen_child("capture", device, str(path.resolve()))

    # -- configuration ------------------------------------------------------------------------

    def add_name(self, name: str, address: str) -> None:
        """Let this host resolve `name` (a line in its own /etc/hosts; there is no DNS)."""
        with (self._etc / "hosts").open("a") as file:
            file.write(f"{address} {name}\n")

    def device_file(self, device: str, attribute: str) -> Path:
        """A network device's sysfs attribute as this host sees it."""
        return Path(f"/proc/{self.pid}/root/sys/class/net/{device}/{attribute}")

    def in_network(self, *argv: str) -> list[str]:
        """The argv that runs a configuration command in this network (files are the machine's)."""
        return ["nsenter", "-t", str(self.pid), "-n", "--", *argv]

    def ip(self, *lines: str) -> None:
        """Run iproute2 commands in here, one per argument, without the leading `ip`."""
        call(self.in_network("ip", "-batch", "-"), "\n".join(lines) + "\n")

    def nft(self, text: str) -> str:
        """Feed nftables text to this host's own firewall."""
        return call(self.in_network("nft", "-f", "-"), text)

    def sysctl(self, values: dict[str, int]) -> None:
        """Set kernel settings, named as in `net.ipv4.ip_forward`."""
        lines = (f"echo {v} > /proc/sys/{k.replace('.', '/')}" for k, v in values.items())
        call(self.in_network("sh", "-ec", ";".join(lines)))

    def link_local_ipv6(self, device: str) -> str | None:
        """IPv6 link-local address of an interface, with its scope ("fe80::1%eth0")."""
        for line in Path(f"/proc/{self.pid}/net/if_inet6").read_text().splitlines():
            raw, _, _, scope, _, name = line.split()
            if name == device and scope == "20":
                return f"{ipaddress.IPv6Address(bytes.fromhex(raw))}%{name}"
        return None

    def close(self) -> None:
        """Collect what ran in here and give the namespaces back."""
        for program in self._programs:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(timeout=5)
            for pipe in (program.stdin, program.stdout, program.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        assert self._anchor.stdin is not None
        assert self._anchor.stdout is not None
        with contextlib.suppress(OSError):
            self._anchor.stdin.close()
        try:
            self._anchor.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._anchor.kill()
            self._anchor.wait()
        self._anchor.stdout.close()

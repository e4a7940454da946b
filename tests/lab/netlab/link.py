"""The cable between one host's interface and its switch."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Self

from .check import require
from .errors import NetlabError
from .impairment import PERFECT, Impairment
from .kernel import await_files, call
from .namespace import Namespace

Backend = Literal["kernel", "relay"]


class Link:
    """One cable. "up" is what the host sends, "down" what it receives.

    closet: the namespace that holds the switches. bridge: the switch it is plugged into.
    port_changed: called when the switch port that leads to the host is another one.
    """

    def __init__(
        self,
        host: Namespace,
        device: str,
        *,
        closet: Namespace,
        bridge: str,
        number: int,
        port_changed: Callable[[], None],
    ) -> None:
        self.host, self.device = host, device
        self.plug = f"p{number}"
        """The far end of the cable, in the closet."""
        self.is_cut = False
        self.address: str | None = None
        self._closet, self._bridge, self._number = closet, bridge, number
        self._port_changed = port_changed
        self._up, self._down = PERFECT, PERFECT
        self._backend: Backend | None = None
        self._relay: subprocess.Popen[bytes] | None = None
        self._seed: int | None = None
        self._flags: dict[str, str] = {}  # switch port flags, set anew when the port changes

    @property
    def port(self) -> str:
        """The switch port that leads to the host."""
        return f"w{self._number}b" if self._relay else self.plug

    def traffic(self) -> dict[str, int]:
        """Bytes and frames that crossed the cable since the lab started (kernel counters)."""
        for line in Path(f"/proc/{self._closet.pid}/net/dev").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name.strip() == self.plug:
                n = [int(word) for word in rest.split()]
                names = ("up_bytes", "up_frames", "down_bytes", "down_frames")
                return dict(zip(names, (n[0], n[1], n[8], n[9]), strict=True))
        raise NetlabError(f"no counters for {self.plug}")

    def up_files(self) -> dict[Path, str]:
        """What await_files has to see before frames pass."""
        closet, n = self._closet, self._number
        ports = [self.plug, *([f"w{n}a", f"w{n}b"] if self._relay else [])]
        return {
            self.host.device_file(self.device, "operstate"): "up",
            **{closet.device_file(port, "brport/state"): "3" for port in ports},
        }

    # -- quality ------------------------------------------------------------------------------

    def impair(
        self,
        *,
        direction: Literal["both", "up", "down"] = "both",
        backend: Literal["auto", "kernel", "relay"] = "auto",
        seed: int | None = None,
        **values: float,
    ) -> Self:
        """Make the cable worse, by the values of Impairment; those not named are off.

        Each call replaces the earlier values of that direction. backend: "kernel" (loss and rate,
        costs nothing), "relay" (everything, repeatable with `seed`), "auto" takes the kernel when
        it suffices.
        """
        new = Impairment(**values)
        up = new if direction in ("both", "up") else self._up
        down = new if direction in ("both", "down") else self._down
        slow = up.slow or down.slow
        want: Backend | None
        if not (up.active or down.active):
            want = None
        elif backend == "auto":
            want = "relay" if slow or seed is not None else "kernel"
        else:
            want = backend
        if want == "kernel":
            if slow:
                raise ValueError("the kernel backend knows loss and rate_mbit only")
            require("kernel_loss", "kernel_rate")
        elif want == "relay":
            require("relay")
        self._up, self._down, self._seed = up, down, seed
        if self._backend != want:
            self._backend_off()
        self._backend = want
        if want == "kernel":
            self._kernel_on()
        elif want == "relay":
            self._relay_on()
        return self

    def clear(self) -> Self:
        """Back to a perfect cable."""
        return self.impair()

    def _backend_off(self) -> None:
        if self._backend == "kernel":
            self._kernel_off()
        elif self._backend == "relay":
            self._relay_off()

    def _kernel_on(self) -> None:
        table = f"imp{self._number}"
        rules = f"table netdev {table}\ndelete table netdev {table}\ntable netdev {table} {{\n"
        for hook, impairment in (("ingress", self._up), ("egress", self._down)):
            if impairment.loss:
                share = round(impairment.loss * 1e6)
                rules += (
                    f"  chain {hook} {{\n"
                    f"    type filter hook {hook} device {self.plug} priority 0;\n"
                    f"    numgen random mod 1000000 < {share} drop;\n  }}\n"
                )
        self._closet.nft(rules + "}\n")
        self._no_rate()
        for where, device, impairment in (
            (self.host, self.device, self._up),
            (self._closet, self.plug, self._down),
        ):
            if impairment.rate_mbit:
                rate = int(impairment.rate_mbit * 1e6)
                burst, latency = max(4000, rate // 8 // 250), max(1, int(impairment.queue_ms))
                limit = f"tbf rate {rate}bit burst {burst} latency {latency}ms"
                argv = f"tc qdisc replace dev {device} root {limit}".split()
                call(where.in_network(*argv))

    def _kernel_off(self) -> None:
        table = f"imp{self._number}"
        self._closet.nft(f"table netdev {table}\ndelete table netdev {table}\n")
        self._no_rate()

    def _no_rate(self) -> None:
        for where, device in ((self.host, self.device), (self._closet, self.plug)):
            call(where.in_network("tc", "qdisc", "del", "dev", device, "root"), check=False)

    def _relay_on(self) -> None:
        n = self._number
        if self._relay is None:
            relay = self._closet.popen_child("relay", f"w{n}a", f"w{n}b")
            self._closet.ip(
                f"link add x{n} type bridge mcast_snooping 0 forward_delay 0",
                f"link set w{n}a txqueuelen 20000",
                f"link set w{n}b txqueuelen 20000",
                f"link set w{n}a master x{n} up",
                f"link set x{n} up",
                f"link set w{n}b master {self._bridge} up",
                f"link set {self.plug} master x{n}",
            )
            self._relay = relay
            self._port_moved()
        self._tell_relay(self._relay)

    def _tell_relay(self, relay: subprocess.Popen[bytes]) -> None:
        assert relay.stdin is not None
        assert relay.stdout is not None
        ways = {"up": self._up.values(), "down": self._down.values()}
        relay.stdin.write(json.dumps({"seed": self._seed, **ways}).encode() + b"\n")
        relay.stdin.flush()
        if relay.stdout.readline().strip() != b"ok":
            raise NetlabError(f"the relay of {self.host.name} died")

    def _relay_off(self) -> None:
        relay, self._relay = self._relay, None
        assert relay is not None
        assert relay.stdin is not None
        self._closet.ip(f"link set {self.plug} master {self._bridge}", f"link del x{self._number}")
        relay.stdin.close()
        relay.wait(timeout=10)
        self._port_moved()

    def _port_moved(self) -> None:
        self._set_flags()
        self._port_changed()
        if not self.is_cut:
            await_files(self.up_files(), f"cable of {self.host.name}")

    # -- availability -------------------------------------------------------------------------

    def cut(self, *, silent: bool = False) -> Self:
        """Unplug the cable (the host sees the carrier go).

        silent: the carrier stays, frames vanish.
        """
        if silent:
            self._port_state(self.plug, "state", "0")
        else:
            self._closet.ip(f"link set {self.plug} down")
        self.is_cut = True
        return self

    def restore(self) -> Self:
        """Plug it in again."""
        self._closet.ip(f"link set {self.plug} up")
        argv = ["bridge", "link", "set", "dev", self.plug, "state", "3"]
        call(self._closet.in_network(*argv), check=False)
        self.is_cut = False
        await_files(self.up_files(), f"cable of {self.host.name}")
        return self

    @contextlib.contextmanager
    def outage(self, *, silent: bool = False) -> Iterator[Self]:
        """The cable is cut inside the block."""
        self.cut(silent=silent)
        try:
            yield self
        finally:
            self.restore()

    def multicast(self, *, allowed: bool) -> None:
        """False: the switch delivers no multicast to this host (a Wi-Fi that filters mDNS)."""
        self._flags["mcast_flood"] = "on" if allowed else "off"
        self._set_flags()

    def isolate(self, *, on: bool = True) -> None:
        """Client isolation: isolated ports of one switch cannot talk to each other."""
        self._flags["isolated"] = "on" if on else "off"
        self._set_flags()

    def _set_flags(self) -> None:
        for flag, value in self._flags.items():
            self._port_state(self.port, flag, value)

    def _port_state(self, port: str, flag: str, value: str) -> None:
        call(self._closet.in_network("bridge", "link", "set", "dev", port, flag, value))

"""How long a pair of always-on peers is apart after something breaks.

Two peers (role "stay") meet on a topic, each behind its own router, and send each other a tick
every 100 ms. Then one thing is broken. What counts is the silence that peer b heard, from the last
tick before the fault to the first one after it, without the time in which no packet could pass.
"""

import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.lab.netlab import NetlabError, Wan

from .peer import REFERENCE, Command, ContractPeer, Options, start_dht

CALM_SECONDS = 12
"""Ticks without a pause before a fault counts as over: long enough for a dead stream to show."""


class AlwaysOn:
    """The two peers in one lab."""

    def __init__(self, wan: Wan, command: Command, dht: Command) -> None:
        self.wan = wan
        self._command = command
        self._bootstrap, self._topic = start_dht(wan, dht), secrets.token_hex(32)
        self._seeds = {"a": secrets.token_hex(32), "b": secrets.token_hex(32)}
        self.a = self.launch("a")
        self.a.wait("joined", seconds=40)
        self.b = self.launch("b")

    def launch(self, name: str) -> ContractPeer:
        """Start (or start again) one of them, with the same key."""
        host = self.wan.a if name == "a" else self.wan.b
        options: Options = {
            "bootstrap": self._bootstrap,
            "topic": self._topic,
            "seed": self._seeds[name],
        }
        return ContractPeer(host, self._command, "stay", options)

    def wait_flowing(self, seconds: float) -> None:
        """Wait until b has heard a tick within the last half second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            silent = self.b.wait("pulse", seconds=2).get("silent_ms")
            if silent is not None and silent < 500:
                return
        raise NetlabError(f"the pair never met: {self.a.stderr} {self.b.stderr}")

    def forget(self) -> None:
        """Skip what b has said so far."""
        names = ("pulse", "resumed", "closed", "connected")
        while self.b.wait(*names, seconds=0.01)["event"] in names:
            pass

    def silence(self, seconds: float) -> float | None:
        """Seconds of the pause that b heard: 0 if none above a second, None if it never ended."""
        gap, calm = 0.0, None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            event = self.b.wait("pulse", "resumed", seconds=2)
            if event["event"] == "resumed":
                gap = max(gap, event["gap_ms"] / 1000)
            elif event["event"] == "pulse":
                silent = event["silent_ms"]
                if silent is None or silent > 500:
                    calm = None
                else:
                    calm = calm or time.monotonic()
                    if time.monotonic() - calm > CALM_SECONDS:
                        return gap
        return None


Fault = Callable[[AlwaysOn], float]
"""Breaks something; returns the seconds in which no packet could pass."""


def _cut(seconds: float, *, silent: bool) -> Fault:
    def act(pair: AlwaysOn) -> float:
        with pair.wan.home_a.uplink.outage(silent=silent):
            time.sleep(seconds)
        return seconds

    return act


def _reboot(pair: AlwaysOn) -> float:
    pair.wan.home_b.reboot_router(3)
    return 3


def _forget(pair: AlwaysOn) -> float:
    pair.wan.home_b.flush_nat()
    return 0


def _new_public_address(pair: AlwaysOn) -> float:
    pair.wan.home_a.change_public_address()
    return 0


def _new_private_address(pair: AlwaysOn) -> float:
    pair.wan.a.set_address("192.168.1.99/24")
    return 0


def _power(pair: AlwaysOn) -> float:
    pair.wan.a.kill()
    time.sleep(2)
    pair.wan.a.start()
    pair.a = pair.launch("a")
    return 2


def _no_dht(pair: AlwaysOn) -> float:
    with pair.wan.partition([pair.wan.home_a, pair.wan.home_b], pair.wan.public):
        time.sleep(20)
    return 0


def _bad_line(pair: AlwaysOn) -> float:
    pair.wan.home_a.uplink.impair(delay_ms=80, jitter_ms=60, loss=0.05, reorder=0.02)
    time.sleep(15)
    return 0


FAULTS: dict[str, Fault] = {
    "line of a dead for 5 s, unnoticed by the router": _cut(5, silent=True),
    "line of a unplugged for 5 s": _cut(5, silent=False),
    "line of a dead for 30 s, unnoticed by the router": _cut(30, silent=True),
    "router of b restarts, 3 s, all mappings lost": _reboot,
    "router of b forgets all mappings": _forget,
    "home of a gets another public address": _new_public_address,
    "a gets another private address": _new_private_address,
    "a loses power for 2 s and is started again": _power,
    "both lose the whole DHT for 20 s": _no_dht,
    "line of a gets bad (80-140 ms, 5 % loss, reordering)": _bad_line,
}


def measure_fault(
    name: str,
    *,
    command: Command = REFERENCE,
    dht: Command = REFERENCE,
    delay_ms: float = 10,
    runs: int = 1,
    timeout: float = 150,
) -> dict[str, Any]:
    """Break one thing of FAULTS in fresh labs; returns silences and what the fault cost."""
    silences: list[float | None] = []
    outage = 0.0
    for _ in range(runs):
        with Wan() as wan:
            for home in wan.homes.values():
                home.uplink.impair(delay_ms=delay_ms)
            pair = AlwaysOn(wan, command, dht)
            pair.wait_flowing(60)
            time.sleep(3)
            pair.forget()
            outage = FAULTS[name](pair)
            silences.append(pair.silence(timeout))
    return {"fault": name, "runs": runs, "outage_s": outage, **_medians(silences, outage)}


def _medians(silences: Sequence[float | None], outage: float) -> dict[str, Any]:
    ended = [silence for silence in silences if silence is not None]
    result: dict[str, Any] = {"recovered": len(ended), "silence_s": list(silences)}
    if ended:
        median = statistics.median(ended)
        result["median_silence_s"] = round(median, 1)
        result["median_extra_s"] = round(max(0.0, median - outage), 1)
    return result

"""One connection between two peers behind two kinds of NAT, and the matrix of all of them."""

import ipaddress
import secrets
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tests.lab.netlab import NAT_KINDS, Wan

from .peer import REFERENCE, Command, ContractPeer, Event, Options, start_dht

REACHABLE = ("open", "dmz")


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a connection is tried.

    by_topic: meet on a topic, else connect by key. relay: both may use a public relay. delay_ms,
    loss: of each home's line. linger: seconds to stay connected, to see a relayed stream move.
    """

    server: Command = REFERENCE
    client: Command = REFERENCE
    dht: Command = REFERENCE
    by_topic: bool = False
    relay: bool = False
    shared: Literal["home", "carrier"] | None = None
    preserve_ports: bool = False
    delay_ms: float = 0
    loss: float = 0
    timeout: float = 60
    size: int = 65536
    linger: float = 0


@dataclass(slots=True)
class Run:
    """What came of one try. `ms`: from the call to the open stream, or to giving up."""

    server: str
    client: str
    outcome: str = "failed"
    ms: float | None = None
    echo_ms: float | None = None
    error: str | None = None
    end_outcome: str | None = None
    moved_ms: float | None = None


def run_pair(server_nat: str, client_nat: str, conditions: Conditions) -> Run:
    """In a fresh lab with a fresh DHT, the client in home b connects to the server in home a."""
    run = Run(server_nat, client_nat)
    wan = Wan(
        server_nat,
        client_nat,
        shared=conditions.shared,
        preserve_ports=conditions.preserve_ports,
    )
    with wan:
        bootstrap = start_dht(wan, conditions.dht)
        if conditions.delay_ms or conditions.loss:
            for home in wan.homes.values():
                home.uplink.impair(delay_ms=conditions.delay_ms, loss=conditions.loss)
        relay_key = relay_address = None
        if conditions.relay:
            relay_address = wan.public[3].address
            relay = ContractPeer(wan.public[3], REFERENCE, "relay", {"bootstrap": bootstrap})
            relay_key = relay.wait("listening")["key"]
        server, client = _start(wan, conditions, bootstrap, relay_key)
        if client is None:
            run.error = "the server never listened"
            return run
        event = client.wait("connected", "failed", seconds=conditions.timeout + 40)
        run.ms, run.error = event.get("ms"), event.get("error")
        if event["event"] != "connected":
            return run
        echoed = client.wait("echoed", "failed", seconds=conditions.timeout)
        other = server.wait("connection", "connected", seconds=2)
        if echoed["event"] != "echoed":
            run.error = f"connected, then: {echoed.get('error')}"
            return run
        run.echo_ms = echoed["ms"]
        run.outcome = classify(event, other, (server_nat, client_nat), relay_address)
        if conditions.linger:
            end = client.wait("end", seconds=conditions.linger + 10)
            run.end_outcome = classify(end, other, (server_nat, client_nat), relay_address)
            moved = client.first("moved")
            run.moved_ms = moved["at"] - event["at"] if moved else None
    return run


def _start(
    wan: Wan, conditions: Conditions, bootstrap: str, relay_key: str | None
) -> tuple[ContractPeer, ContractPeer | None]:
    common: Options = {"bootstrap": bootstrap, "relay-key": relay_key}
    asking: Options = {**common, "bytes": conditions.size, "timeout": conditions.timeout}
    if conditions.by_topic:
        topic = secrets.token_hex(32)
        waiting: Options = {**common, "topic": topic, "echo": 1, "timeout": 3600}
        server = ContractPeer(wan.a, conditions.server, "swarm", waiting)
        server.wait("joined", seconds=40)
        return server, ContractPeer(wan.b, conditions.client, "swarm", {**asking, "topic": topic})
    seed = secrets.token_hex(32)
    server = ContractPeer(wan.a, conditions.server, "server", {**common, "seed": seed})
    listening = server.wait("listening", seconds=40)
    if listening["event"] != "listening":
        return server, None
    asking |= {"key": listening["key"], "linger": conditions.linger}
    return server, ContractPeer(wan.b, conditions.client, "client", asking)


def classify(event: Event, other: Event, kinds: tuple[str, str], relay: str | None) -> str:
    """direct, punched, punched-random, lan or relayed, from what the two sides report."""
    remote = event.get("remote")
    address = remote.rsplit(":", 1)[0] if remote else None
    if relay and address == relay:
        return "relayed"
    if address and ipaddress.ip_address(address).is_private:
        return "lan"
    punches = [side.get("punches") or {} for side in (event, other)]
    if any(count.get("random") for count in punches):
        return "punched-random"
    if any(count.get("open") for count in punches) or set(kinds) & set(REACHABLE):
        return "direct"
    return "punched"


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """One cell of the matrix out of its repetitions."""
    good = [run for run in runs if run.outcome != "failed"]
    cell: dict[str, Any] = {
        "server": runs[0].server,
        "client": runs[0].client,
        "runs": len(runs),
        "connected": len(good),
        "outcome": "/".join(sorted({run.outcome for run in good})) or "failed",
    }
    times = [run.ms for run in good if run.ms is not None]
    if times:
        cell["median_ms"] = round(statistics.median(times))
        cell["min_ms"], cell["max_ms"] = round(min(times)), round(max(times))
    if any(run.end_outcome for run in good):
        cell["end_outcome"] = "/".join(sorted({run.end_outcome or "" for run in good}))
        cell["moved_ms"] = [run.moved_ms for run in good]
    if len(good) < len(runs):
        cell["errors"] = sorted({str(run.error) for run in runs if run.outcome == "failed"})
    return cell


def table(cells: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for each server's NAT, a column for each client's."""
    rows = [kind for kind in NAT_KINDS if any(cell["server"] == kind for cell in cells)]
    columns = [kind for kind in NAT_KINDS if any(cell["client"] == kind for cell in cells)]
    found = {(cell["server"], cell["client"]): _cell(cell) for cell in cells}
    lines = [["server \\ client", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(found.get((row, column), "") for column in columns)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(cell: dict[str, Any]) -> str:
    if not cell["connected"]:
        return "-"
    share = "" if cell["connected"] == cell["runs"] else f" ({cell['connected']}/{cell['runs']})"
    return f"{cell['outcome']} {cell['median_ms'] / 1000:.1f} s{share}"

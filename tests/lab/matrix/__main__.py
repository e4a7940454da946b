"""`python -m tests.lab.matrix pairs | failures`: measure peers in the lab, JSON lines on stdout."""

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from typing import Any

from tests.kit.peers import install_js_peers
from tests.lab.netlab import NAT_KINDS

from . import FAULTS, REFERENCE, Conditions, measure_fault, run_pair, summary, table


def say(value: dict[str, Any] | str) -> None:
    """One line of result."""
    sys.stdout.write((value if isinstance(value, str) else json.dumps(value)) + "\n")
    sys.stdout.flush()


def pairs(args: argparse.Namespace) -> None:
    """Every pair of kinds, or those asked for."""
    conditions = Conditions(
        server=args.server or args.command,
        client=args.client or args.command,
        by_topic=args.by_topic,
        relay=args.relay,
        delay_ms=args.delay_ms,
    )
    wanted = (
        [tuple(pair.split(":")) for pair in args.pairs.split(",")]
        if args.pairs
        else [(a, b) for a in NAT_KINDS for b in NAT_KINDS]
    )
    cells = []
    for server, client in wanted:
        runs = [run_pair(server, client, conditions) for _ in range(args.runs)]
        for run in runs:
            sys.stderr.write(json.dumps(asdict(run)) + "\n")
        cells.append(summary(runs))
        say(cells[-1])
    say(table(cells))


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.matrix", description=__doc__)
    parser.add_argument("what", choices=("pairs", "failures"))
    parser.add_argument("--command", type=shlex.split, default=REFERENCE, help="of both peers")
    parser.add_argument("--server", type=shlex.split, help="of the serving peer alone")
    parser.add_argument("--client", type=shlex.split, help="of the connecting peer alone")
    parser.add_argument("--pairs", help="only these, as server:client,server:client")
    parser.add_argument("--by-topic", action="store_true", help="meet on a topic, not by key")
    parser.add_argument("--relay", action="store_true", help="both may use a public relay")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--delay-ms", type=float, default=10, help="of each home's line")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    install_js_peers()
    if args.what == "pairs":
        pairs(args)
        return 0
    for name in FAULTS:
        if args.only in name:
            command, delay = args.command, args.delay_ms
            say(measure_fault(name, command=command, delay_ms=delay, runs=args.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())

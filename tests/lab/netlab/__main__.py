"""`python -m tests.lab.netlab check | nat | lan | wan`: look around in a lab by hand."""

import argparse
import contextlib
import signal
import sys
import threading

from . import NAT_KINDS, Lan, Wan, check, classify_nat


def say(line: str) -> None:
    """One line for the person."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def hold(lab: Lan | Wan) -> None:
    """Keep a lab until Ctrl-C."""
    with lab:
        for host in lab.hosts:
            say(f"  {host.name:<12} {host.address:<15}  nsenter -t {host.pid} -n -m -u")
        say("Ctrl-C ends the lab.")
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        with contextlib.suppress(KeyboardInterrupt):
            stop.wait()


def measure_all() -> None:
    """Build every NAT kind and measure it."""
    homes = {f"k{i}": kind for i, kind in enumerate(NAT_KINDS)}
    with Wan(homes=homes, public=3) as lab:
        for home in lab.homes.values():
            report = classify_nat(home.hosts[0], lab.public)
            seen = f"unsolicited {report.unsolicited}, port kept {report.port_preserved}"
            say(f"{home.nat:<20} {report.mapping!s:<28} {report.filtering!s:<28} {seen}")


def main() -> int:
    """Read the arguments and do it; 1 if a feature is missing."""
    parser = argparse.ArgumentParser(description="Throw-away test networks in Linux namespaces.")
    sub = parser.add_subparsers(dest="what", required=True)
    sub.add_parser("check", help="what this machine can do")
    sub.add_parser("nat", help="build every NAT kind and measure it")
    lan = sub.add_parser("lan", help="hold a LAN open until Ctrl-C")
    lan.add_argument("--ipv4", choices=("private", "linklocal", "none"), default="private")
    wan = sub.add_parser("wan", help="hold two homes and a public segment open until Ctrl-C")
    wan.add_argument("--nat-a", choices=NAT_KINDS, default="port-restricted")
    wan.add_argument("--nat-b", choices=NAT_KINDS, default="port-restricted")
    args = parser.parse_args()
    if args.what == "check":
        result = check()
        for name, state in result.items():
            say(f"{name:<12} {state}")
        return 0 if set(result.values()) == {"ok"} else 1
    if args.what == "nat":
        measure_all()
    elif args.what == "lan":
        hold(Lan(ipv4=args.ipv4))
    else:
        hold(Wan(args.nat_a, args.nat_b))
    return 0


if __name__ == "__main__":
    sys.exit(main())

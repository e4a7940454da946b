"""Boxes find each other on a LAN with no route, no DNS and no right time; Avahi sees the same."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab.netlab import Host, Lan
from tests.lab.netlab.children import REPOSITORY

pytestmark = pytest.mark.lab

LABEL = "y" * 52
OTHER = "b" * 52
SUBTYPE = f"_{LABEL}._sub._hyperswarm._tcp"
IN_TIME = 3.0
Event = dict[str, Any]


class Program:
    """A running program whose lines of output are kept, each with the time it came."""

    def __init__(self, host: Host, *args: str) -> None:
        self.name = host.name
        self.process: subprocess.Popen[str] = host.popen(
            args,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_line(self, wanted: Callable[[str], bool], seconds: float) -> str:
        """The first line that is wanted, of those that came and those that come in time."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(wanted, self._lines)), seconds)
            for line in self._lines:
                if wanted(line):
                    return line
            raise AssertionError(f"{self.name} did not say it in time, but: {self._lines}")

    def wait(self, event: str, seconds: float = IN_TIME, **fields: object) -> Event:
        """The first event of this name with these fields."""

        def wanted(line: str) -> bool:
            said = json.loads(line)
            return bool({**said, **fields, "event": event} == said)

        said: Event = json.loads(self.wait_line(wanted, seconds))
        return said

    def events(self, event: str) -> list[Event]:
        """All events of this name so far."""
        with self._changed:
            return [said for line in self._lines if (said := json.loads(line))["event"] == event]

    def tell(self, line: str) -> None:
        """Give it a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Close its input, and wait until it is gone."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        return self.process.wait(timeout=10)


def peer(host: Host, mode: str, *more: str) -> Program:
    program = Program(host, sys.executable, "-m", "tests.lab.mdns_peer", LABEL, mode, *more)
    program.wait("ready", 10)
    return program


def seconds_to_find(browser: Program, announcer: Program, **fields: str) -> float:
    """From the moment that both run to the moment that one has found the other."""
    port = announcer.events("ready")[0]["port"]
    both_run = max(each.events("ready")[0]["at"] for each in (browser, announcer))
    found = browser.wait("found", IN_TIME, port=port, **fields)
    return max(0.0, float(found["at"] - both_run))


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan(["box", "laptop", "annas-phone"]) as lab:
        yield lab


def test_three_hosts_and_a_late_comer_find_each_other_in_either_order(lan: Lan) -> None:
    box = peer(lan["box"], "announce")
    time.sleep(2)
    laptop = peer(lan["laptop"], "browse")
    assert seconds_to_find(laptop, box, host=lan["box"].address) < IN_TIME
    phone = peer(lan["annas-phone"], "both")
    assert seconds_to_find(laptop, phone, host=lan["annas-phone"].address) < IN_TIME
    assert seconds_to_find(phone, box, host=lan["box"].address) < IN_TIME
    time.sleep(2)
    late = peer(lan.add("late"), "both")
    assert seconds_to_find(late, box) < IN_TIME
    assert seconds_to_find(late, phone) < IN_TIME
    assert seconds_to_find(laptop, late) < IN_TIME
    assert seconds_to_find(phone, late) < IN_TIME
    time.sleep(1)
    for program in (laptop, phone, late):
        assert all(event["ok"] for event in program.events("dialled"))
        assert program.events("lost") == []
    for program in (box, laptop, phone, late):
        assert program.end() == 0
        assert program.wait("left")["tasks"] == 1


def test_a_clock_far_off_does_not_matter(lan: Lan) -> None:
    box = peer(lan["box"], "announce", "0")
    laptop = peer(lan["laptop"], "browse", "9999999999")
    assert seconds_to_find(laptop, box) < IN_TIME
    time.sleep(4)
    assert laptop.events("lost") == []


def test_withdrawing_and_leaving_are_seen_at_once(lan: Lan) -> None:
    box, phone = peer(lan["box"], "announce"), peer(lan["annas-phone"], "announce")
    laptop = peer(lan["laptop"], "browse")
    seconds_to_find(laptop, box)
    seconds_to_find(laptop, phone)
    box.tell(f"withdraw {LABEL}")
    assert laptop.wait("lost", host=lan["box"].address, seconds=1)
    phone.end()
    assert laptop.wait("lost", host=lan["annas-phone"].address, seconds=1)


@pytest.mark.parametrize(("ipv4", "starts"), [("linklocal", "169.254."), ("none", "fe80::")])
def test_no_address_but_link_local_ones_is_enough(ipv4: Any, starts: str) -> None:
    with Lan(["box", "laptop"], ipv4=ipv4) as lan:
        box, laptop = peer(lan["box"], "announce"), peer(lan["laptop"], "browse")
        assert seconds_to_find(laptop, box) < IN_TIME
        first = laptop.events("found")[0]["host"]
        assert first.startswith(starts)
        assert laptop.wait("dialled", host=first)["ok"]


def test_a_new_lease_is_followed(lan: Lan) -> None:
    box, laptop = peer(lan["box"], "announce"), peer(lan["laptop"], "browse")
    old = lan["box"].address
    assert seconds_to_find(laptop, box, host=old) < IN_TIME
    lan["box"].set_address("192.168.50.77/24")
    laptop.wait("lost", host=old)
    laptop.wait("found", host="192.168.50.77")
    assert laptop.wait("dialled", host="192.168.50.77")["ok"]
    time.sleep(3)
    assert [event["host"] for event in laptop.events("lost")] == [old]


def test_the_searcher_gets_a_new_lease_and_goes_on(lan: Lan) -> None:
    laptop = peer(lan["laptop"], "browse")
    lan["laptop"].set_address("192.168.50.78/24")
    time.sleep(1.5)
    box = peer(lan["box"], "announce")
    assert seconds_to_find(laptop, box, host=lan["box"].address) < IN_TIME


@pytest.mark.parametrize("plugged_late", ["box", "laptop"])
def test_a_network_that_is_missing_at_the_start_is_picked_up(lan: Lan, plugged_late: str) -> None:
    lan[plugged_late].link.cut()
    _, laptop = peer(lan["box"], "announce"), peer(lan["laptop"], "browse")
    time.sleep(2)
    assert laptop.events("found") == []
    lan[plugged_late].link.restore()
    laptop.wait("found", host=lan["box"].address)


def test_a_replugged_cable_loses_nobody_and_brings_what_is_new(lan: Lan) -> None:
    box, laptop = peer(lan["box"], "announce"), peer(lan["laptop"], "browse")
    assert seconds_to_find(laptop, box) < IN_TIME
    with lan["laptop"].link.outage():
        time.sleep(2)
        phone = peer(lan["annas-phone"], "announce")
        time.sleep(1)
    laptop.wait("found", port=phone.events("ready")[0]["port"])
    time.sleep(3)
    assert laptop.events("lost") == []


def test_announcements_that_got_lost_are_made_up_for_by_asking_again(lan: Lan) -> None:
    with lan["box"].link.outage(silent=True):
        box, laptop = peer(lan["box"], "announce"), peer(lan["laptop"], "browse")
        time.sleep(5)
        assert laptop.events("found") == []
    # It asks 1, 3, 7 and 15 s after it began.
    laptop.wait("found", 4, port=box.events("ready")[0]["port"])


def test_a_card_that_appears_later_is_used_too(lan: Lan) -> None:
    box, laptop = peer(lan["box"], "announce"), peer(lan["laptop"], "browse")
    seconds_to_find(laptop, box, host=lan["box"].address)
    wifi = lan.add_segment("wifi")
    guest = lan.add("guest")
    lan.plug(guest, wifi, "wlan0", "192.168.60.1/24")
    guest.link.cut()
    visitor = peer(guest, "both")
    lan.plug(lan["box"], wifi, "wlan0", "192.168.60.2/24")
    visitor.wait("found", host="192.168.60.2")
    assert visitor.wait("dialled", host="192.168.60.2")["ok"]


def test_programs_on_one_machine_with_no_network_find_each_other(lan: Lan) -> None:
    box = lan["box"]
    box.link.cut()
    announcer, browser = peer(box, "announce"), peer(box, "browse")
    assert seconds_to_find(browser, announcer, host="127.0.0.1") < IN_TIME


def test_programs_on_one_machine_with_a_network_find_each_other(lan: Lan) -> None:
    announcer, browser = peer(lan["box"], "both"), peer(lan["box"], "both")
    assert seconds_to_find(browser, announcer) < IN_TIME
    assert seconds_to_find(announcer, browser) < IN_TIME


def test_nothing_on_the_wire_tells_who_we_are(lan: Lan, tmp_path: Path) -> None:
    capture = lan["laptop"].capture(tmp_path / "x.pcap")
    phone = peer(lan["annas-phone"], "announce")
    laptop = peer(lan["laptop"], "browse")
    seconds_to_find(laptop, phone)
    phone.end()
    laptop.wait("lost")
    capture.terminate()
    capture.wait(timeout=5)
    said = (tmp_path / "x.pcap").read_bytes().lower()
    assert f"_{LABEL}".encode() in said
    assert b"anna" not in said
    assert b"root" not in said


@pytest.fixture
def avahi(lan: Lan) -> Host:
    """A host that runs Avahi, with its own /run."""
    host = lan.add("avahi")
    host.run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
    host.run(["mkdir", "-p", "/run/dbus", "/run/avahi-daemon"])
    host.run(["dbus-daemon", "--system", "--fork"])
    host.run(["avahi-daemon", "-D", "--no-drop-root", "--no-chroot", "--no-rlimits"])
    return host


def test_avahi_finds_us_by_the_subtype_and_sees_us_go(lan: Lan, avahi: Host) -> None:
    watcher = Program(avahi, "avahi-browse", "-rp", SUBTYPE)
    box = peer(lan["box"], "announce")
    port = box.events("ready")[0]["port"]
    line = watcher.wait_line(lambda line: line.startswith("=;eth0;IPv4;"), IN_TIME)
    _, _, _, instance, type_, domain, host, address, told_port, txt = line.split(";")
    assert (type_, domain) == ("_hyperswarm._tcp", "local")
    assert (address, int(told_port), txt) == (lan["box"].address, port, '"v=1"')
    for name in (instance, host.removesuffix(".local")):
        assert len(name) == 32
        assert bytes.fromhex(name)
    box.tell(f"withdraw {LABEL}")
    watcher.wait_line(lambda line: line == f"-;eth0;IPv4;{instance};{type_};local", 1.5)


def test_avahi_finds_one_service_type_with_all_topics(lan: Lan, avahi: Host) -> None:
    box = peer(lan["box"], "announce")
    box.tell(f"announce {OTHER}")
    box.wait("did")
    time.sleep(1)
    listed = avahi.run(["avahi-browse", "-apt"], timeout=20).stdout.splitlines()
    ours = [line.split(";") for line in listed if ";IPv4;" in line and "_hyper" in line]
    assert {line[4] for line in ours} == {"_hyperswarm._tcp"}
    assert len({line[3] for line in ours}) == 2
    assert "_sub" not in "".join(listed)


def test_we_find_what_avahi_publishes_and_see_it_go(lan: Lan, avahi: Host) -> None:
    laptop = peer(lan["laptop"], "browse")
    publish = ["avahi-publish", "-s", "--subtype", SUBTYPE, "theirs", "_hyperswarm._tcp", "4444"]
    published = avahi.popen(publish, stderr=subprocess.DEVNULL)
    found = laptop.wait("found", 5, host=avahi.address)
    assert (found["port"], found["instance"]) == (4444, "theirs")
    published.terminate()
    published.wait(timeout=5)
    laptop.wait("lost", 1.5, host=avahi.address)


def test_we_share_a_machine_with_avahi(lan: Lan, avahi: Host) -> None:
    beside, laptop = peer(avahi, "both"), peer(lan["laptop"], "both")
    assert seconds_to_find(laptop, beside) < IN_TIME
    assert seconds_to_find(beside, laptop) < IN_TIME

"""The lab's LAN: neighbours, multicast, no way out; and no lab leaves anything behind."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.netlab import LabUnavailable, Lan, Wan
from tests.lab.netlab.check import why_not
from tests.lab.netlab.children import REPOSITORY
from tests.lab.netlab.kernel import call, network_of
from tests.lab.packets import ping

pytestmark = pytest.mark.lab


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan(["a", "b", "c"]) as lab:
        yield lab


def test_neighbours_reach_each_other_and_nothing_else(lan: Lan) -> None:
    assert all(ping(x, y) for x in lan.hosts for y in lan.hosts if x is not y)
    for host in lan.hosts:
        with host.socket() as sock, pytest.raises(OSError, match="unreachable") as caught:
            sock.sendto(b"x", ("44.128.1.1", 9))
        assert caught.value.errno == errno.ENETUNREACH
    assert [host.run(["hostname"]).stdout.strip() for host in lan.hosts] == ["a", "b", "c"]
    assert lan["a"].run(["ls", "/sys/class/net"]).stdout.split() == ["eth0", "lo"]


def test_link_local_addresses_alone_suffice() -> None:
    with Lan(["a", "b"], ipv4="linklocal") as lan:
        a, b = lan.hosts
        assert a.address.startswith("169.254.")
        assert ping(a, b)
        assert a.ipv6 is not None
        assert a.ipv6.startswith("fe80::")
        assert a.ipv6 != b.ipv6


def test_a_late_comer_reaches_the_others(lan: Lan) -> None:
    late = lan.add("late")
    assert late.address not in {host.address for host in lan.hosts if host is not late}
    assert ping(late, lan["a"])


def test_multicast_reaches_all_unless_a_port_filters_it(lan: Lan) -> None:
    assert _multicast_arrives(lan)
    lan["b"].link.multicast(allowed=False)
    assert not _multicast_arrives(lan)
    assert ping(lan["a"], lan["b"])


def _multicast_arrives(lan: Lan) -> bool:
    a, b = lan["a"], lan["b"]
    group = ("224.0.0.251", 5353)
    with a.socket() as sender, b.socket() as receiver:
        receiver.bind(group)
        member = socket.inet_aton(group[0]) + socket.inet_aton(b.address)
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        receiver.settimeout(0.5)
        interface = socket.inet_aton(a.address)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        sender.sendto(b"hello", group)
        try:
            return receiver.recv(100) == b"hello"
        except TimeoutError:
            return False


def test_there_is_no_dns_but_names_can_be_given(lan: Lan) -> None:
    a, b = lan["a"], lan["b"]
    code = "import socket; print(socket.gethostbyname('pearbox.test'))"
    assert a.run([sys.executable, "-c", code], check=False, timeout=15).returncode != 0
    a.add_name("pearbox.test", b.address)
    assert a.run([sys.executable, "-c", code]).stdout.strip() == b.address


def test_a_second_card_has_its_own_network(lan: Lan) -> None:
    wifi = lan.add_segment("wifi")
    lan.plug(lan["a"], wifi, "wlan0", "192.168.60.1/24")
    link = lan.plug(lan["b"], wifi, "wlan0", "192.168.60.2/24")
    with lan["b"].socket() as sender, lan["a"].socket() as receiver:
        receiver.bind(("192.168.60.1", 0))
        receiver.settimeout(2)
        sender.sendto(b"x", receiver.getsockname())
        assert receiver.recvfrom(9)[1][0] == "192.168.60.2"
    assert link.traffic()["up_frames"] >= 1


def test_a_host_loses_power_and_comes_back(lan: Lan) -> None:
    a, b = lan["a"], lan["b"]
    program = a.popen(["sh", "-c", "sleep 100 & sleep 100"])
    _settles(lambda: len(a.pids()) >= 2)
    a.kill()
    assert program.wait(timeout=5) == -signal.SIGKILL
    assert a.pids() == []
    assert not ping(b, a, 0.3)
    a.start()
    assert ping(b, a)


def test_a_host_gets_another_address(lan: Lan) -> None:
    a, b = lan["a"], lan["b"]
    a.set_address("192.168.50.77/24")
    assert a.address == "192.168.50.77"
    assert ping(b, a)


def test_a_program_in_a_host_is_a_real_child(lan: Lan) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    program = lan["a"].popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert int(program.stdout.readline()) == program.pid
    program.send_signal(signal.SIGTERM)
    assert program.wait(timeout=5) == -signal.SIGTERM


def test_what_crosses_a_cable_can_be_captured(lan: Lan, tmp_path: Path) -> None:
    capture = lan["b"].capture(tmp_path / "x.pcap")
    ping(lan["a"], lan["b"])
    _settles(lambda: b"pong" in (tmp_path / "x.pcap").read_bytes())
    capture.terminate()
    capture.wait(timeout=5)
    assert (tmp_path / "x.pcap").read_bytes()[:4] == b"\xd4\xc3\xb2\xa1"


def test_a_lab_leaves_nothing_behind() -> None:
    before = call(["ip", "-br", "link"])
    with Wan("double", "symmetric") as wan:
        wan.a.popen(["sleep", "1000"])
        networks = {host.network for host in wan.hosts}
        assert networks <= _networks()
        assert call(["ip", "-br", "link"]) == before, "the lab touched the machine's own network"
    assert call(["ip", "-br", "link"]) == before
    _settles(lambda: not _networks() & networks)


CRASH = """
import os, sys
from tests.lab.netlab import Wan
wan = Wan("double", "symmetric").open()
wan.a.popen(["sh", "-c", "sleep 1000 & sleep 1000"], start_new_session=True)
wan.b.link.impair(delay_ms=5)
print(*[host.pid for host in wan.hosts], flush=True)
os.kill(os.getpid(), int(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lab_whose_owner_is_killed_leaves_nothing_behind(number: signal.Signals) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CRASH, str(int(number))],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    pids = result.stdout.split()
    assert len(pids) > 8, result.stderr
    _settles(lambda: not any(Path("/proc", pid).exists() for pid in pids))


def _networks() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add(network_of(int(entry.name)))
            except OSError:
                continue
    return found


def _settles(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_lab_that_cannot_be_built_fails_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    why_not.cache_clear()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    try:
        with pytest.raises(LabUnavailable, match="not running as root"):
            Lan().open()
    finally:
        why_not.cache_clear()

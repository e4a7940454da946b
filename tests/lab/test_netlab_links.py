"""The lab's cables are as bad as a test asks for, and no worse."""

import itertools
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import pytest

from tests.lab.netlab import Host, Lan
from tests.lab.packets import flow, ping

pytestmark = pytest.mark.lab
Backend = Literal["kernel", "relay"]


@pytest.fixture
def lan() -> Iterator[Lan]:
    with Lan(["a", "b", "c"]) as lab:
        yield lab


def test_delay_is_added_one_way_or_both(lan: Lan) -> None:
    a, b = lan["a"], lan["b"]
    a.link.impair(delay_ms=40)
    for times in (one_way(a, b), one_way(b, a)):
        assert len(times) == 50
        assert min(times) > 0.039
        assert statistics.median(times) < 0.070
    a.link.impair(delay_ms=10, direction="up")
    a.link.impair(direction="down")
    assert min(one_way(b, a)) < 0.009 < min(one_way(a, b))
    a.link.clear()
    assert statistics.median(one_way(a, b)) < 0.005


def one_way(source: Host, target: Host) -> list[float]:
    return [seconds for _, seconds in flow(source, target, 50, gap=0.005)]


@pytest.mark.parametrize("backend", ["kernel", "relay"])
def test_loss_is_about_what_was_asked_and_only_that_way(lan: Lan, backend: Backend) -> None:
    a, b = lan["a"], lan["b"]
    assert ping(a, b)  # address resolution is done before frames get lost
    a.link.impair(loss=0.2, direction="up", backend=backend)
    assert 740 <= len(flow(a, b, 1000, gap=0.0003)) <= 860
    assert len(flow(b, a, 200)) == 200


def test_reordering_and_duplicates_lose_nothing(lan: Lan) -> None:
    a, b = lan["a"], lan["b"]
    a.link.impair(reorder=0.1, reorder_ms=20, direction="up")
    numbers = [number for number, _ in flow(a, b, 300, gap=0.002)]
    late = sum(1 for x, y in itertools.pairwise(numbers) if y < x)
    assert sorted(numbers) == list(range(300))
    assert 8 < late < 70
    a.link.impair(duplicate=0.2, direction="up")
    numbers = [number for number, _ in flow(a, b, 300, gap=0.002)]
    assert len(set(numbers)) == 300
    assert 325 < len(numbers) < 410


def test_a_seed_repeats_the_same_losses() -> None:
    runs = []
    for _ in range(2):
        with Lan(["a", "b"], ipv6=False) as lan:
            a, b = lan.hosts
            ping(a, b)
            a.link.impair(loss=0.3, direction="up", seed=7)
            runs.append([number for number, _ in flow(a, b, 200)])
    # Identical but for the odd address resolution frame that shifts the sequence.
    assert len(runs[0]) < 180
    assert sum(x == y for x, y in zip(*runs, strict=False)) > 100


SINK = """
import socket, sys, time
s = socket.socket(); s.bind((sys.argv[1], 7000)); s.listen(); print("up", flush=True)
c, _ = s.accept(); n = 0; first = None
while d := c.recv(1 << 16):
    first = first or time.monotonic(); n += len(d)
print(n * 8 / 1e6 / max(1e-9, time.monotonic() - first), flush=True)
"""
SOURCE = """
import socket, sys
socket.create_connection((sys.argv[1], 7000)).sendall(bytes(3_000_000))
"""


@pytest.mark.parametrize("backend", ["kernel", "relay"])
def test_a_rate_limit_holds(lan: Lan, backend: Backend) -> None:
    a, b = lan["a"], lan["b"]
    a.link.impair(rate_mbit=20, direction="up", backend=backend)
    sink = b.popen([sys.executable, "-c", SINK, b.address], stdout=subprocess.PIPE, text=True)
    assert sink.stdout is not None
    sink.stdout.readline()
    a.run([sys.executable, "-c", SOURCE, b.address], timeout=20)
    assert 14 < float(sink.communicate(timeout=20)[0]) < 23


def test_a_cut_cable_passes_nothing_until_it_is_plugged_in_again(lan: Lan) -> None:
    a, b, c = lan.hosts
    for silent in (False, True):
        with a.link.outage(silent=silent):
            assert not ping(a, b, 0.3)
            assert ping(b, c)
            noticed = "NO-CARRIER" in a.run(["ip", "link", "show", "eth0"]).stdout
            assert noticed is not silent
        assert ping(a, b)


def test_a_partition_parts_the_groups_and_nobody_else(lan: Lan) -> None:
    a, b, c = lan.hosts
    with lan.partition([a], [b]):
        assert not ping(a, b, 0.3)
        assert ping(a, c)
        assert ping(b, c)
        b.link.impair(delay_ms=5)  # the port that leads to b is another one now
        assert not ping(a, b, 0.3)
    assert ping(a, b)


def test_isolated_clients_see_only_the_others(lan: Lan) -> None:
    a, b, c = lan.hosts
    a.link.isolate()
    b.link.isolate()
    assert not ping(a, b, 0.3)
    assert ping(a, c)
    a.link.isolate(on=False)
    assert ping(a, b)


ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 7))
print("up", flush=True)
while True:
    s.sendto(*s.recvfrom(99))
"""


def test_a_frozen_host_answers_again_after_the_thaw(lan: Lan) -> None:
    a, b = lan["a"], lan["b"]
    echo = a.popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
    assert echo.stdout is not None
    echo.stdout.readline()
    with b.socket() as sock:
        sock.settimeout(0.4)

        def answers() -> bool:
            sock.sendto(b"x", (a.address, 7))
            try:
                return sock.recv(9) == b"x"
            except TimeoutError:
                return False

        assert answers()
        a.freeze()
        assert not answers()
        a.thaw()
        assert answers()
